"""np.fft: discrete Fourier transforms, their inverses, and those of real and of Hermitian arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import axis_of, integer, integers, lift, refuse, to_float
from gradserve.numpy.table import implements
from gradserve.ops.elementwise.parts import conjugate
from gradserve.ops.fourier.transforms import NORMS

EXCHANGED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def _length(x: Value, n: Any, axis: int) -> int:
    return x.shape[axis] if n is None else integer(n, "a length")


def resized(g: Builder, x: Value, length: int, axis: int) -> Value:
    """x cut off or filled with zeros along the axis."""
    own, rank = x.shape[axis], x.type.rank
    if length < 1:
        refuse(g, "fft", f"invalid number of data points ({length})")
    if length < own:
        stops = tuple(length if k == axis else m for k, m in enumerate(x.shape))
        return g.emit("slice", x, starts=(0,) * rank, stops=stops, strides=(1,) * rank)
    if length > own:
        high = tuple(length - own if k == axis else 0 for k in range(rank))
        return g.emit("pad", x, low=(0,) * rank, high=high, interior=(0,) * rank)
    return x


def _as_complex(g: Builder, a: Any) -> Value:
    x = to_float(g, a)
    return g.convert(x, x.type.element_type.with_parts)


def checked_norm(norm: Any) -> str:
    """The norm that is asked for, by its full name."""
    if norm not in (None, *NORMS):
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return norm or "backward"


def _complex_transform(g: Builder, a: Any, n: Any, axis: Any, norm: Any, inverse: bool) -> Value:
    x = _as_complex(g, a)
    along = axis_of(x, axis, "ifft" if inverse else "fft")
    return g.emit(
        "fft", resized(g, x, _length(x, n, along), along), axis=along, norm=checked_norm(norm), inverse=inverse
    )


@implements(np.fft.fft)
def fft(g: Builder, a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Value:
    """The discrete Fourier transform along an axis, cut off or filled with zeros to n elements."""
    return _complex_transform(g, a, n, axis, norm, inverse=False)


@implements(np.fft.ifft)
def ifft(g: Builder, a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Value:
    """The inverse of `fft`."""
    return _complex_transform(g, a, n, axis, norm, inverse=True)


@implements(np.fft.rfft)
def rfft(g: Builder, a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Value:
    """The first half of the transform of real numbers."""
    x = to_float(g, a)
    if x.type.is_complex:
        refuse(g, "rfft", f"{x.type} is not real; write np.fft.fft")
    along = axis_of(x, axis, "rfft")
    return g.emit("rfft", resized(g, x, _length(x, n, along), along), axis=along, norm=checked_norm(norm))


@implements(np.fft.irfft)
def irfft(g: Builder, a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Value:
    """The n real numbers whose transform begins with a; twice as many as it has elements, less two, by default."""
    x = _as_complex(g, a)
    along = axis_of(x, axis, "irfft")
    length = 2 * (x.shape[along] - 1) if n is None else integer(n, "a length")
    half = resized(g, x, length // 2 + 1, along)
    return g.emit("irfft", half, axis=along, norm=checked_norm(norm), length=length)


@implements(np.fft.hfft)
def hfft(g: Builder, a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Value:
    """The transform, which is real, of numbers that are conjugate to each other from both ends, given one half."""
    checked_norm(norm)
    return irfft(conjugate(g, _as_complex(g, a)), n, axis, EXCHANGED[norm])


@implements(np.fft.ihfft)
def ihfft(g: Builder, a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Value:
    """The inverse of `hfft`."""
    checked_norm(norm)
    return g.conj(rfft(lift(g, a), n, axis, EXCHANGED[norm]))


def grid(x: Value, s: Any, axes: Any, function: str) -> list[tuple[int | None, int]]:
    """The length and the axis of each transform in turn; None for the length that there is."""
    lengths = None if s is None else integers(s, "a shape")
    if axes is None:
        along = tuple(range(x.type.rank))[-len(lengths) :] if lengths else tuple(range(x.type.rank))
    else:
        along = tuple(axis_of(x, axis, function) for axis in integers(axes, "an axis"))
    if lengths is not None and len(lengths) != len(along):
        raise ValueError("Shape and axes have different lengths.")
    wanted = [None] * len(along) if lengths is None else [None if n == -1 else n for n in lengths]
    return list(zip(wanted, along, strict=True))


def _each(g: Builder, x: Value, along: list[tuple[int | None, int]], norm: Any, inverse: bool) -> Value:
    """The complex transform along each axis, the last one first, as in NumPy."""
    for n, axis in reversed(along):
        x = _complex_transform(g, x, n, axis, norm, inverse)
    return x


@implements(np.fft.fftn)
def fftn(g: Builder, a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
    """The transform along several axes, all of them by default."""
    x = lift(g, a)  # of a single number there is no transform, and NumPy gives it as it is
    return _each(g, x, grid(x, s, axes, "fftn"), norm, inverse=False)


@implements(np.fft.ifftn)
def ifftn(g: Builder, a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
    """The inverse of `fftn`."""
    x = lift(g, a)  # of a single number there is no transform, and NumPy gives it as it is
    return _each(g, x, grid(x, s, axes, "ifftn"), norm, inverse=True)


@implements(np.fft.rfftn)
def rfftn(g: Builder, a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
    """The transform of real numbers along several axes, of the last one the first half."""
    x = lift(g, a)
    *others, (n, axis) = grid(x, s, axes, "rfftn")
    return _each(g, rfft(x, n, axis, norm), others, norm, inverse=False)


@implements(np.fft.irfftn)
def irfftn(g: Builder, a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
    """The inverse of `rfftn`."""
    x = _as_complex(g, a)
    *others, (n, axis) = grid(x, s, axes, "irfftn")
    for length, along in others:
        x = _complex_transform(g, x, length, along, norm, inverse=True)
    return irfft(x, n, axis, norm)


@implements(np.fft.fft2)
def fft2(g: Builder, a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
    """The transform along two axes, the last ones by default."""
    return fftn(lift(g, a), s, axes, norm)


@implements(np.fft.ifft2)
def ifft2(g: Builder, a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
    """The inverse of `fft2`."""
    return ifftn(lift(g, a), s, axes, norm)


@implements(np.fft.rfft2)
def rfft2(g: Builder, a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
    """The transform of real numbers along two axes, of the last one the first half."""
    return rfftn(lift(g, a), s, axes, norm)


@implements(np.fft.irfft2)
def irfft2(g: Builder, a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
    """The inverse of `rfft2`."""
    return irfftn(lift(g, a), s, axes, norm)
