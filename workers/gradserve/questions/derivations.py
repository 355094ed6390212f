"""Derivations: what may be asked of a graph, as small frozen values that say what they take and what they give.

The RPC of a derivation has the name of its class; the fields of a derivation are fields of the request; the vectors it
takes come in the field `takes`, and what it gives goes into the fields `gives` of the reply. Methods of the client and
commands of the command line are made from the same facts.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar, Self

from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.questions.options import option

TANGENTS, COTANGENTS = "tangents", "cotangents"
_LOSS = {"value": "value", "gradients": "gradient"}


class Mode(enum.StrEnum):
    """How a Jacobian is accumulated: forward a column at a time, or reverse a row at a time."""

    AUTO = "auto"
    FORWARD = "forward"
    REVERSE = "reverse"


@dataclass(frozen=True)
class Derivation:
    """What is asked of a graph. Arrays are not part of it, so that derived graphs are found again."""

    wrt: tuple[str, ...] = ()
    """The inputs to differentiate; empty for all that are real, or for those that vectors are given for."""

    takes: ClassVar[str] = ""
    """The vectors that it takes, `tangents` of inputs or `cotangents` of outputs; empty for none."""
    gives: ClassVar[Mapping[str, str]] = {"outputs": "value"}
    """Fields of the reply, and the role that belongs to each: value, gradient, tangent, cotangent or product."""
    dense: ClassVar[bool] = False
    """Whether it gives blocks of a matrix as well."""

    @classmethod
    def called(cls) -> str:
        """Its name in Python and on the command line: `gauss_newton_product`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def resolved(self, graph: Graph, vectors: Collection[str]) -> Self:
        """The derivation with its inputs named, in the graph's order where they follow from `vectors`."""
        if self.wrt:
            return self
        real = [given.name for given in graph.inputs if given.type.is_float]
        return replace(self, wrt=tuple(n for n in real if self.takes != TANGENTS or n in vectors))

    def vector_types(self, graph: Graph) -> dict[str, TensorType]:
        """The vectors that it takes, by input or output, for one example."""
        if self.takes == TANGENTS:
            return {name: graph.input_types[name] for name in self.wrt if name in graph.input_types}
        if self.takes == COTANGENTS:
            return {name: type_ for name, type_ in graph.output_types.items() if type_.is_float}
        return {}


@dataclass(frozen=True)
class Evaluate(Derivation):
    """The outputs."""

    def resolved(self, graph: Graph, vectors: Collection[str]) -> Self:
        """Itself: nothing is differentiated."""
        del graph, vectors
        return self


@dataclass(frozen=True)
class Gradient(Derivation):
    """The loss and its gradient; in a complex z = x + iy that of a real loss f is df/dx - i df/dy, as in JAX."""

    holomorphic: bool = option(False, "the derivative of a complex scalar in complex inputs, where there is one")

    gives = _LOSS


@dataclass(frozen=True)
class Jvp(Derivation):
    """The outputs and J v, their derivative along the tangents v."""

    takes = TANGENTS
    gives: ClassVar[Mapping[str, str]] = {"outputs": "value", "tangents": "tangent"}


@dataclass(frozen=True)
class Vjp(Derivation):
    """The outputs and J^T u, the pullback of the cotangents u."""

    takes = COTANGENTS
    gives: ClassVar[Mapping[str, str]] = {"outputs": "value", "cotangents": "cotangent"}


@dataclass(frozen=True)
class Hvp(Derivation):
    """The loss, its gradient, and H v, its Hessian applied to the tangents v."""

    product_only: bool = option(False, "leave the loss and its gradient out: they take up to a ninth of the time")

    takes = TANGENTS
    gives: ClassVar[Mapping[str, str]] = {**_LOSS, "products": "product"}


@dataclass(frozen=True)
class Jacobian(Derivation):
    """The outputs and their dense derivatives in the inputs."""

    mode: Mode = option(Mode.AUTO, "how to accumulate it: by columns, by rows, or whichever is predicted to be faster")
    holomorphic: bool = option(False, "of complex outputs in complex inputs, where there are complex derivatives")

    dense = True


@dataclass(frozen=True)
class Hessian(Derivation):
    """The loss, its gradient and its dense second derivatives, forward over reverse."""

    gives = _LOSS
    dense = True


@dataclass(frozen=True)
class GaussNewtonProduct(Derivation):
    """The outputs and G v, the Gauss-Newton matrix applied to the tangents v: J^T H J v for a loss of other outputs.

    J is the Jacobian of the other outputs, and H the Hessian of the loss in them; without a loss G is J^T J.
    """

    loss: str = option("", "the output that is a loss of the others; empty for half the sum of their squares")

    takes = TANGENTS
    gives: ClassVar[Mapping[str, str]] = {"outputs": "value", "products": "product"}


DERIVATIONS: Mapping[str, type[Derivation]] = {
    derivation.called(): derivation
    for derivation in (Evaluate, Gradient, Jvp, Vjp, Hvp, GaussNewtonProduct, Jacobian, Hessian)
}
"""Those that clients may ask for, by name."""
