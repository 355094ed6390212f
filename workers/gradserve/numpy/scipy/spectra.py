"""scipy.signal: densities of power by frequency, from the means over segments of a signal."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array
from gradserve.numpy import fourier
from gradserve.numpy.arguments import Unsupported, axis_of, lift, promoted, to_float
from gradserve.numpy.padding import pad
from gradserve.numpy.quantiles import median
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.scipy.filters import detrend as without_trend
from gradserve.numpy.shaping import moveaxis, part
from gradserve.numpy.statistics import mean
from gradserve.numpy.table import implements_scipy
from gradserve.numpy.windowing import windows
from gradserve.ops.elementwise.parts import conjugate

_USUAL = 256
"""The length of segments that nobody gives."""


def _cosines(*weights: float) -> Callable[[int], Array]:
    """The windows of a length that are sums of cosines of whole periods."""

    def samples(n: int) -> Array:
        return np.asarray(sum(w * np.cos(2 * np.pi * k * np.arange(n) / n) for k, w in enumerate(weights)))

    return samples


_WINDOWS = {
    "blackman": _cosines(0.42, -0.5, 0.08),
    "boxcar": _cosines(1.0),
    "hamming": _cosines(0.54, -0.46),
    "hann": _cosines(0.5, -0.5),
}
"""Windows by name, each for signals that go on, as SciPy takes them here."""


def window_of(g: Builder, window: Any, nperseg: Any, length: int) -> Value:
    """The samples of a window, which may be traced."""
    if not isinstance(window, str | tuple):
        samples = to_float(g, window)
        if nperseg not in (None, samples.type.size):
            raise ValueError(f"nperseg={nperseg} does not equal len(win)={samples.type.size}")
        return samples
    size = _USUAL if nperseg is None else int(nperseg)
    if size > length:
        warnings.warn(f"nperseg={size} is greater than signal length {length}, using that", stacklevel=2)
        size = length
    name = window.removesuffix("_periodic") if isinstance(window, str) else ""
    if name not in _WINDOWS:
        samples_of = f"scipy.signal.get_window({window!r}, {size})"
        raise Unsupported(f"the window {window!r} cannot be traced", f"give its samples, window={samples_of}")
    return g.constant(_WINDOWS[name](size))


@implements_scipy("signal.csd")
def csd(
    g: Builder,
    x: Any,
    y: Any,
    fs: float = 1.0,
    window: Any = "hann_periodic",
    nperseg: Any = None,
    noverlap: Any = None,
    nfft: Any = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: Any = -1,
    average: str = "mean",
) -> tuple[Array, Value]:
    """The frequencies, and the mean over segments of conj(X) Y, X and Y the transforms of two signals."""
    signals = [moveaxis(v, axis_of(v, axis, "csd"), -1) for v in promoted(g, to_float(g, x), to_float(g, y))]
    length = max(v.shape[-1] for v in signals)
    one_sided = return_onesided and not signals[0].type.is_complex
    samples = window_of(g, window, nperseg, length)
    size = samples.type.size
    count, overlap = int(nfft or size), size // 2 if noverlap is None else int(noverlap)
    if count < size or overlap >= size:
        raise ValueError(f"nfft={count} must be at least nperseg={size}, and noverlap={overlap} less than that")
    if scaling not in ("density", "spectrum"):
        raise ValueError(f"Parameter scaling={scaling!r} not in ('spectrum', 'density')!")
    transforms = [
        segments(g, _lengthened(v, length), samples, size - overlap, count, detrend, one_sided) for v in signals
    ]
    factors = np.ones(transforms[0].shape[-1])
    if one_sided:
        factors[1 : -1 if count % 2 == 0 else None] *= 2
    total = sum_along(samples)
    scale = g.mul(sum_along(g.mul(samples, samples)), fs) if scaling == "density" else g.mul(total, total)
    power = g.mul(conjugate(g, transforms[0]), transforms[1])
    found = _averaged(g, g.mul(power, g.div(factors, scale)), average)
    frequencies = np.fft.rfftfreq(count, 1 / fs) if one_sided else np.fft.fftfreq(count, 1 / fs)
    return frequencies, moveaxis(found, -1, axis)


def _lengthened(x: Value, length: int) -> Value:
    """The signal with zeros behind it."""
    return pad(x, [(0, 0)] * (x.type.rank - 1) + [(0, length - x.shape[-1])]) if x.shape[-1] < length else x


def segments(g: Builder, x: Value, samples: Value, step: int, count: int, detrend: Any, one_sided: bool) -> Value:
    """The transforms of all segments, each without its trend and times the window."""
    found = windows(x, samples.type.size, -1, step)
    if isinstance(detrend, str):
        found = without_trend(found, -1, detrend)
    elif detrend:
        raise Unsupported(f"detrend={detrend!r} cannot be traced", "give 'constant', 'linear' or False")
    weighted = g.mul(found, samples)
    return fourier.rfft(weighted, count) if one_sided else fourier.fft(weighted, count)


def _averaged(g: Builder, power: Value, average: str) -> Value:
    """The mean over the segments, or their median by what that is of the mean."""
    along = power.type.rank - 2
    if average == "mean":
        return mean(power, along)
    if average != "median":
        raise ValueError(f"Parameter average={average!r} must be 'median' or 'mean'!")
    twice = 2 * np.arange(1.0, (power.shape[along] - 1) // 2 + 1)
    bias = 1 + np.sum(1 / (twice + 1) - 1 / twice)
    parts = [g.div(median(g.emit(op, power), along), bias) for op in ("real", "imag")]
    return g.emit("complex", *parts)


@implements_scipy("signal.welch")
def welch(
    g: Builder,
    x: Any,
    fs: float = 1.0,
    window: Any = "hann_periodic",
    nperseg: Any = None,
    noverlap: Any = None,
    nfft: Any = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: Any = -1,
    average: str = "mean",
) -> tuple[Array, Value]:
    """The frequencies, and the power of a signal there: the mean over segments of the squares of their transforms."""
    given = (fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, average)
    frequencies, power = csd(lift(g, x), lift(g, x), *given)
    return frequencies, g.emit("real", power)


@implements_scipy("signal.periodogram")
def periodogram(
    g: Builder,
    x: Any,
    fs: float = 1.0,
    window: Any = "boxcar",
    nfft: Any = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: Any = -1,
) -> tuple[Array, Value]:
    """The frequencies, and the power of a signal there, of one segment."""
    value = lift(g, x)
    along = axis_of(value, axis, "periodogram")
    size = min(value.shape[along], value.shape[along] if nfft is None else int(nfft))
    window = "boxcar" if window is None else window
    cut = part(value, along, 0, size)
    return welch(cut, fs, window, size, 0, nfft, detrend, return_onesided, scaling, along)


@implements_scipy("signal.coherence")
def coherence(
    g: Builder,
    x: Any,
    y: Any,
    fs: float = 1.0,
    window: Any = "hann_periodic",
    nperseg: Any = None,
    noverlap: Any = None,
    nfft: Any = None,
    detrend: Any = "constant",
    axis: Any = -1,
) -> tuple[Array, Value]:
    """The frequencies, and the part of the power there that two signals share, from 0 to 1."""
    given = (fs, window, nperseg, noverlap, nfft, detrend, True, "density", axis)
    one, other = lift(g, x), lift(g, y)
    frequencies, both = csd(one, other, *given)
    size = g.add(*(g.mul(p, p) for p in (g.emit("real", both), g.emit("imag", both))))
    powers = [welch(v, *given)[1] for v in (one, other)]
    return frequencies, g.div(g.div(size, powers[0]), powers[1])
