"""scipy.signal: filters of whole signals, forward and backward, by polynomials, and by Fourier transforms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported, axis_of, lift, promoted, to_float, to_real
from gradserve.numpy.fourier import fft, ifft, irfft, resized, rfft
from gradserve.numpy.joining import concatenate
from gradserve.numpy.products import matmul
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.scipy.filters import lfilter
from gradserve.numpy.scipy.images import convolve1d
from gradserve.numpy.scipy.matrices_of_few import companion
from gradserve.numpy.shaping import flip, moveaxis, part, swapaxes
from gradserve.numpy.systems import solve
from gradserve.numpy.table import implements_scipy


@implements_scipy("signal.savgol_filter")
def savgol_filter(
    g: Builder,
    x: Any,
    window_length: int,
    polyorder: int,
    deriv: int = 0,
    delta: float = 1.0,
    axis: Any = -1,
    mode: str = "interp",
    cval: Any = 0.0,
) -> Value:
    """The values, or derivatives, of the polynomials of least squares in a window around each element."""
    if polyorder >= window_length:
        raise ValueError("polyorder must be less than window_length.")
    data = to_float(g, x)
    along = axis_of(data, axis, "savgol_filter")
    n, half = data.shape[along], window_length // 2
    middle = half - 0.5 * (window_length % 2 == 0)
    taps = _fitted(window_length, polyorder, deriv, np.array([middle]), middle)[0, ::-1] / delta**deriv
    if mode != "interp":
        return convolve1d(data, taps, along, mode=mode, cval=cval)
    if window_length > n:
        raise ValueError("If mode is 'interp', window_length must be less than or equal to the size of x.")
    rows = moveaxis(data, along, 0)
    inside = part(convolve1d(rows, taps, 0, mode="constant"), 0, half, n - half)
    ends = []
    for first, at in ((0, np.arange(half)), (n - window_length, np.arange(window_length - half, window_length))):
        matrix = _fitted(window_length, polyorder, deriv, at, middle) / delta**deriv
        window = part(rows, 0, first, first + window_length)
        flat = g.reshape(window, (window_length, window.type.size // window_length))
        ends.append(g.reshape(matmul(g.constant(matrix), flat), (half, *rows.shape[1:])))
    return moveaxis(concatenate([ends[0], inside, ends[1]]), 0, along)


def _fitted(size: int, degree: int, order: int, at: Array, middle: float) -> Array:
    """What takes the numbers in a window to a derivative, at some places, of the polynomial through them."""
    centered, places = np.arange(size) - middle, at - middle
    powers = np.arange(degree + 1)
    factors = np.array([math.perm(p, order) for p in powers])
    slopes = factors * places[:, None] ** np.maximum(powers - order, 0)
    return np.asarray(slopes @ np.linalg.pinv(centered[:, None] ** powers))


@implements_scipy("signal.lfilter_zi")
def lfilter_zi(g: Builder, b: Any, a: Any) -> Value:
    """The state in which a filter answers a constant by a constant, as after a step of height 1 long ago."""
    forward, back = promoted(g, b, a)
    size = max(forward.type.size, back.type.size)
    first = part(back, 0, 0, 1)
    taps, feedback = (g.div(resized(g, v, size, 0), first) for v in (forward, back))
    if size == 1:
        return g.zeros(taps.type.with_shape((0,)))
    matrix = g.sub(np.eye(size - 1), swapaxes(companion(feedback), 0, 1))
    return solve(matrix, g.sub(part(taps, 0, 1, size), g.mul(part(feedback, 0, 1, size), part(taps, 0, 0, 1))))


@implements_scipy("signal.filtfilt")
def filtfilt(
    g: Builder,
    b: Any,
    a: Any,
    x: Any,
    axis: Any = -1,
    padtype: str | None = "odd",
    padlen: int | None = None,
    method: str = "pad",
) -> Value:
    """A filter forward and then backward, which delays nothing; what lies beyond the ends is made up as SciPy does."""
    if method != "pad":
        raise Unsupported(f"filtfilt with method={method!r} cannot be traced", "leave it out")
    forward, back, data = promoted(g, b, a, x)
    state = lfilter_zi(forward, back)
    edge = 3 * (state.type.size + 1) if padlen is None else padlen
    return _both_ways(g, data, axis, padtype, edge, lambda rows: _filtered(g, forward, back, state, rows))


def _filtered(g: Builder, b: Value, a: Value, state: Value, rows: Value) -> Value:
    """The rows filtered, from the state in which the first one has been there for ever."""
    column = g.reshape(state, (state.type.size, *(1,) * (rows.type.rank - 1)))
    return lfilter(b, a, rows, 0, g.mul(column, part(rows, 0, 0, 1)))[0]  # type: ignore[no-any-return]


def _both_ways(g: Builder, x: Value, axis: Any, padtype: str | None, edge: int, once: Any) -> Value:
    along = axis_of(x, axis, "filtfilt")
    rows = moveaxis(x, along, 0)
    n = rows.shape[0]
    edge = edge if padtype is not None else 0
    if n <= edge:
        raise ValueError(f"The length of the input vector x must be greater than padlen, which is {edge}.")
    longer = _extended(g, rows, padtype, edge) if edge else rows
    found = flip(once(flip(once(longer), 0)), 0)
    return moveaxis(part(found, 0, edge, edge + n), 0, along)


def _extended(g: Builder, rows: Value, kind: str | None, edge: int) -> Value:
    """The rows with others before and after, mirrored at the end rows, or turned about them, or these repeated."""
    n = rows.shape[0]
    ends = part(rows, 0, 0, 1), part(rows, 0, n - 1, n)
    sides = [flip(part(rows, 0, 1, edge + 1), 0), flip(part(rows, 0, n - 1 - edge, n - 1), 0)]
    if kind == "odd":
        sides = [g.sub(g.mul(end, 2.0), side) for end, side in zip(ends, sides, strict=True)]
    elif kind == "constant":
        sides = [g.broadcast(end, side.type.shape) for end, side in zip(ends, sides, strict=True)]
    elif kind != "even":
        raise ValueError(f"Unknown value '{kind}' for padtype; it is 'even', 'odd', 'constant' or None.")
    return concatenate([sides[0], rows, sides[1]])


def _sections(g: Builder, sos: Any) -> list[tuple[Value, Value]]:
    """Forward and backward coefficients of each section."""
    table = to_float(g, sos)
    if table.type.rank != 2 or table.shape[1] != 6:
        raise ValueError("sos array must be shape (n_sections, 6)")
    rows = [g.reshape(part(table, 0, k, k + 1), (6,)) for k in range(table.shape[0])]
    return [(part(row, 0, 0, 3), part(row, 0, 3, 6)) for row in rows]


@implements_scipy("signal.sosfilt")
def sosfilt(g: Builder, sos: Any, x: Any, axis: Any = -1) -> Value:
    """The output of filters of second order, one after the other."""
    found = to_float(g, x)
    for b, a in _sections(g, sos):
        found = lfilter(b, a, found, axis)
    return found


@implements_scipy("signal.sosfilt_zi")
def sosfilt_zi(g: Builder, sos: Any) -> Value:
    """The states in which filters of second order answer a constant by constants."""
    states, scale = [], g.constant(np.ones(1))
    for b, a in _sections(g, sos):
        states.append(g.reshape(g.mul(lfilter_zi(b, a), scale), (1, 2)))
        scale = g.mul(scale, g.div(sum_along(b), sum_along(a)))
    return concatenate(states)


@implements_scipy("signal.sosfiltfilt")
def sosfiltfilt(
    g: Builder, sos: Any, x: Any, axis: Any = -1, padtype: str | None = "odd", padlen: int | None = None
) -> Value:
    """Filters of second order forward and then backward; see filtfilt."""
    sections = _sections(g, sos)
    if padlen is None:
        if isinstance(sos, Value):
            raise Unsupported("how far sosfiltfilt of traced sections reaches is not known", "give padlen=")
        known = np.asarray(sos)
        padlen = 3 * (2 * len(sections) + 1 - int(min((known[:, 2] == 0).sum(), (known[:, 5] == 0).sum())))

    def once(rows: Value) -> Value:
        # Each section has seen what those before it made of the first row for ever: lfilter_zi of its own input.
        for b, a in sections:
            rows = _filtered(g, b, a, lfilter_zi(b, a), rows)
        return rows

    return _both_ways(g, to_float(g, x), axis, padtype, padlen, once)


@implements_scipy("signal.resample")
def resample(g: Builder, x: Any, num: int, t: Any = None, axis: Any = 0) -> Any:
    """So many numbers in place of those along an axis, by their Fourier transform; of real numbers."""
    data = to_real(g, x, "resample")
    along = axis_of(data, axis, "resample")
    rows = moveaxis(data, along, 0)
    n, least = rows.shape[0], min(num, rows.shape[0])
    waves = part(rfft(rows, axis=0), 0, 0, least // 2 + 1)
    if least % 2 == 0 and num != n:
        weights = np.ones((least // 2 + 1, *(1,) * (rows.type.rank - 1)))
        weights[-1] = 2.0 if num < n else 0.5
        waves = g.mul(waves, weights)
    found = moveaxis(g.mul(irfft(waves, num, 0), num / n), 0, along)
    if t is None:
        return found
    times = lift(g, t)
    first, second = part(times, 0, 0, 1), part(times, 0, 1, 2)
    return found, g.add(g.mul(g.mul(g.sub(second, first), n / num), np.arange(num)), first)


@implements_scipy("signal.hilbert")
def hilbert(g: Builder, x: Any, N: int | None = None, axis: Any = -1) -> Value:
    """The analytic signal: the numbers, and as imaginary part their Hilbert transform."""
    data = to_real(g, x, "hilbert")
    along = axis_of(data, axis, "hilbert")
    waves = moveaxis(fft(data, N, along), along, -1)
    n = waves.shape[-1]
    weights = np.zeros(n)
    weights[: (n + 1) // 2] = 2.0
    weights[[0] if n % 2 else [0, n // 2]] = 1.0
    return moveaxis(ifft(g.mul(waves, weights)), -1, along)
