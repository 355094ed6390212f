"""The numbers behind functions of symmetric matrices: their multilinear forms in the basis of eigenvectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import numpy as np

from gradserve.ir.types import Array, TensorType
from gradserve.ops.spectral.clusters import clusters, described, place, refuse, zero
from gradserve.ops.spectral.divided_differences import divided_difference
from gradserve.ops.spectral.scalar_functions import FUNCTIONS

BAND = "band"
"""The function that is 1 for some eigenvalues by their order, and 0 for the others."""
_BLOCK = 1 << 19
"""Divided differences that are held at once."""


@dataclass(frozen=True, slots=True)
class Form:
    """A function of eigenvalues."""

    function: str
    parameter: float
    start: int
    stop: int

    def sandwich(self, xp: Any, w: Array, q: Array, directions: Sequence[Array]) -> Any:
        """Q f(w) Q^T, or Q M Q^T with the form M of the directions.

        Raises:
            NotDifferentiable: f has no such derivative at these eigenvalues (in NumPy alone).
        """
        w = self._rounded(xp, w)
        qt = xp.matrix_transpose(q)
        if not directions:
            return xp.matmul(q * xp.expand_dims(self._differences(xp, w, [w]), axis=-2), qt)
        inside = [xp.matmul(qt, xp.matmul(e, q)) for e in directions]
        return xp.matmul(q, xp.matmul(self._between(xp, w, inside), qt))

    def _rounded(self, xp: Any, w: Array) -> Any:
        """The eigenvalues; those that are zero to rounding are zero where that matters."""
        if self.function == BAND or not FUNCTIONS[self.function].kink_at_zero or not w.shape[-1]:
            return w
        limit = zero(w) if xp is np else w.shape[-1] * xp.finfo(w.dtype).eps * xp.max(xp.abs(w), axis=-1)
        return xp.where(xp.abs(w) <= xp.expand_dims(limit, axis=-1), xp.zeros_like(w), w)

    def _between(self, xp: Any, w: Array, inside: Sequence[Array]) -> Any:
        """The elements of M: sums over paths of divided differences times elements of the directions."""
        if xp is np:
            self._refuse_split(w)
        n, order = w.shape[-1], len(inside)
        path = ascii_lowercase[: order + 1]
        terms = ",".join([f"...{path}", *(f"...{path[k : k + 2]}" for k in range(order))])
        rows = n if xp is not np else max(1, _BLOCK // max(1, w.size * n ** (order - 1)))
        blocks = []
        for first in range(0, max(n, 1), rows):
            chosen = slice(first, first + rows)
            differences = self._differences(xp, w, [_along(w[..., chosen], 0, order), *_others(w, order)], first)
            if xp is np:
                self._refuse_infinite(w, differences)
            heads = [inside[0][..., chosen, :], *inside[1:]]
            blocks.append(xp.einsum(f"{terms}->...{path[0]}{path[-1]}", differences, *heads))
        return blocks[0] if len(blocks) == 1 else xp.concat(blocks, axis=-2)

    def _differences(self, xp: Any, w: Array, points: Sequence[Array], first: int = 0) -> Any:
        """The divided differences of f at points that broadcast: eigenvalues along an axis each."""
        if self.function == BAND:
            return self._band(xp, w, len(points) - 1, first, points[0])
        together = [xp.broadcast_to(x, np.broadcast_shapes(*(p.shape for p in points))) for x in points]
        return divided_difference(xp, FUNCTIONS[self.function], self.parameter, together)

    def _band(self, xp: Any, w: Array, order: int, first: int, head: Array) -> Any:
        """Those of the function of positions: 0 between positions at which it is the same."""
        n = w.shape[-1]
        if not order:
            return xp.broadcast_to(xp.astype(self._is_in(xp, xp.arange(n)), w.dtype), w.shape)
        rows = head.shape[-order - 1]
        axes = [np.arange(first, first + rows), *(np.arange(n) for _ in range(order))]
        grid = np.sort(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1), axis=-1)
        return self._band_at(xp, w, [grid[..., k] for k in range(order + 1)])

    def _band_at(self, xp: Any, w: Array, positions: list[Array]) -> Any:
        """At positions in ascending order."""
        if len(positions) == 1:
            value = self._is_in(np, positions[0]).astype(float)
            return xp.broadcast_to(xp.asarray(value, dtype=w.dtype), (*w.shape[:-1], *value.shape))
        later, earlier = (self._band_at(xp, w, some) for some in (positions[1:], positions[:-1]))
        inside = np.stack([self._is_in(np, k) for k in positions])
        same = inside.all(axis=0) | ~inside.any(axis=0)
        gap = xp.where(same, xp.ones_like(later), w[..., positions[-1]] - w[..., positions[0]])
        return xp.where(same, xp.zeros_like(later), (later - earlier) / gap)

    def _is_in(self, xp: Any, positions: Any) -> Any:
        return xp.logical_and(positions >= self.start, positions < self.stop)

    def _refuse_split(self, w: Array) -> None:
        """Refuses a band that takes a part of a cluster."""
        if self.function != BAND:
            return
        for cluster in clusters(w):
            members = range(cluster.first, cluster.last + 1)
            if 0 < sum(self.start <= k < self.stop for k in members) < len(members):
                refuse("eigh", f"{described('eigh', w, cluster)}: a part of it has no space of its own")

    def _refuse_infinite(self, w: Array, differences: Array) -> None:
        """Refuses a derivative of f that is infinite or none: f is not smooth at some eigenvalue."""
        broken = ~np.isfinite(differences)
        if not broken.any() or not np.isfinite(w).all():
            return  # NaN is data: it goes through
        position = np.argwhere(broken)[0].tolist()[: w.ndim - 1]
        own = w[tuple(position)]
        nearest = float(own[np.argmin(np.abs(own))])
        refuse(
            self.function,
            f"{self.function}{place(tuple(position))} of a symmetric matrix has no derivative at its eigenvalues, "
            f"of which {nearest:.3g} is the nearest to 0",
        )


def _along(w: Array, axis: int, order: int) -> Array:
    """The eigenvalues along one of order + 1 new axes that take the place of the last."""
    return w.reshape((*w.shape[:-1], *(w.shape[-1] if k == axis else 1 for k in range(order + 1))))


def _others(w: Array, order: int) -> list[Array]:
    return [_along(w, k, order) for k in range(1, order + 1)]


def flops(a: TensorType, directions: Sequence[TensorType]) -> float:
    """FLOPs of a form of k directions: products with the eigenvectors, and n^(k + 1) divided differences."""
    n, order = a.lengths[-1], len(directions)
    if not order:
        return 2.0 * n * a.size
    many = max(1, directions[0].size // max(1, a.size))
    products = 4.0 * n * directions[0].size * (order + 1)
    return products + (20.0 * order + 2.0 * many) * float(n) ** (order - 1) * a.size
