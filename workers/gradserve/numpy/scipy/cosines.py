"""scipy.fft: transforms of cosines and sines, as parts of Fourier transforms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.numpy import fourier
from gradserve.numpy.arguments import Unsupported, axis_of, integer, to_float
from gradserve.numpy.fourier import checked_norm, grid, resized
from gradserve.numpy.table import implements_scipy


@dataclass(frozen=True)
class _Waves:
    """Sums y_k of x_n times cosines or sines, as parts of one Fourier transform of `length` elements.

    y_k is the real part, or minus the imaginary one, of turn_k times element k + `begin` of the transform of weight_n
    x_n, which stand from the element `begin` on.
    """

    length: int
    weight: Array
    turn: Array
    begin: int = 0
    ends_in: tuple[float, float] = (1.0, 1.0)
    """What the first and the last x are multiplied by where the transform is to be orthogonal."""
    ends_out: tuple[float, float] = (1.0, 1.0)
    """Likewise the first and the last y."""


_ROOT = math.sqrt(2.0)


def _cosines(kind: int, n: int) -> _Waves:
    """The transform of cosines of one of SciPy's types (N. Ahmed, T. Natarajan, K. Rao, 1974)."""
    twice = np.full(n, 2.0)
    if kind == 1:
        twice[[0, -1]] = 1.0
        return _Waves(2 * (n - 1), twice, np.ones(n), 0, (_ROOT, _ROOT), (1 / _ROOT, 1 / _ROOT))
    turn = np.exp(-0.5j * np.pi * np.arange(n) / n)
    if kind == 2:
        return _Waves(2 * n, twice, turn, ends_out=(1 / _ROOT, 1.0))
    if kind == 3:
        twice[0] = 1.0
        return _Waves(2 * n, twice * turn, np.ones(n), ends_in=(_ROOT, 1.0))
    return _Waves(2 * n, twice * turn, turn * np.exp(-0.25j * np.pi / n))


def _sines(kind: int, n: int) -> _Waves:
    """The transform of sines of one of SciPy's types."""
    twice = np.full(n, 2.0)
    if kind == 1:
        return _Waves(2 * (n + 1), twice, np.ones(n), 1)
    turn = np.exp(0.5j * np.pi * np.arange(1, n + 1) / n)
    if kind == 2:
        return _Waves(2 * n, twice, turn, 1, ends_out=(1.0, 1 / _ROOT))
    if kind == 3:
        twice[-1] = 1.0
        return _Waves(2 * n, twice * turn, np.ones(n), 1, ends_in=(1.0, _ROOT))
    return _cosines(4, n)


def _transformed(g: Builder, x: Value, waves: _Waves, axis: int, sines: bool, ends: bool, scale: float) -> Value:
    """The sums along an axis; of complex numbers those of both parts."""
    if x.type.is_complex:
        parts = [_transformed(g, v, waves, axis, sines, ends, scale) for v in (g.real(x), g.imag(x))]
        return g.emit("complex", *parts)
    n, rank = x.shape[axis], x.type.rank

    def along(factors: Array) -> Value:
        part = x.type.element_type if factors.dtype.kind == "f" else x.type.element_type.with_parts
        return g.constant(factors.astype(part.dtype).reshape(-1, *(1,) * (rank - 1 - axis)))

    weight, turn = (waves.weight, waves.turn * scale)
    if ends:
        weight, turn = weight * _at_ends(n, waves.ends_in), turn * _at_ends(n, waves.ends_out)
    low, high = ([amount if k == axis else 0 for k in range(rank)] for amount in (waves.begin, _after(waves, n)))
    wide = g.emit("pad", g.mul(x, along(weight)), low=tuple(low), high=tuple(high), interior=(0,) * rank)
    whole = fourier.fft(wide, None, axis) if wide.type.is_complex else fourier.rfft(wide, None, axis)
    starts = tuple(waves.begin if k == axis else 0 for k in range(rank))
    stops = tuple(waves.begin + n if k == axis else m for k, m in enumerate(whole.shape))
    turned = g.mul(g.emit("slice", whole, starts=starts, stops=stops, strides=(1,) * rank), along(turn))
    return -g.imag(turned) if sines else g.real(turned)


def _at_ends(n: int, ends: tuple[float, float]) -> Array:
    factors = np.ones(n)
    factors[0] *= ends[0]
    factors[-1] *= ends[1]
    return factors


def _after(waves: _Waves, n: int) -> int:
    """How many zeros stand behind the elements."""
    return waves.length - n - waves.begin


_INVERSE = {1: 1, 2: 3, 3: 2, 4: 4}


