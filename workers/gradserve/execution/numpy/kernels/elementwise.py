"""Elementwise ops: NumPy's ufuncs, and quicker ways where NumPy has them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.execution.numpy.kernels.table import Kernel, M, kernel, plain
from gradserve.ir.types import Array, TensorType
from gradserve.ops.elementwise.arithmetic import Add, Div, Mul, Neg, Sub
from gradserve.ops.elementwise.clipping import Clip
from gradserve.ops.elementwise.comparison import Select
from gradserve.ops.elementwise.conversion import Convert
from gradserve.ops.elementwise.differentiate_as import DifferentiateAs
from gradserve.ops.elementwise.entire import Stumpff
from gradserve.ops.elementwise.hypotenuse import Cosine, HypotExcess, RootSumSquare
from gradserve.ops.elementwise.parts import Complex, Imag, Real
from gradserve.ops.elementwise.powers import Cbrt, LogAddExp, Logistic
from gradserve.ops.elementwise.rounding import Round
from gradserve.ops.elementwise.slopes import NEAR, Bell, LogisticSlope, OneMinusSquare, TanhSlope
from gradserve.ops.elementwise.stop_gradient import StopGradient
from gradserve.ops.family import Elementwise

_WORTH_VECTORS = 64


def _elementwise(*ops: type[Any], symbol: str = "") -> Callable[[M], M]:
    """An entry of ufuncs, which broadcast by themselves and write where they are told."""
    return kernel(*ops, broadcasts=True, overwrites=True, symbol=symbol)


@_elementwise(Elementwise)
def _ufunc(op: Elementwise, types: Sequence[TensorType]) -> Kernel:
    """The function of the op's name itself, if that is all that the op does."""
    if type(op).impl is Elementwise.impl:
        return getattr(np, op.function)  # type: ignore[no-any-return]
    return plain(op, types)


_elementwise(Add, symbol=" + ")(_ufunc)
_elementwise(Sub, symbol=" - ")(_ufunc)
_elementwise(Mul, symbol=" * ")(_ufunc)
_elementwise(Div, symbol=" / ")(_ufunc)
_elementwise(Neg, symbol="-")(_ufunc)
kernel(Select, StopGradient, Stumpff, broadcasts=True)(_ufunc)
kernel(DifferentiateAs)(_ufunc)


@kernel(Convert, broadcasts=True)
def _convert(op: Convert, types: Sequence[TensorType]) -> Kernel:
    """The array's own method."""
    del types
    return operator.methodcaller("astype", op.element_type.dtype)


@kernel(Clip, broadcasts=True)
def _clip(op: Clip, types: Sequence[TensorType]) -> Kernel:
    del op, types
    maximum, minimum = np.maximum, np.minimum
    return lambda x, low, high: minimum(maximum(x, low), high)


@_elementwise(Round)
def _round(op: Round, types: Sequence[TensorType]) -> Kernel:
    """np.rint for reals: the same numbers without the detour through Python."""
    return np.rint if types[0].is_float else _ufunc(op, types)


@_elementwise(Logistic)
def _logistic(op: Logistic, types: Sequence[TensorType]) -> Kernel:
    """One array for all four steps."""
    return _logistic_of_arrays if types[0].shape else plain(op, types)


def _logistic_of_arrays(x: Array, out: Array | None = None) -> Array:
    y = np.negative(x, out=out)
    np.exp(y, out=y)
    np.add(y, 1.0, out=y)
    return np.divide(1.0, y, out=y)


@_elementwise(Cbrt)
def _cbrt(op: Cbrt, types: Sequence[TensorType]) -> Kernel:
    del op, types
    return np.cbrt


kernel(Complex, Imag, Real, broadcasts=True)(plain)
kernel(Bell, Cosine, HypotExcess, LogisticSlope, OneMinusSquare, RootSumSquare, broadcasts=True)(plain)


@kernel(TanhSlope, broadcasts=True)
def _tanh_slope(op: TanhSlope, types: Sequence[TensorType]) -> Kernel:
    """From x where it is needed."""
    return _tanh_slope_of_arrays if types[0].shape else plain(op, types)


def _tanh_slope_of_arrays(x: Array, y: Array) -> Array:
    slope = np.multiply(y, y)
    np.subtract(1.0, slope, out=slope)
    far = slope < 1.0 - NEAR
    if np.count_nonzero(far):
        # np.broadcast_to takes as long as the rest on small arrays.
        own = x if np.shape(x) == slope.shape else np.broadcast_to(x, slope.shape)
        slope[far] = TanhSlope.far(np, own[far])
    return slope


@_elementwise(LogAddExp)
def _logaddexp(op: LogAddExp, types: Sequence[TensorType]) -> Kernel:
    """By the vectorised exp and log1p: np.logaddexp takes seven times as long on arrays."""
    return _logaddexp_of_arrays if any(t.size >= _WORTH_VECTORS for t in types) else _ufunc(op, types)


def _logaddexp_of_arrays(x: Any, y: Any, out: Array | None = None) -> Array:
    greater = np.maximum(x, y)
    gap = np.subtract(np.minimum(x, y, out=out), greater, out=out)
    share = np.fmin(np.exp(gap, out=gap), 1.0, out=gap)  # of two equal infinities the gap is NaN, and the share is 1
    total: Array = np.add(greater, np.log1p(share, out=share), out=share)
    return total
