"""Clusters: eigenvalues or singular values so near to each other that rounding decides on their vectors.

Rounding turns the vectors of two values by about eps |A| / gap, and a derivative of the vectors is as uncertain,
relative to its size. Values nearer than `tolerance` form a cluster: below it fewer than five digits of eight are left.
In a cluster any orthonormal basis of the space that the vectors span would do as well. What depends on the choice has
no derivative, and what does not cannot be told from one choice: it is written as a function of the matrix instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from gradserve.ir.errors import NotDifferentiable, Violation
from gradserve.ir.types import Array

NOISE = 8.0
"""What rounding does to a matrix while it is decomposed, in multiples of eps sqrt(n) |A|."""

_WORDS: Mapping[str, tuple[str, str]] = {
    "eigh": ("eigenvalue", "eigenvectors"),
    "svd": ("singular value", "singular vectors"),
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The values `first` to `last` of one matrix, which is at `position` in the stack of matrices."""

    position: tuple[int, ...]
    first: int
    last: int


def eps(x: Array) -> float:
    """The spacing of the numbers of this precision at 1."""
    return float(np.finfo(x.dtype).eps)


def tolerance(x: Array) -> float:
    """The gap, relative to the largest value, below which values form a cluster: 1.3e-6, or 2.5e-3 of 32 bits."""
    return float(eps(x) ** 0.375)


def zero(x: Array) -> Array:
    """For each matrix, the size up to which its values are zero to rounding."""
    return np.asarray(x.shape[-1] * eps(x) * np.max(np.abs(x), axis=-1, initial=0.0))


def clusters(x: Array) -> Iterator[Cluster]:
    """The clusters among values in order, along the last axis."""
    largest = np.max(np.abs(x), axis=-1, initial=0.0)
    near = np.abs(np.diff(x, axis=-1)) <= tolerance(x) * largest[..., None]
    for position in map(tuple, np.argwhere(near.any(axis=-1)).tolist()):
        links = np.flatnonzero(near[position])
        for run in np.split(links, np.flatnonzero(np.diff(links) > 1) + 1):
            yield Cluster(position, int(run[0]), int(run[-1]) + 1)


def mixing(x: Array, cluster: Cluster) -> Array:
    """How far rounding may turn the vectors of each pair in a cluster into each other: from 0 to 1."""
    values = x[cluster.position]
    inside = values[cluster.first : cluster.last + 1]
    gaps = np.abs(inside[:, None] - inside[None, :])
    noise = 16 * len(values) * eps(x) * np.max(np.abs(values))
    with np.errstate(all="ignore"):
        return np.where(gaps > noise, noise / gaps, 1.0) * ~np.eye(len(inside), dtype=bool)


def refuse(of: str, description: str) -> NoReturn:
    """Says that there is no derivative at these numbers; where, the executor adds.

    Raises:
        NotDifferentiable: always.
    """
    raise NotDifferentiable("there is no derivative at these numbers", [Violation("", of, description)])


def place(position: tuple[int, ...]) -> str:
    """Which matrix of a stack, in words; nothing for the only one."""
    return f" of matrix [{', '.join(map(str, position))}]" if position else ""


def described(of: str, x: Array, cluster: Cluster) -> str:
    """A cluster in words: which values, near what, and their largest gap."""
    word, _ = _WORDS[of]
    values = x[cluster.position][cluster.first : cluster.last + 1]
    gap = float(np.max(np.abs(np.diff(values))))
    return (
        f"{word}s {cluster.first} to {cluster.last}{place(cluster.position)} form a cluster near "
        f"{float(values[0]):.6g} with gap {gap:.2g}"
    )


def refuse_choice(of: str, x: Array, cluster: Cluster) -> NoReturn:
    """Refuses what depends, or may depend, on the choice of vectors in a cluster.

    Raises:
        NotDifferentiable: always.
    """
    _, vectors = _WORDS[of]
    sandwich = "Q f(w) Q.T" if of == "eigh" else "U f(s) Vh"
    refuse(
        of,
        f"{described(of, x, cluster)}: the result depends on which {vectors} of the cluster are chosen, unless it is "
        f"made of products such as {sandwich} and of sums over f of all values, which have derivatives",
    )


def refuse_clusters(of: str, x: Array, start: int, stop: int) -> None:
    """Refuses derivatives of the vectors `start` to `stop` that lie in a cluster.

    Raises:
        NotDifferentiable: one of them does, or belongs to a singular value of zero.
    """
    for cluster in clusters(x):
        if cluster.first < stop and start <= cluster.last:
            refuse_choice(of, x, cluster)
    if of == "svd":
        small = x[..., start:stop] <= tolerance(x) * np.max(x, axis=-1, initial=0.0, keepdims=True)
        for *position, k in np.argwhere(small).tolist():
            value = x[(*position, start + k)]
            refuse(
                of, f"singular value {start + k}{place(tuple(position))} is {value:.2g}: its vectors have no derivative"
            )


