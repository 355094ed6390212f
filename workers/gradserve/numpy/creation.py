"""Arrays made after the pattern of others, and what NumPy tells about types."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy.arguments import as_operand, integer, integers, lift, strict, to_float, with_dtype
from gradserve.numpy.shaping import expand_dims, moveaxis
from gradserve.numpy.table import implements


def _like(g: Builder, a: Any, dtype: Any, shape: Any) -> TensorType:
    pattern = lift(g, a).type
    if dtype is not None:
        pattern = pattern.with_element_type(ElementType.of(dtype))
    return pattern if shape is None else pattern.with_shape(integers(shape, "a shape"))


@implements(np.array)
def array(g: Builder, object: Any, dtype: Any = None, copy: Any = True, ndmin: Any = 0) -> Value:
    """The array of nested lists in which traced arrays are; as many leading axes as are asked for."""
    x = with_dtype(g, lift(g, object), dtype)
    missing = integer(ndmin, "a number of axes") - x.type.rank
    return g.reshape(x, (*(1,) * missing, *x.type.shape)) if missing > 0 else x


@implements(np.asarray, np.asanyarray, np.asarray_chkfinite, view=True)
def asarray(g: Builder, a: Any, dtype: Any = None, copy: Any = None) -> Value:
    """The array itself, or that of nested lists in which traced arrays are."""
    return with_dtype(g, lift(g, a), dtype)


@implements(np.ascontiguousarray, np.asfortranarray, view=True)
def ascontiguousarray(g: Builder, a: Any, dtype: Any = None) -> Value:
    """The array with one axis or more; how it lies in memory is not the author's."""
    return array(a, dtype, ndmin=1)


@implements(np.full)
def full(g: Builder, shape: Any, fill_value: Any, dtype: Any = None) -> Value:
    """A traced number, or an array, repeated to fill a shape."""
    return g.broadcast(with_dtype(g, lift(g, fill_value), dtype), integers(shape, "a shape"))


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
    return g.broadcast(g.convert(lift(g, fill_value), pattern.element_type), pattern.shape)


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
    """Whether the elements are complex."""
    return lift(g, x).type.is_complex


@implements(np.isrealobj)
def isrealobj(g: Builder, x: Any) -> bool:
    """Whether the elements are not complex."""
    return not lift(g, x).type.is_complex


@implements(np.common_type)
def common_type(g: Builder, *arrays: Any) -> type[Any]:
    """The floating-point type that all arrays fit into."""
    return np.common_type(*(np.zeros(1, lift(g, array).type.element_type.dtype) for array in arrays))


@implements(np.astype)
def astype(g: Builder, x: Any, dtype: Any, *, copy: bool = True) -> Value:
    """The array with other elements."""
    return g.convert(lift(g, x), ElementType.of(dtype))


@implements(np.linspace)
def linspace(
    g: Builder,
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: Any = 0,
) -> Value | tuple[Value, Value]:
    """Evenly spaced numbers from start to stop, and how far they are apart if asked for."""
    count = integer(num, "a number of points")
    first, last = g.align(g.promote([as_operand(g, start), as_operand(g, stop), 0.0])[:2])
    steps = count - 1 if endpoint else count
    at = g.constant(np.arange(count) / max(steps, 1), first.type.element_type)
    at = g.reshape(at, (count, *(1,) * first.type.rank))
    # As a mixture of the ends, so that both are met exactly.
    line = g.add(g.mul(first, g.sub(1, at)), g.mul(last, at))
    line = moveaxis(line, 0, integer(axis, "an axis"))
    if dtype is not None:
        kind = ElementType.of(dtype)
        line = g.convert(g.floor(line) if kind in (ElementType.INT32, ElementType.INT64) else line, kind)
    return (line, g.mul(g.sub(last, first), 1 / steps if steps > 0 else math.nan)) if retstep else line


@implements(np.logspace)
def logspace(
    g: Builder,
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: Any = 0,
) -> Value:
    """Numbers whose logarithms are evenly spaced."""
    line = linspace(start, stop, num, endpoint, axis=axis)
    powers = g.pow(as_operand(g, base), line)
    return with_dtype(g, powers, dtype)


@implements(np.geomspace)
def geomspace(
    g: Builder, start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: Any = 0
) -> Value:
    """Numbers from start to stop, each the one before it times the same factor; both ends of one sign."""
    first, last = (to_float(g, strict(g, end)) for end in (start, stop))
    line = linspace(g.log(g.abs(first)), g.log(g.abs(last)), num, endpoint, axis=axis)
    signs = g.sign(g.add(first, g.zeros(last.type)))
    powers = g.mul(g.exp(line), expand_dims(signs, axis) if signs.type.rank else signs)
    return with_dtype(g, powers, dtype)


@implements(np.ix_)
def ix_(g: Builder, *args: Any) -> tuple[Value, ...]:
    """Vectors of positions, each along its own axis, that select a grid."""
    vectors = [lift(g, positions) for positions in args]
    rank = len(vectors)
    return tuple(g.reshape(v, tuple(v.shape[0] if j == k else 1 for j in range(rank))) for k, v in enumerate(vectors))


def _of_shape(function: Any) -> Any:
    """An implementation that needs the lengths alone and gives positions known while tracing."""

    def apply(g: Builder, arr: Any, k: Any = 0) -> Any:
        """The positions of a part of a matrix, known while tracing."""
        pattern = np.zeros(lift(g, arr).shape, np.bool_)
        return function(pattern, integer(k, "an offset")) if k else function(pattern)

    return apply


for _function in (np.tril_indices_from, np.triu_indices_from, np.diag_indices_from):
    implements(_function)(_of_shape(_function))
