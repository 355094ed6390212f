"""Complex numbers and their parts, and Fourier transforms; gradients are JAX's, the conjugates of torch's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.aten.table import Given, Node, Result, translates
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import stack
from gradserve.client.importers.lax.parts import conjugate, part_of
from gradserve.ir.builder import Value
from gradserve.numpy import elementwise, fourier, shaping

_FORWARD = ("backward", "ortho", "forward")
"""NumPy's names of torch's scales: none, by the root of the length, by the length."""
_INVERSE = _FORWARD[::-1]


@translates("complex")
def _complex(n: Node, x: Operand, y: Operand) -> Result:
    """x + iy."""
    return n.g.complex(*n.g.align([x.value, y.value]))


@translates("polar")
def _polar(n: Node, size: Operand, angle: Operand) -> Result:
    """The number of that size and angle."""
    r, phi = n.g.align([size.value, angle.value])
    return n.g.complex(n.g.mul(r, n.g.cos(phi)), n.g.mul(r, n.g.sin(phi)))


@translates("view_as_complex", "view_as_complex_copy")
def _view_as_complex(n: Node, x: Operand) -> Result:
    """Pairs along the last axis as numbers."""
    parts = [n.g.reshape(shaping.part(x.value, x.rank - 1, k, k + 1, 1), n.shape) for k in (0, 1)]
    return n.g.complex(*parts)


@translates("view_as_real", "view_as_real_copy")
def _view_as_real(n: Node, x: Operand) -> Result:
    """Numbers as pairs along a last axis."""
    parts = [Operand(n.g.emit(name, x.value), n.dtype) for name in ("real", "imag")]
    return stack(n.g, parts, x.rank)


@translates("real", "imag")
def _part(n: Node, x: Operand) -> Result:
    """A part of numbers."""
    return part_of(n.name)(n.g, x)


@translates("conj", "_conj", "conj_physical", "_conj_physical", "_conj_copy")
def _conjugate(n: Node, x: Operand) -> Result:
    """x - iy of x + iy."""
    return conjugate(n.g, x) if x.is_complex else x


@translates("angle")
def _angle(n: Node, x: Operand) -> Result:
    """The angle of numbers: of real ones 0 or pi."""
    if x.is_complex:
        return elementwise.angle(x.value)
    value = n.of(x)
    return n.g.select(n.g.lt(value, 0), np.pi, n.g.mul(n.g.stop_gradient(value), 0.0))


@translates("_fft_c2c")
def _complex_transform(n: Node, x: Operand, dim: Sequence[int], normalization: int, forward: bool) -> Result:
    """The transform along axes, or its inverse, of complex numbers."""
    transform, norms = (fourier.fftn, _FORWARD) if forward else (fourier.ifftn, _INVERSE)
    return transform(x.value, axes=tuple(dim), norm=norms[normalization]) if dim else x


@translates("_fft_r2c")
def _of_reals(n: Node, x: Operand, dim: Sequence[int], normalization: int, onesided: bool) -> Result:
    """The transform along axes of real numbers, or along the last of them the first half."""
    transform = fourier.rfftn if onesided else fourier.fftn
    return transform(x.value, axes=tuple(dim), norm=_FORWARD[normalization])


@translates("_fft_c2r")
def _to_reals(n: Node, x: Operand, dim: Sequence[int], normalization: int, last_dim_size: int) -> Result:
    """The inverse of half a transform, whose result is real."""
    lengths = [*(x.shape[axis] for axis in dim[:-1]), last_dim_size]
    return fourier.irfftn(x.value, tuple(lengths), axes=tuple(dim), norm=_INVERSE[normalization])


@translates("vdot")
def _vdot(n: Node, x: Operand, y: Operand) -> Result:
    """The inner product, of which the first is conjugated."""
    return n.g.reduce_sum(n.g.mul(_conjugated(n, x), n.of(y)), axes=(0,))


def _conjugated(n: Node, x: Given) -> Value:
    value = n.of(x)
    return n.g.conj(value) if value.type.is_complex else value