def refuse_inexact(of: str, x: Array, inverse: Array, factor: Array, result: Array, start: int) -> None:
    """Refuses derivatives of vectors that rounding leaves fewer than half of the digits, as they nearly vanish.

    The vectors of a pair are known up to a rotation by eps |A| / gap; it moves `factor` by so much of its own size, and
    the result by as much, divided by the gap. A result that vanishes though all values lie apart is no worse than other
    differences: it is measured by |factor| / |A|.

    Raises:
        NotDifferentiable: that is more than a part sqrt(eps) of the result.
    """
    largest = np.max(np.abs(x), axis=-1)
    noise = NOISE * eps(x) * np.sqrt(x.shape[-1]) * largest[..., None, None]
    size = np.max(np.abs(factor), axis=(-2, -1), keepdims=True)
    blurred = np.max(noise * inverse**2 * size, axis=(-2, -1))
    with np.errstate(all="ignore"):
        apart = size[..., 0, 0] / (2 * largest)
    broken = blurred > np.sqrt(eps(x)) * np.maximum(np.max(np.abs(result), axis=(-2, -1)), apart)
    for position in map(tuple, np.argwhere(broken).tolist()):
        own = position[len(position) - (x.ndim - 1) :]
        steepest = np.argmax(np.max(np.abs(inverse[own]), axis=0))
        row = int(np.argmax(np.abs(inverse[own][:, steepest])))
        first, last = sorted((row, start + int(steepest)))
        cluster = Cluster(own, first, last)
        refuse(
            of,
            f"{described(of, x, cluster)}: rounding leaves the derivative of their vectors less than half its digits",
        )


def refuse_uneven(of: str, x: Array, weights: Array, start: int) -> None:
    """Refuses cotangents of the values from `start` on that differ within a cluster, for what vectors they have.

    Raises:
        NotDifferentiable: the pullback depends on the choice of vectors.
    """
    for cluster in clusters(x):
        own = overlapping(weights, cluster.position, 1)
        whole = np.zeros((*own.shape[:-1], x.shape[-1]), x.dtype)
        whole[..., start : start + own.shape[-1]] = own
        inside = whole[..., cluster.first : cluster.last + 1]
        spread = np.abs(inside[..., :, None] - inside[..., None, :]) * mixing(x, cluster)
        size = np.max(np.abs(own), axis=-1, initial=0.0)
        if np.any(np.max(spread, axis=(-2, -1)) > np.sqrt(eps(x)) * size):
            refuse_choice(of, x, cluster)


def refuse_at_zero(x: Array, weights: Array, start: int) -> None:
    """Refuses cotangents of singular values at 0, but for those of a zero matrix, where a norm has derivative 0.

    Raises:
        NotDifferentiable: a singular value of zero has a cotangent.
    """
    largest = np.max(x, axis=-1, initial=0.0)[..., None]
    at_zero = np.logical_and(x <= zero(x)[..., None], largest > 0)[..., start : start + weights.shape[-1]]
    for *position, k in np.argwhere(np.logical_and(at_zero, weights != 0)).tolist():
        matrix = place(tuple(position[len(position) - (x.ndim - 1) :]))
        refuse("svd", f"singular value {start + k}{matrix} is zero to rounding, where it is at a kink as |x| is at 0")


def refuse_splitting(of: str, x: Array, start: int, stop: int, moved: Callable[[Cluster], Array], size: Array) -> None:
    """Refuses directions in which a cluster parts: `moved` gives the direction between the vectors of a cluster.

    Raises:
        NotDifferentiable: values `start` to `stop` of a cluster have directional derivatives alone.
    """
    for cluster in clusters(x):
        if cluster.first < stop and start <= cluster.last:
            block = moved(cluster)
            diagonal = np.diagonal(block, axis1=-2, axis2=-1)
            apart = np.abs(diagonal[..., :, None] - diagonal[..., None, :]) + np.abs(block)
            limit = np.sqrt(eps(x)) * overlapping(size, cluster.position, 0)
            if np.any(np.max(apart * mixing(x, cluster), axis=(-2, -1)) > limit):
                refuse_choice(of, x, cluster)


def overlapping(array: Array, position: tuple[int, ...], rank: int) -> Array:
    """The parts of an array that belong to the matrix at `position`: there may be further axes in front of it."""
    index: tuple[Any, ...] = (Ellipsis, *position, *(slice(None) for _ in range(rank)))
    return np.asarray(array[index])
