"""Reductions by functions of two numbers that have no op for it: of halves, and halves of halves, until one is left."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import lift, reduced_axes, to_float
from gradserve.numpy.joining import concatenate
from gradserve.numpy.shaping import part
from gradserve.numpy.table import UFUNCS, implements


def _folded(g: Builder, x: Value, axis: int, combine: Callable[..., Value]) -> Value:
    """One element along an axis, by as many steps as its length has binary digits."""
    while (length := x.shape[axis]) > 1:
        half = length // 2
        found = combine(g, part(x, axis, 0, half), part(x, axis, half, 2 * half))
        x = concatenate([found, part(x, axis, 2 * half, length)], axis=axis) if length % 2 else found
    return x


def _reduce(ufunc: np.ufunc, said: str, identity: float | None = None) -> None:
    def apply(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
        x = lift(g, a) if identity is None else to_float(g, a)
        axes = reduced_axes(x, axis, f"{ufunc.__name__}.reduce")
        one = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
        if not x.type.size:
            if identity is None:
                raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
            found = g.full(x.type.with_shape(one), identity)
        else:
            for each in axes:
                x = _folded(g, x, each, UFUNCS[ufunc])
            found = x if identity is None else UFUNCS[ufunc](g, x, g.full(x.type, identity))
        return found if keepdims else g.reshape(found, tuple(n for k, n in enumerate(one) if k not in axes))

    apply.__doc__ = said
    implements(ufunc.reduce)(apply)


_reduce(np.hypot, "The root of the sum of squares along axes, which does not overflow.", 0.0)
_reduce(np.logaddexp2, "The logarithm to base 2 of the sum of powers of 2 along axes.", -math.inf)
_reduce(np.fmax, "The largest element along axes that is a number.")
_reduce(np.fmin, "The smallest element along axes that is a number.")
