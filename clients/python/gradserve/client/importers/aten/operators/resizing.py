"""Images in other sizes: along each axis a matrix, or positions, that are known while importing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.aten.operators.pools import times
from gradserve.client.importers.aten.table import Node, Result, require_small, translates
from gradserve.client.importers.lax import sampling
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.types import Array


def _scales(n: Node, x: Operand, told: Sequence[float] | None) -> list[tuple[int, int, int, float]]:
    """For each axis that is resized: itself, its length, the new one, and how many old elements a new one is."""
    count = x.rank - 2
    found = []
    for k in range(count):
        length, wanted = x.shape[2 + k], n.shape[2 + k]
        require_small(length * wanted)
        scale = told[k] if told is not None and told[k] else None
        found.append((2 + k, length, wanted, 1 / scale if scale else length / wanted))
    return found


@translates("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
def _nearest(
    n: Node, x: Operand, output_size: Sequence[int] | None, scale_factors: Sequence[float] | None = None, *more: float
) -> Result:
    """The nearest old element, that before the new one's begin."""
    found = x.value
    for axis, length, wanted, step in _scales(n, x, _told(scale_factors, more)):
        places = np.minimum(np.floor(np.arange(wanted) * np.float32(step)).astype(np.int64), length - 1)
        found = n.g.emit("gather", found, n.g.constant(places), axis=axis)
    return found


@translates("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d")
def _interpolated(
    n: Node,
    x: Operand,
    output_size: Sequence[int] | None,
    align_corners: bool,
    scale_factors: Sequence[float] | None = None,
    *more: float,
) -> Result:
    """The old elements weighed by how near they are to the new ones."""
    cubic, found = n.name == "upsample_bicubic2d", x.value
    for axis, length, wanted, step in _scales(n, x, _told(scale_factors, more)):
        places = _places(length, wanted, step, align_corners)
        kernel = sampling.cubic(-0.75) if cubic else sampling.linear
        bounded = places if cubic else np.clip(places, 0, length - 1)
        found = times(n, sampling.matrix(kernel, 2 if cubic else 1, bounded, length), found, axis)
    return found


@translates("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa")
def _smoothed(
    n: Node,
    x: Operand,
    output_size: Sequence[int] | None,
    align_corners: bool,
    scale_factors: Sequence[float] | None = None,
    *more: float,
) -> Result:
    """The old elements weighed by kernels that are as wide as the new ones are apart."""
    cubic, found = n.name == "_upsample_bicubic2d_aa", x.value
    for axis, length, wanted, step in _scales(n, x, _told(scale_factors, more)):
        if align_corners:
            step = (length - 1) / (wanted - 1) if wanted > 1 else 0.0
        places = (np.arange(wanted) + 0.5) * step - 0.5
        kernel = sampling.cubic(-0.5) if cubic else sampling.linear
        shares = sampling.matrix(kernel, 2 if cubic else 1, places, length, 1 / max(step, 1.0), exclude_outside=True)
        found = times(n, shares, found, axis)
    return found


def _told(scales: Sequence[float] | float | None, more: Sequence[float]) -> Sequence[float] | None:
    if isinstance(scales, float) or more:
        return [scales or 0.0, *(each or 0.0 for each in more)]  # type: ignore[list-item]
    return scales


def _places(length: int, wanted: int, step: float, align_corners: bool) -> Array:
    k = np.arange(wanted, dtype=np.float64)
    if align_corners:
        return k * ((length - 1) / (wanted - 1)) if wanted > 1 else np.zeros(wanted)
    return (k + 0.5) * step - 0.5
