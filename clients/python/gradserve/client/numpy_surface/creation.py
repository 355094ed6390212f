"""Arrays made after the pattern of others, and what NumPy tells about types."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client.numpy_surface.operands import as_operand, integer, integers, lift
from gradserve.client.numpy_surface.table import implements
from gradserve.client.origins import untraceable
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops.functions import shaping


def _like(g: Builder, a: Any, dtype: Any, shape: Any) -> TensorType:
    pattern = lift(g, a).type
    if dtype is not None:
        pattern = pattern.with_element_type(ElementType.of(dtype))
    return pattern if shape is None else pattern.with_shape(integers(shape, "a shape"))


@implements(np.zeros_like)
def zeros_like(g: Builder, a: Any, dtype: Any = None, shape: Any = None) -> Value:
    """Zeros in the shape of another array."""
    return g.zeros(_like(g, a, dtype, shape))


@implements(np.empty_like)
def empty_like(g: Builder, prototype: Any, dtype: Any = None, shape: Any = None) -> Value:
    """Zeros in the shape of another array: NumPy promises nothing about the elements."""
    return g.zeros(_like(g, prototype, dtype, shape))


@implements(np.ones_like)
def ones_like(g: Builder, a: Any, dtype: Any = None, shape: Any = None) -> Value:
    """Ones in the shape of another array."""
    return g.full(_like(g, a, dtype, shape), 1)


@implements(np.full_like)
def full_like(g: Builder, a: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Value:
    """One number, or one array, in the shape of another array."""
    pattern = _like(g, a, dtype, shape)
    return g.broadcast(g.convert(lift(g, as_operand(g, fill_value)), pattern.element_type), pattern.shape)


@implements(np.vander)
def vander(g: Builder, x: Any, N: Any = None, increasing: bool = False) -> Value:
    """The powers of a vector as columns."""
    given = lift(g, x)
    base = g.convert(given, ElementType.of(np.promote_types(given.type.element_type.dtype, int)))  # as NumPy does
    count = base.type.size if N is None else integer(N, "a number of columns")
    powers = [g.full(base.type, 1)]
    for _ in range(count - 1):
        powers.append(g.mul(powers[-1], base))
    if count <= 0:
        return g.zeros(base.type.with_shape((base.type.size, 0)))
    return shaping.stack(powers[:count] if increasing else powers[:count][::-1], axis=1)


@implements(np.result_type)
def result_type(g: Builder, *arrays_and_dtypes: Any) -> np.dtype[Any]:
    """The element type of an operation on these, as a dtype."""
    strong = [a.type.element_type.dtype if isinstance(a, Value) else a for a in arrays_and_dtypes]
    return np.result_type(*strong)


@implements(np.can_cast)
def can_cast(g: Builder, from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Whether one element type can become another."""
    return np.can_cast(from_.type.element_type.dtype if isinstance(from_, Value) else from_, to, casting)


@implements(np.iscomplexobj)
def iscomplexobj(g: Builder, x: Any) -> bool:
    """False: traced arrays are real."""
    return False


@implements(np.isrealobj)
def isrealobj(g: Builder, x: Any) -> bool:
    """True: traced arrays are real."""
    return True


@implements(np.linspace)
def linspace(
    g: Builder, start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: Any = 0
) -> Value:
    """Evenly spaced numbers from start to stop."""
    if dtype is not None or axis != 0:
        raise untraceable("np.linspace with dtype= or axis= cannot be traced", "convert or move the axis afterwards")
    count = integer(num, "a number of points")
    first, last = (lift(g, end) for end in (start, stop))
    first, last = g.align(g.promote([first, last, 0.0])[:2])
    steps = max(count - 1 if endpoint else count, 1)
    at = g.reshape(g.constant(np.arange(count) / steps, first.type.element_type), (count, *(1,) * first.type.rank))
    # As a mixture of the ends, so that both are met exactly.
    return g.add(g.mul(first, g.sub(1, at)), g.mul(last, at))
