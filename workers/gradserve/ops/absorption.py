"""Products in which an exact zero absorbs whatever it is multiplied by, be it infinite or NaN.

In derivatives a zero says that something does not matter: it was not chosen, or the function is flat there. So no
partial can bring it back. Rounding is that of the ordinary product wherever that is finite.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Absorbed
from gradserve.ops.elementwise.parts import real_part


def absorbed(g: Builder, zero: Value, product: Value, reach: Value) -> Absorbed:
    """The product, and 0 where a factor is zero."""
    lost = g.logical_and(zero, g.logical_not(g.is_finite(product)))
    return Absorbed((g.select(zero, 0.0, product),), (reach,), g.logical_and(lost, g.gt(real_part(g, reach), 0)))


def absorbed_over(
    g: Builder, result: Value, linear: Sequence[tuple[Value, Value]], rank: int, axes: tuple[int, ...]
) -> Absorbed:
    """The result of an op that is linear in values, and 0 where one of these is zero along all of `axes`.

    Args:
        g: where it is built.
        result: what the op gives.
        linear: the values with their reach.
        rank: how many of the last axes of a value do not run along with those of the result.
        axes: those axes, counted from the end, along which all elements have a part in an element of the result.
    """
    zero, reach = g.constant(False), g.constant(1, result.type.element_type)
    for value, own in linear:
        lead, core = value.shape[: value.type.rank - rank], value.shape[value.type.rank - rank :]
        along = tuple(axis % value.type.rank for axis in axes)
        kept = tuple(1 if axis in along else n for axis, n in enumerate(core, len(lead)))
        shape = (*lead, *kept) if len(axes) < rank else (*lead, *(1 for _ in range(result.type.rank - len(lead))))
        still = g.emit("reduce_all", g.eq(value, 0), axes=along)
        zero = g.logical_or(zero, g.reshape(still, shape))
        reach = g.mul(reach, g.reshape(g.reduce_sum(own, axes=along), shape))
    zero, reach = (g.broadcast(x, result.type.shape) for x in (zero, reach))
    return absorbed(g, zero, result, reach)
