"""Clusters: eigenvalues or singular values so near to each other that rounding decides on their vectors.

Rounding turns the vectors of two values by about eps |A| / gap, and a derivative of the vectors is as uncertain,
relative to its size. Values nearer than `tolerance` form a cluster: below it fewer than five digits of eight are left.
In a cluster any orthonormal basis of the space that the vectors span would do as well. What depends on the choice has
no derivative, and what does not cannot be told from one choice: it is written as a function of the matrix instead.

Everything but the words is written for any array namespace `xp`. Values are in order along the last axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradserve.ir.types import Array

NOISE = 8.0
"""What rounding does to a matrix while it is decomposed, in multiples of eps sqrt(n) |A|."""

WORDS: Mapping[str, tuple[str, str, str]] = {
    "eigh": ("eigenvalue", "eigenvectors", "Q f(w) Q.T"),
    "svd": ("singular value", "singular vectors", "U f(s) Vh"),
}
"""What the values and the vectors are called, and a product that does not depend on the choice."""


def eps(xp: Any, x: Array) -> float:
    """The spacing of the numbers of this precision at 1."""
    return float(xp.finfo(x.dtype).eps)


def tolerance(xp: Any, x: Array) -> float:
    """The gap, relative to the largest value, below which values form a cluster: 1.3e-6, or 2.5e-3 of 32 bits."""
    return float(eps(xp, x) ** 0.375)


def largest(xp: Any, x: Array) -> Any:
    """The greatest absolute value along the last axis, which is kept; 0 of none."""
    if not x.shape[-1]:
        return xp.zeros((*x.shape[:-1], 1), dtype=x.dtype)
    return xp.max(xp.abs(x), axis=-1, keepdims=True)


def zero(xp: Any, x: Array) -> Any:
    """For each matrix, the size up to which its values are zero to rounding; the last axis is kept."""
    return largest(xp, x) * (x.shape[-1] * eps(xp, x))


def near(xp: Any, x: Array) -> Any:
    """Whether each value is in one cluster with the next: one element fewer than there are values."""
    return xp.abs(x[..., 1:] - x[..., :-1]) <= tolerance(xp, x) * largest(xp, x)


def clustered(xp: Any, x: Array) -> Any:
    """Whether each value lies in a cluster."""
    if not x.shape[-1]:
        return xp.zeros(x.shape, dtype=xp.bool)
    links = near(xp, x)
    none = xp.zeros((*x.shape[:-1], 1), dtype=xp.bool)
    return xp.logical_or(xp.concat([none, links], axis=-1), xp.concat([links, none], axis=-1))


def together(xp: Any, x: Array) -> Any:
    """For each pair of values whether they are of one cluster, or the same."""
    breaks = xp.astype(xp.logical_not(near(xp, x)), xp.int32)
    labels = xp.cumulative_sum(breaks, axis=-1, include_initial=True)[..., : x.shape[-1]]
    return xp.expand_dims(labels, axis=-1) == xp.expand_dims(labels, axis=-2)


def touched(xp: Any, x: Array, start: int, stop: int) -> Any:
    """For each value whether one of its cluster, or it itself, is one of `start` to `stop`."""
    return xp.any(together(xp, x)[..., start:stop], axis=-1)


def mixing(xp: Any, x: Array) -> Any:
    """How far rounding may turn the vectors of each pair in a cluster into each other: from 0 to 1; 0 of others."""
    n = x.shape[-1]
    gaps = xp.abs(xp.expand_dims(x, axis=-1) - xp.expand_dims(x, axis=-2))
    noise = xp.expand_dims(16 * n * eps(xp, x) * largest(xp, x), axis=-1)
    wide = gaps > noise
    share = xp.where(wide, noise / xp.where(wide, gaps, xp.ones_like(gaps)), xp.ones_like(gaps))
    pairs = xp.logical_and(together(xp, x), xp.logical_not(xp.eye(n, dtype=xp.bool)))
    return xp.where(pairs, share, xp.zeros_like(share))


def uneven(xp: Any, x: Array, weights: Array, start: int) -> Any:
    """The pairs of a cluster whose cotangents differ, so that the pullback depends on the choice of vectors.

    The weights are those of the values from `start` on; there may be further axes in front.
    """
    *lead, count = weights.shape
    before = xp.zeros((*lead, start), dtype=weights.dtype)
    after = xp.zeros((*lead, x.shape[-1] - start - count), dtype=weights.dtype)
    whole = xp.concat([before, weights, after], axis=-1)
    spread = xp.abs(xp.expand_dims(whole, axis=-1) - xp.expand_dims(whole, axis=-2)) * mixing(xp, x)
    return spread > eps(xp, x) ** 0.5 * xp.expand_dims(largest(xp, weights), axis=-1)


def splitting(xp: Any, x: Array, between: Array, size: Array, start: int, stop: int) -> Any:
    """The pairs of a cluster that a direction parts, so that they have directional derivatives alone.

    `between` is the direction between the vectors, and `size` its size; clusters beside `start` to `stop` are let pass.
    """
    between = (between + xp.matrix_transpose(between)) / 2
    diagonal = xp.linalg.diagonal(between)
    apart = xp.abs(xp.expand_dims(diagonal, axis=-1) - xp.expand_dims(diagonal, axis=-2)) + xp.abs(between)
    parted = apart * mixing(xp, x) > eps(xp, x) ** 0.5 * size
    return xp.logical_and(parted, xp.expand_dims(touched(xp, x, start, stop), axis=-1))


def inexact(xp: Any, x: Array, inverse: Array, factor: Array, result: Array) -> Any:
    """For each matrix whether rounding leaves vectors that nearly vanish fewer than half of the digits.

    The vectors of a pair are known up to a rotation by eps |A| / gap; it moves `factor` by so much of its own size, and
    the result by as much, divided by the gap. A result that vanishes though all values lie apart is no worse than other
    differences: it is measured by |factor| / |A|. The limit is a part sqrt(eps) of the result.
    """
    scale = largest(xp, x)[..., 0]
    noise = NOISE * eps(xp, x) * x.shape[-1] ** 0.5 * scale
    size = xp.max(xp.abs(factor), axis=(-2, -1))
    blurred = noise * xp.max(inverse**2, axis=(-2, -1)) * size
    apart = size / (2 * scale)
    return blurred > eps(xp, x) ** 0.5 * xp.maximum(xp.max(xp.abs(result), axis=(-2, -1)), apart)


def place(position: tuple[int, ...]) -> str:
    """Which matrix of a stack, in words; nothing for the only one."""
    return f" of matrix [{', '.join(map(str, position))}]" if position else ""


def own_position(position: tuple[int, ...], x: Array) -> tuple[int, ...]:
    """The position in the stack of x of one that may have further axes in front."""
    return position[len(position) - (x.ndim - 1) :]


def described(of: str, x: Array, position: tuple[int, ...], first: int, last: int) -> str:
    """Values of one matrix in words: which ones, near what, and their largest gap."""
    values = x[position][first : last + 1]
    gap = float(np.max(np.abs(np.diff(values))))
    return (
        f"{WORDS[of][0]}s {first} to {last}{place(position)} form a cluster near "
        f"{float(values[0]):.6g} with gap {gap:.2g}"
    )


def described_at(of: str, x: Array, position: tuple[int, ...], k: int) -> str:
    """The cluster of value k in words."""
    members = np.flatnonzero(together(np, x[position])[k])
    return described(of, x, position, int(members[0]), int(members[-1]))


def choice(of: str) -> str:
    """Why what depends, or may depend, on the choice of vectors in a cluster is refused."""
    _, vectors, sandwich = WORDS[of]
    return (
        f"the result depends on which {vectors} of the cluster are chosen, unless it is made of products such as "
        f"{sandwich} and of sums over f of all values, which have derivatives"
    )
