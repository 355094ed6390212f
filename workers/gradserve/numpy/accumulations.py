"""What is known after each element along an axis: running products, extrema and logarithms of sums."""

from __future__ import annotations

from collections.abc import Callable

from gradserve.ir.builder import Operand, Value
from gradserve.numpy.arguments import builder_of, lifted, one_axis
from gradserve.numpy.shaping import concatenate, part, ravel
from gradserve.ops.family import to_float


def cumprod(x: Operand, axis: int | None = None) -> Value:
    """The products of the first elements, as np.cumprod; in row-major order if no axis is given."""
    value, along = _placed(x, axis, "cumprod")
    return value.builder.emit("cumprod", value, axis=along)


def cummax(x: Operand, axis: int | None = None) -> Value:
    """The largest of the first elements, as np.maximum.accumulate. Of two equal ones each has half the derivative."""
    return scanned(x, axis, lambda a, b: a.builder.emit("maximum", a, b))


def cummin(x: Operand, axis: int | None = None) -> Value:
    """The smallest of the first elements, as np.minimum.accumulate. Of two equal ones each has half the derivative."""
    return scanned(x, axis, lambda a, b: a.builder.emit("minimum", a, b))


def logcumsumexp(x: Operand, axis: int | None = None) -> Value:
    """The logarithms of the sums of the first exponentials, as np.logaddexp.accumulate."""
    return scanned(to_float(builder_of(x), x), axis, lambda a, b: a.builder.emit("logaddexp", a, b))


def scanned(x: Operand, axis: int | None, combine: Callable[[Value, Value], Value]) -> Value:
    """The first elements combined by an associative function, over spans of 1, 2, 4, ... of them."""
    value, along = _placed(x, axis, "accumulate")
    span, length = 1, value.shape[along]
    while span < length:
        first, rest = part(value, along, 0, span), part(value, along, span, length)
        value = concatenate([first, combine(part(value, along, 0, length - span), rest)], along)
        span *= 2
    return value


def _placed(x: Operand, axis: int | None, function: str) -> tuple[Value, int]:
    if axis is None:
        return ravel(x), 0
    _, (value,) = lifted(x)
    return value, one_axis(value, axis, function)
