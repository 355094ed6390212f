"""scipy.signal: responses of filters to frequencies, fewer samples of a signal, and Wiener's filter."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, axis_of, lift, refuse, to_float
from gradserve.numpy.indexing import getitem
from gradserve.numpy.products import matmul
from gradserve.numpy.scipy.filters import correlate, lfilter
from gradserve.numpy.scipy.smoothing import sosfilt, sosfiltfilt
from gradserve.numpy.shaping import moveaxis
from gradserve.numpy.table import implements_scipy


def _frequencies(g: Builder, worN: Any, whole: bool, fs: Any, has_last: bool) -> tuple[Any, Any]:
    """In radians for each sample, and as they are given back."""
    count = 512 if worN is None else worN
    if not isinstance(count, Value) and np.ndim(count) == 0:
        last = 2 * math.pi if whole else math.pi
        known = np.linspace(0.0, last, operator.index(count), endpoint=has_last and not whole)
        return known, known * (fs / (2 * math.pi))
    given = to_float(g, count) if isinstance(count, Value) else np.atleast_1d(np.asarray(count, float))
    return given * (2 * math.pi / fs) if isinstance(given, np.ndarray) else g.mul(given, 2 * math.pi / fs), given


def _response(g: Builder, b: Any, a: Any, w: Any) -> Value:
    forward, back = (to_float(g, v) for v in (b, a))
    return g.div(*(_polynomial(g, v, to_float(g, w)) for v in (forward, back)))


def _polynomial(g: Builder, coefficients: Value, w: Value) -> Value:
    """The polynomial in exp(-i w), the constant first."""
    if coefficients.type.rank > 1:
        refuse(g, "freqz", f"{coefficients.type} are no coefficients of one filter")
    row = g.reshape(coefficients, (coefficients.type.size,))
    powers = np.arange(row.shape[0])
    turns = g.mul(g.reshape(w, (*w.type.shape, 1)), g.constant(powers.astype(float)))
    return matmul(g.complex(g.cos(turns), g.neg(g.sin(turns))), row)


@implements_scipy("signal.freqz")
def freqz(
    g: Builder,
    b: Any,
    a: Any = 1,
    worN: Any = 512,
    whole: bool = False,
    plot: Any = None,
    fs: Any = 2 * math.pi,
    include_nyquist: bool = False,
) -> tuple[Any, Value]:
    """Frequencies, and the response of one filter to them: sum b[k] exp(-i w k) over the like of a."""
    if plot is not None:
        raise Unsupported("freqz with plot cannot be traced", "leave out plot")
    w, given = _frequencies(g, worN, whole, fs, include_nyquist)
    return given, _response(g, b, a, w)


@implements_scipy("signal.freqz_sos", "signal.sosfreqz")
def freqz_sos(g: Builder, sos: Any, worN: Any = 512, whole: bool = False, fs: Any = 2 * math.pi) -> tuple[Any, Value]:
    """Frequencies, and the response to them of filters of second order one after the other."""
    sections = to_float(g, sos)
    if sections.type.rank != 2 or sections.shape[1] != 6:
        raise ValueError("sos array must be shape (n_sections, 6)")
    w, given = _frequencies(g, worN, whole, fs, False)
    total: Value | None = None
    for k in range(sections.shape[0]):
        one = _response(g, getitem(g, sections, (k, slice(0, 3))), getitem(g, sections, (k, slice(3, 6))), w)
        total = one if total is None else g.mul(total, one)
    if total is None:
        raise ValueError("Cannot compute frequencies with no sections")
    return given, total


@implements_scipy("signal.decimate")
def decimate(
    g: Builder, x: Any, q: int, n: int | None = None, ftype: str = "iir", axis: Any = -1, zero_phase: bool = True
) -> Value:
    """Every q-th sample after a filter against aliases: Chebyshev's of order n, or for 'fir' a window of n + 1."""
    from scipy import signal  # who calls it by its name has SciPy

    step = operator.index(q)
    value = to_float(g, x)
    along = axis_of(value, axis, "decimate")
    rows = moveaxis(value, along, -1)
    if ftype == "iir":
        sections = signal.cheby1(8 if n is None else n, 0.05, 0.8 / step, output="sos")
        found = sosfiltfilt(sections, rows) if zero_phase else sosfilt(sections, rows)
    elif ftype == "fir":
        taps = signal.firwin((20 * step if n is None else n) + 1, 1.0 / step, window="hamming")
        late = (len(taps) - 1) // 2 if zero_phase else 0
        none = (0,) * rows.type.rank
        longer = g.emit("pad", rows, low=none, high=(*none[1:], late), interior=none)
        found = getitem(g, lfilter(taps, [1.0], longer), (..., slice(late, None)))
    else:
        raise Unsupported(f"decimate with ftype={ftype!r} cannot be traced", "use 'iir' or 'fir'")
    return moveaxis(getitem(g, found, (..., slice(None, None, step))), -1, along)


@implements_scipy("signal.wiener")
def wiener(g: Builder, im: Any, mysize: Any = None, noise: Any = None) -> Value:
    """The mean of the elements around each, and of what it differs by as much as their variance exceeds the noise."""
    x = to_float(g, lift(g, im))
    sizes = np.broadcast_to(3 if mysize is None else mysize, (x.type.rank,))
    window = np.ones(tuple(map(int, sizes)))
    mean, square = (g.div(correlate(v, window, "same"), float(window.size)) for v in (x, g.mul(x, x)))
    variance = g.sub(square, g.mul(mean, mean))
    axes = tuple(range(x.type.rank))
    power = g.div(g.emit("reduce_sum", variance, axes=axes), float(x.type.size)) if noise is None else noise
    is_noise = g.lt(variance, power)
    share = g.sub(1.0, g.div(power, g.select(is_noise, 1.0, variance)))
    return g.select(is_noise, mean, g.add(mean, g.mul(share, g.sub(x, mean))))
