"""scipy.signal: convolutions, and filters with feedback."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import TensorType
from gradserve.numpy.arguments import axis_of, promoted, refuse
from gradserve.numpy.indexing import getitem
from gradserve.numpy.joining import concatenate
from gradserve.numpy.padding import pad
from gradserve.numpy.products import matmul
from gradserve.numpy.recorder import Recorder
from gradserve.numpy.shaping import flip, moveaxis, part
from gradserve.numpy.table import OWN, implements_scipy
from gradserve.ops.control.scan import Scan
from gradserve.ops.elementwise.parts import conjugate

_BEYOND = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}
"""How np.pad calls what is beyond the edges."""


@implements_scipy("signal.fftconvolve", "signal.oaconvolve")
def fftconvolve(g: Builder, in1: Any, in2: Any, mode: str = "full") -> Value:
    """The convolution along all axes, with zeros beyond edges, as convolve: by the direct sums."""
    x, y = promoted(g, in1, in2)
    return convolve(x, y, mode)


@implements_scipy("signal.convolve")
def convolve(g: Builder, in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Value:
    """The convolution along all axes: of the mode 'full', 'same' (as the first) or 'valid'; always the direct sums."""
    return OWN["convolve"].call(g, in1, in2, mode)  # type: ignore[no-any-return]


@implements_scipy("signal.convolve2d")
def convolve2d(g: Builder, in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Value:
    """The convolution along both axes; beyond edges is a number, the array again, or its mirror image."""
    x, y = promoted(g, in1, in2)
    if boundary == "fill" and np.isscalar(fillvalue) and fillvalue == 0:
        return convolve(x, y, mode)
    return convolve(_with_margins(g, x, y, mode, boundary, fillvalue, 1), y, "valid")


@implements_scipy("signal.correlate2d")
def correlate2d(
    g: Builder, in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0
) -> Value:
    """The inner products of in2, conjugated, with in1, moved on along both axes; beyond edges as for convolve2d."""
    x, y = promoted(g, in1, in2)
    if mode == "valid":
        return correlate(x, y, mode)
    return correlate(_with_margins(g, x, y, mode, boundary, fillvalue, 0), y, "valid")


def _with_margins(g: Builder, x: Value, y: Value, mode: str, boundary: str, fillvalue: Any, more_before: int) -> Value:
    """The first array, with as much around it as the second reaches beyond its edges for a mode.

    Of an odd number of rows, which one side has one more of, that is the first side if `more_before` is 1.
    """
    if boundary not in _BEYOND:
        refuse(g, "convolve2d", f"boundary={boundary!r} is none of {', '.join(_BEYOND)}")
    if mode == "valid":
        return x
    reach = [m - 1 for m in y.shape]
    first = [(m + more_before) // 2 if mode == "same" else m for m in reach]
    margins = [(k, m - k if mode == "same" else m) for k, m in zip(first, reach, strict=True)]
    more = {"constant_values": fillvalue} if boundary == "fill" else {}
    return pad(x, margins, _BEYOND[boundary], **more)


@implements_scipy("signal.correlate")
def correlate(g: Builder, in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Value:
    """The inner products of in2, conjugated, with in1, moved on step by step along all axes."""
    x, y = promoted(g, in1, in2)
    y = conjugate(g, y)
    if mode == "valid" and any(n < m for n, m in zip(x.shape, y.shape, strict=True)):
        return flip(convolve(y, flip(x), mode))
    return convolve(x, flip(y), mode)


@implements_scipy("signal.lfilter")
def lfilter(g: Builder, b: Any, a: Any, x: Any, axis: Any = -1, zi: Any = None) -> Any:
    """The output y of a filter, a[0] y[n] = sum b[k] x[n - k] - sum a[k] y[n - k], k from 1 on in the second sum.

    Without feedback it is a convolution; with it, a loop over the axis (the transposed direct form II). Given the
    state `zi` before, it returns that afterwards as well.
    """
    given = [b, a, x] if zi is None else [b, a, x, zi]
    forward, back, signal, *before = promoted(g, *given)
    if forward.type.rank != 1 or back.type.rank != 1 or not back.type.size or not signal.type.rank:
        refuse(g, "lfilter", "b and a are vectors, and x has an axis")
    along = axis_of(signal, axis, "lfilter")
    first = getitem(g, back, 0)
    forward, back = g.div(forward, first), g.div(back, first)
    order = max(forward.type.size, back.type.size) - 1
    rows = moveaxis(signal, along, 0)
    if not order:
        filtered = g.mul(signal, getitem(g, forward, 0))
        return filtered if zi is None else (filtered, before[0])
    taps, feedback = (_filled(g, v, order + 1) for v in (forward, back))
    shape = (order, *rows.shape[1:])
    state = moveaxis(before[0], along, 0) if before else g.zeros(rows.type.with_shape(shape))
    last, filtered = _looped(g, taps, feedback, rows, state)
    result = moveaxis(filtered, 0, along)
    return result if zi is None else (result, moveaxis(last, 0, along))


def _filled(g: Builder, v: Value, size: int) -> Value:
    return g.emit("pad", v, low=(0,), high=(size - v.type.size,), interior=(0,))


def _looped(g: Builder, taps: Value, feedback: Value, rows: Value, state: Value) -> tuple[Value, Value]:
    """The last state and all outputs; one row of the signal a step."""
    inner = Recorder()
    types: list[TensorType] = [state.type, rows.type.with_shape(rows.type.shape[1:]), taps.type, feedback.type]
    z, x, b, a = (inner.input(f"x{k}", type_) for k, type_ in enumerate(types))
    y = inner.add(inner.mul(getitem(inner, b, 0), x), getitem(inner, z, 0))
    column = (-1, *(1,) * x.type.rank)
    rest = [_later(inner, v, column) for v in (b, a)]
    change = inner.sub(inner.mul(rest[0], x), inner.mul(rest[1], y))
    following = concatenate([part(z, 0, 1, z.shape[0]), inner.zeros(z.type.with_shape((1, *z.shape[1:])))])
    body = inner.build({"y0": inner.add(following, change), "y1": y})
    n = rows.shape[0]
    op = Scan(body, n, 1, 1, False, False)
    last, outputs = g.apply(op, [g.constant(np.int64(n)), state, rows, taps, feedback])
    return last, outputs


def _later(g: Builder, v: Value, shape: tuple[int, ...]) -> Value:
    """All but the first coefficient, along the first of several axes."""
    return g.reshape(part(v, 0, 1, v.shape[0]), (v.shape[0] - 1, *shape[1:]))


@implements_scipy("signal.detrend")
def detrend(g: Builder, data: Any, axis: Any = -1, type: str = "linear") -> Value:
    """The data less the line of least squares along an axis, or less its mean for type='constant'."""
    (x,) = promoted(g, data)
    if type not in ("linear", "constant"):
        raise ValueError("Trend type must be 'linear' or 'constant'.")
    along = axis_of(x, axis, "detrend")
    n = x.shape[along]
    columns = np.vander(np.arange(n) / max(n, 1), 2 if type == "linear" else 1)
    q, _ = np.linalg.qr(columns)
    rows = moveaxis(x, along, -1)
    return moveaxis(g.sub(rows, matmul(matmul(rows, g.constant(q)), g.constant(q.T))), -1, along)
