"""Fourier transforms, of numbers whose last axis holds their real and imaginary parts, and what they are weighed by."""

from __future__ import annotations

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.known import FOLDED_BYTES
from gradserve.client.importers.lax.movement import part
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.builder import Value
from gradserve.ir.errors import LimitExceeded
from gradserve.numpy import fourier, windowing


def _numbers(n: Node, x: Operand) -> Value:
    """Real or complex numbers, by whether the last axis has one part or both."""
    g, last = n.g, x.rank - 1
    if x.rank < 2 or x.shape[last] not in (1, 2):
        raise ValueError("its last axis has not one part of numbers or two")
    parts = [g.reshape(part(g, x.value, last, k, k + 1), x.shape[:-1]) for k in range(x.shape[last])]
    return parts[0] if len(parts) == 1 else g.complex(*parts)


def _parts(n: Node, z: Value) -> Value:
    """Both parts along a new last axis."""
    g = n.g
    pair = [g.reshape(g.emit(name, z), (*z.shape, 1)) for name in ("real", "imag")]
    return g.emit("concatenate", *pair, axis=z.type.rank)


def _spectrum(n: Node, x: Value, length: int, axis: int, half: bool) -> Value:
    """The transform along an axis, or the first half of it."""
    if half and not x.type.is_complex:
        return fourier.rfft(x, length, axis)
    whole = fourier.fft(x, length, axis)
    return part(n.g, whole, axis, 0, length // 2 + 1) if half else whole


@translates("DFT", known=(1, 2))
def transform(n: Node, x: Operand, length: Operand | None = None, along: Operand | None = None) -> Result:
    """The transform along an axis or its inverse, of real numbers the first half if that is asked for."""
    g, z, told = n.g, _numbers(n, x), n.ints(1)
    (named,) = n.ints(2, "axis") or (1 if n.version < 20 else -2,)
    axis, half = axis_in(named, x.rank), bool(n.get("onesided", 0))
    if not n.get("inverse", 0):
        return _parts(n, _spectrum(n, z, told[0] if told else x.shape[axis], axis, half))
    if half:
        found = fourier.irfft(z, told[0] if told else 2 * (x.shape[axis] - 1), axis)
        return g.reshape(found, (*found.shape, 1))
    return _parts(n, fourier.ifft(z, told[0] if told else x.shape[axis], axis))


@translates("STFT", known=(1, 3))
def of_frames(n: Node, x: Operand, step: Operand, window: Operand | None = None, size: Operand | None = None) -> Result:
    """The transforms of windows of a signal, each weighed."""
    g, told, (stride,) = n.g, n.ints(3), n.ints(1) or (0,)
    length = told[0] if told else x.shape[1] if window is None else window.shape[0]
    frames = windowing.windows(_numbers(n, x), (length,), (1,), stride)
    if window is not None:
        frames = g.mul(frames, g.convert(window.value, frames.type.element_type))
    return _parts(n, _spectrum(n, frames, length, 2, bool(n.get("onesided", 1))))


@translates("MelWeightMatrix", known=(0, 1, 2, 3, 4))
def mel(n: Node, *operands: Operand) -> Result:
    """How much each frequency counts for each of the bins of pitch, which are triangles."""
    bins, length, rate, lowest, highest = (np.asarray(n.array(k)).item() for k in range(5))
    if not (bins > 0 and length > 0 and 8 * bins * length < FOLDED_BYTES and rate > 0):
        raise LimitExceeded("onnx_constant_bytes", f"a matrix of {length} x {bins} is made for frequencies")
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (lowest, highest))
    pitches = low + (high - low) / (bins + 2) * np.arange(bins + 2)
    edges = np.floor((length + 1) * 700 * (10 ** (pitches / 2595) - 1) / rate)
    first, middle, last = edges[:-2], edges[1:-1], edges[2:]
    k = np.arange(length // 2 + 1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rising, falling = (k - first) / (middle - first), (last - k) / (last - middle)
    rising = np.where(middle == first, 1.0, rising)
    below = (k >= first) & (k <= middle)
    found = np.where((k >= middle) & (k < last), falling, np.where(below, rising, 0.0))
    dtype = n.reader.elements.dtype(n.get("output_datatype", 1))
    return Operand(n.g.constant(found.astype(dtype)), dtype)
