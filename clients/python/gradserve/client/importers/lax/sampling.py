"""New elements among old ones along one axis, as matrices that are known while importing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from gradserve.ir.types import Array

Kernel: TypeAlias = Callable[[Array], Array]


def linear(distance: Array) -> Array:
    """The share of an old element that is so far away."""
    return np.asarray(np.maximum(1 - np.abs(distance), 0.0))


def cubic(a: float) -> Kernel:
    """Keys' kernel (1981), of the parameter a."""

    def kernel(distance: Array) -> Array:
        x = np.abs(distance)
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

    return kernel


def matrix(
    kernel: Kernel, reach: int, places: Array, length: int, shrink: float = 1.0, exclude_outside: bool = False
) -> Array:
    """The shares of the old elements in each new one; those outside are the first and the last one once more.

    `reach` is how far the kernel reaches, `shrink` how much wider it is than the old elements are apart.
    """
    support = math.ceil(reach / shrink)
    first = np.floor(places).astype(np.int64) - support
    near = first[:, None] + np.arange(2 * support + 2)
    shares = kernel((near - places[:, None]) * shrink)
    if exclude_outside:
        shares = np.where((near >= 0) & (near < length), shares, 0.0)
    shares = shares / shares.sum(axis=1, keepdims=True)
    found = np.zeros((len(places), length))
    np.add.at(found, (np.arange(len(places))[:, None], np.clip(near, 0, length - 1)), shares)
    return found