@dataclass(frozen=True)
class _Kind:
    """Which of the transforms of cosines or sines is asked for."""

    name: str
    kind: int
    norm: str
    orthogonal: bool
    sines: bool
    inverse: bool

    def along(self, g: Builder, x: Value, n: int | None, axis: int) -> Value:
        """The transform of n elements along an axis."""
        if x.type.is_complex and self.orthogonal != (self.norm == "ortho"):
            raise Unsupported(f"scipy.fft.{self.name} has no orthogonalize for complex numbers", "transform both parts")
        value = resized(g, x, x.shape[axis] if n is None else n, axis)
        count, kind = value.shape[axis], _INVERSE[self.kind] if self.inverse else self.kind
        if kind == 1 and not self.sines and count < 2:
            raise ValueError("DCT-I is not defined for size < 2")
        waves = _sines(kind, count) if self.sines else _cosines(kind, count)
        whole = self.norm == ("backward" if self.inverse else "forward")
        scale = waves.length**-0.5 if self.norm == "ortho" else 1 / waves.length if whole else 1.0
        return _transformed(g, value, waves, axis, self.sines, self.orthogonal, scale)


def _kind(name: str, type: Any, norm: Any, orthogonalize: Any) -> _Kind:
    number = integer(type, "a type")
    if number not in _INVERSE:
        raise ValueError(f"invalid type {number}: those of scipy.fft.{name} are 1, 2, 3 and 4")
    orthogonal = norm == "ortho" if orthogonalize is None else bool(orthogonalize)
    return _Kind(name, number, checked_norm(norm), orthogonal, "dst" in name, name.startswith("i"))


def _along_axis(g: Builder, name: str, x: Any, n: Any, axis: Any, *of_kind: Any) -> Value:
    value, kind = to_float(g, x), _kind(name, *of_kind)
    return kind.along(g, value, None if n is None else integer(n, "a length"), axis_of(value, axis, name))


def _along_axes(g: Builder, name: str, x: Any, s: Any, axes: Any, *of_kind: Any) -> Value:
    value, kind = to_float(g, x), _kind(name, *of_kind)
    for n, axis in grid(value, s, axes, name):
        value = kind.along(g, value, n, axis)
    return value


@implements_scipy("fft.dct")
def dct(
    g: Builder, x: Any, type: Any = 2, n: Any = None, axis: Any = -1, norm: Any = None, *, orthogonalize: Any = None
) -> Value:
    """The sums of numbers times cosines, of types 1 to 4."""
    return _along_axis(g, "dct", x, n, axis, type, norm, orthogonalize)


@implements_scipy("fft.idct")
def idct(
    g: Builder, x: Any, type: Any = 2, n: Any = None, axis: Any = -1, norm: Any = None, *, orthogonalize: Any = None
) -> Value:
    """The inverse of `dct`."""
    return _along_axis(g, "idct", x, n, axis, type, norm, orthogonalize)


@implements_scipy("fft.dst")
def dst(
    g: Builder, x: Any, type: Any = 2, n: Any = None, axis: Any = -1, norm: Any = None, *, orthogonalize: Any = None
) -> Value:
    """The sums of numbers times sines, of types 1 to 4."""
    return _along_axis(g, "dst", x, n, axis, type, norm, orthogonalize)


@implements_scipy("fft.idst")
def idst(
    g: Builder, x: Any, type: Any = 2, n: Any = None, axis: Any = -1, norm: Any = None, *, orthogonalize: Any = None
) -> Value:
    """The inverse of `dst`."""
    return _along_axis(g, "idst", x, n, axis, type, norm, orthogonalize)


@implements_scipy("fft.dctn")
def dctn(
    g: Builder, x: Any, type: Any = 2, s: Any = None, axes: Any = None, norm: Any = None, *, orthogonalize: Any = None
) -> Value:
    """The same as `dct` along several axes, all of them by default."""
    return _along_axes(g, "dctn", x, s, axes, type, norm, orthogonalize)


@implements_scipy("fft.idctn")
def idctn(
    g: Builder, x: Any, type: Any = 2, s: Any = None, axes: Any = None, norm: Any = None, *, orthogonalize: Any = None
) -> Value:
    """The inverse of `dctn`."""
    return _along_axes(g, "idctn", x, s, axes, type, norm, orthogonalize)


@implements_scipy("fft.dstn")
def dstn(
    g: Builder, x: Any, type: Any = 2, s: Any = None, axes: Any = None, norm: Any = None, *, orthogonalize: Any = None
) -> Value:
    """The same as `dst` along several axes, all of them by default."""
    return _along_axes(g, "dstn", x, s, axes, type, norm, orthogonalize)


@implements_scipy("fft.idstn")
def idstn(
    g: Builder, x: Any, type: Any = 2, s: Any = None, axes: Any = None, norm: Any = None, *, orthogonalize: Any = None
) -> Value:
    """The inverse of `dstn`."""
    return _along_axes(g, "idstn", x, s, axes, type, norm, orthogonalize)
