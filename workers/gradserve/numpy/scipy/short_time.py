"""scipy.signal: transforms of short times, and signals by them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array
from gradserve.numpy import fourier
from gradserve.numpy.arguments import Unsupported, axis_of, to_float
from gradserve.numpy.padding import pad
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.scipy.spectra import segments, window_of
from gradserve.numpy.shaping import moveaxis, part
from gradserve.numpy.table import implements_scipy


def _scale(g: Builder, samples: Value, fs: float, scaling: str) -> Value:
    """By what a transform is divided."""
    if scaling == "spectrum":
        return sum_along(samples)
    if scaling != "psd":
        raise ValueError(f"Parameter scaling={scaling!r} not in ['spectrum', 'psd']!")
    return g.sqrt(g.mul(sum_along(g.mul(samples, samples)), fs))


def _step(size: int, noverlap: Any, nfft: int) -> int:
    """From segment to segment."""
    overlap = size // 2 if noverlap is None else int(noverlap)
    if nfft < size or overlap >= size:
        raise ValueError(f"nfft={nfft} must be at least nperseg={size}, and noverlap={overlap} less than that")
    return size - overlap


@implements_scipy("signal.stft")
def stft(
    g: Builder,
    x: Any,
    fs: float = 1.0,
    window: Any = "hann_periodic",
    nperseg: Any = 256,
    noverlap: Any = None,
    nfft: Any = None,
    detrend: Any = False,
    return_onesided: bool = True,
    boundary: Any = "zeros",
    padded: bool = True,
    axis: Any = -1,
    scaling: str = "spectrum",
) -> tuple[Array, Array, Value]:
    """The frequencies, the times, and the transforms of the segments of a signal, each times a window."""
    if boundary not in ("zeros", None):
        raise Unsupported(f"scipy.signal.stft with boundary={boundary!r} cannot be traced", "write np.pad before it")
    whole = to_float(g, x)
    along = axis_of(whole, axis, "stft")
    signal = moveaxis(whole, along, -1)
    samples = window_of(g, window, nperseg, signal.shape[-1])
    size = samples.type.size
    count = int(nfft or size)
    step, rank = _step(size, noverlap, count), signal.type.rank
    beside = size // 2 if boundary else 0
    length = signal.shape[-1] + 2 * beside
    behind = (-(length - size) % step) % size if padded else 0
    signal = pad(signal, [(0, 0)] * (rank - 1) + [(beside, beside + behind)])
    one_sided = return_onesided and not signal.type.is_complex
    found = g.div(segments(g, signal, samples, step, count, detrend, one_sided), _scale(g, samples, fs, scaling))
    frequencies = np.fft.rfftfreq(count, 1 / fs) if one_sided else np.fft.fftfreq(count, 1 / fs)
    times = (np.arange(size / 2, length + behind - size / 2 + 1, step) - (size / 2 if boundary else 0)) / fs
    return frequencies, times, moveaxis(found, -1, along - rank - 1 if axis < 0 else along)


@implements_scipy("signal.istft")
def istft(
    g: Builder,
    Zxx: Any,
    fs: float = 1.0,
    window: Any = "hann_periodic",
    nperseg: Any = None,
    noverlap: Any = None,
    nfft: Any = None,
    input_onesided: bool = True,
    boundary: bool = True,
    time_axis: Any = -1,
    freq_axis: Any = -2,
    scaling: str = "spectrum",
) -> tuple[Array, Value]:
    """The times, and the signal of which these are the transforms of short times, by overlapping segments."""
    given = to_float(g, Zxx)
    axes = axis_of(given, freq_axis, "istft"), axis_of(given, time_axis, "istft")
    spectra = moveaxis(given, axes, (-1, -2))
    usual = 2 * (spectra.shape[-1] - 1) if input_onesided else spectra.shape[-1]
    size = usual if nperseg is None else int(nperseg)
    count = int(nfft) if nfft is not None else size if input_onesided and size == usual + 1 else usual
    samples = window_of(g, window, size, size)
    step = _step(size, noverlap, count)
    pieces = fourier.irfft(spectra, count) if input_onesided else fourier.ifft(spectra, count)
    pieces = g.mul(part(pieces, pieces.type.rank - 1, 0, size), g.mul(samples, _scale(g, samples, fs, scaling)))
    number = pieces.shape[-2]
    places = (step * np.arange(number)[:, None] + np.arange(size)).ravel()
    length = size + (number - 1) * step

    def added(values: Value) -> Value:
        """Of all segments, each at its place."""
        flat = g.reshape(values, (*values.shape[:-2], number * size))
        whole = g.emit("scatter_add", flat, places, axis=flat.type.rank - 1, length=length)
        return part(whole, whole.type.rank - 1, size // 2, length - size // 2) if boundary else whole

    squares = added(g.broadcast(g.mul(samples, samples), (number, size)))
    found = g.div(added(pieces), g.select(g.gt(squares, 1e-10), squares, 1.0))
    return np.arange(found.shape[-1]) / fs, found
