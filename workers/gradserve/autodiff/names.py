"""Names of the inputs and outputs that derivations add: a role, a colon, and the name it belongs to.

Names of a client's graph have no colon, so the two never meet.
"""

from __future__ import annotations

STEP = "step:size"
"""How far to move along a direction."""
ORIGIN = "origin:loss"
"""The loss at the point itself, where it is given."""
SLOPE = "value:slope"
"""The difference quotient of a loss along a direction."""
FACTOR = "value:factor"
"""What brought a direction to the sphere."""
KINKED_EXAMPLES = "kinked:examples"
"""Along an axis, at how many of its positions something is on a kink."""
ABSORBED = "kinked:absorbed"
"""Whether a computed zero has absorbed something."""

_OF_POINT = frozenset({"value", "gradient", "kinked"})


def value(name: str) -> str:
    """The output of the graph itself."""
    return f"value:{name}"


def tangent(name: str) -> str:
    """The tangent of an input or of an output."""
    return f"tangent:{name}"


def cotangent(name: str) -> str:
    """The cotangent of an output or of an input."""
    return f"cotangent:{name}"


def vector(takes: str, name: str) -> str:
    """The vector that a derivation takes for an input or an output; `takes` is `tangents` or `cotangents`."""
    return f"{takes.removesuffix('s')}:{name}"


def gradient(name: str) -> str:
    """The gradient of the loss in an input."""
    return f"gradient:{name}"


def product(name: str) -> str:
    """The Hessian-vector product in an input."""
    return f"product:{name}"


def share(name: str) -> str:
    """The shares of an input in a quadratic form."""
    return f"share:{name}"


def slope(name: str) -> str:
    """The gradient of a form <u, H v> in an input."""
    return f"slope:{name}"


def direction(name: str) -> str:
    """The direction in which an input moves."""
    return f"direction:{name}"


def along(name: str) -> str:
    """The direction along which a loss was differentiated to make another one."""
    return f"along:{name}"


def coefficient(order: int, name: str) -> str:
    """The Taylor coefficient of an output along a direction."""
    return f"order{order}:{name}"


def adjoint(value: int) -> str:
    """The derivative of the loss in a value of the graph."""
    return f"adjoint:{value}"


def perturbation(value: int) -> str:
    """What is added to a value of the graph."""
    return f"perturbation:{value}"


def kinks(position: int) -> str:
    """The number of elements on a kink of the node at a position."""
    return f"kinks:{position}"


def kinked(position: int) -> str:
    """Whether the node at a position sits on a kink."""
    return f"kinked:{position}"


def tells_of_kinks(name: str) -> bool:
    """Whether an output says where an example is on kinks: of a batch all say it together, whatever others do."""
    return split(name)[0] == "kinked"


def is_derivative(name: str) -> bool:
    """Whether an output is linear in tangents or cotangents, and not a value, a count or a margin."""
    return split(name)[0] not in ("value", "order0", "kinks", "kinked", "margin")


def is_of_point(name: str) -> bool:
    """Whether an output of a product with a vector depends on the point alone, and not on the vector."""
    return split(name)[0] in _OF_POINT


def margin(position: int) -> str:
    """How far the operands of the node at a position are from its next branch."""
    return f"margin:{position}"


def split(name: str) -> tuple[str, str]:
    """The role and the name it belongs to."""
    role, _, own = name.partition(":")
    return role, own
