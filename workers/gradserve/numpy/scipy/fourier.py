"""scipy.fft: NumPy's transforms by the same names, and Hermitian ones of several axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import fourier, repeating
from gradserve.numpy.arguments import integer, lift, to_float
from gradserve.numpy.fourier import EXCHANGED, checked_norm
from gradserve.numpy.table import implements_scipy
from gradserve.ops.elementwise.parts import conjugate


def _enter_those_of_numpy() -> None:
    for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
        implements_scipy(f"fft.{name}")(_along_one(getattr(fourier, name)))
    for name in ("fft2", "ifft2", "rfft2", "irfft2"):
        implements_scipy(f"fft.{name}")(_along_two(getattr(fourier, name)))
    for name in ("fftn", "ifftn", "rfftn", "irfftn"):
        implements_scipy(f"fft.{name}")(_along_several(getattr(fourier, name)))


def _along_one(transform: Callable[..., Value]) -> Callable[..., Value]:
    def call(g: Builder, x: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Value:
        return transform(lift(g, x), n, axis, norm)

    call.__doc__ = transform.__doc__
    return call


def _along_two(transform: Callable[..., Value]) -> Callable[..., Value]:
    def call(g: Builder, x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
        return transform(lift(g, x), s, axes, norm)

    call.__doc__ = transform.__doc__
    return call


def _along_several(transform: Callable[..., Value]) -> Callable[..., Value]:
    def call(g: Builder, x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
        return transform(lift(g, x), s, axes, norm)

    call.__doc__ = transform.__doc__
    return call


_enter_those_of_numpy()


@implements_scipy("fft.hfftn")
def hfftn(g: Builder, x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
    """The transform, which is real, of numbers that are conjugate to each other from both ends, along several axes."""
    checked_norm(norm)
    return fourier.irfftn(conjugate(g, to_float(g, x)), s, axes, EXCHANGED[norm])


@implements_scipy("fft.ihfftn")
def ihfftn(g: Builder, x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
    """The inverse of `hfftn`."""
    checked_norm(norm)
    return conjugate(g, fourier.rfftn(lift(g, x), s, axes, EXCHANGED[norm]))


@implements_scipy("fft.hfft2")
def hfft2(g: Builder, x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
    """The same as `hfftn` along two axes, the last ones by default."""
    return hfftn(lift(g, x), s, axes, norm)


@implements_scipy("fft.ihfft2")
def ihfft2(g: Builder, x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
    """The inverse of `hfft2`."""
    return ihfftn(lift(g, x), s, axes, norm)


@implements_scipy("fft.fftshift")
def fftshift(g: Builder, x: Any, axes: Any = None) -> Value:
    """The halves along axes exchanged, so that the first element comes into the middle."""
    return repeating.fftshift(lift(g, x), axes)


@implements_scipy("fft.ifftshift")
def ifftshift(g: Builder, x: Any, axes: Any = None) -> Value:
    """What fftshift undoes."""
    return repeating.ifftshift(lift(g, x), axes)


@implements_scipy("fft.fftfreq")
def fftfreq(g: Builder, n: Any, d: Any = 1.0) -> Value:
    """The frequencies of the elements of a transform of n numbers with spacing d."""
    count = integer(n, "a length")
    return g.div(g.constant(np.fft.fftfreq(count)), to_float(g, d))


@implements_scipy("fft.rfftfreq")
def rfftfreq(g: Builder, n: Any, d: Any = 1.0) -> Value:
    """The frequencies of the elements of a transform of n real numbers with spacing d."""
    count = integer(n, "a length")
    return g.div(g.constant(np.fft.rfftfreq(count)), to_float(g, d))
