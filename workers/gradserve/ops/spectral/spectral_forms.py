"""The numbers behind functions of symmetric matrices: their multilinear forms in the basis of eigenvectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.shapes import broadcast_shape
from gradserve.ir.types import Array, TensorType
from gradserve.ops.spectral.clusters import near, zero
from gradserve.ops.spectral.divided_differences import Blend, divided_difference
from gradserve.ops.spectral.scalar_functions import FUNCTIONS

BAND = "band"
"""The function that is 1 for some eigenvalues by their order, and 0 for the others."""


@dataclass(frozen=True, slots=True)
class Form:
    """A function of eigenvalues."""

    function: str
    parameter: float
    start: int
    stop: int

    def sandwich(self, xp: Any, w: Array, q: Array, directions: Sequence[Array]) -> Any:
        """Q f(w) Q^T, or Q M Q^T with the form M of the directions."""
        w = self.rounded(xp, w)
        qt = xp.matrix_transpose(q)
        if not directions:
            return xp.matmul(q * xp.expand_dims(self.differences(xp, w, [w]), axis=-2), qt)
        inside = [xp.matmul(qt, xp.matmul(e, q)) for e in directions]
        return xp.matmul(q, xp.matmul(self._between(xp, w, inside), qt))

    def rounded(self, xp: Any, w: Array) -> Any:
        """The eigenvalues; those that are zero to rounding are zero where that matters."""
        if self.function == BAND or not FUNCTIONS[self.function].kink_at_zero or not w.shape[-1]:
            return w
        return xp.where(xp.abs(w) <= zero(xp, w), xp.zeros_like(w), w)

    def _between(self, xp: Any, w: Array, inside: Sequence[Array]) -> Any:
        """The elements of M: sums over paths of divided differences times elements of the directions."""
        order = len(inside)
        terms = self.of_order(xp, w, order)
        for k, e in enumerate(inside):
            *lead, n, _ = e.shape
            terms = terms * xp.reshape(e, (*lead, *(n if j in (k, k + 1) else 1 for j in range(order + 1))))
        return xp.sum(terms, axis=tuple(range(-order, -1))) if order > 1 else terms

    def of_order(self, xp: Any, w: Array, order: int) -> Any:
        """The divided differences of `order` + 1 eigenvalues, along as many axes."""
        return self.differences(xp, w, [along(xp, w, k, order) for k in range(order + 1)])

    def ends(self, n: int) -> list[int]:
        """The eigenvalues of n behind which a band begins or ends."""
        return [k for k in (self.start - 1, self.stop - 1) if 0 <= k < n - 1 and self.start < self.stop]

    def splits(self, xp: Any, w: Array) -> Any:
        """For each end of a band whether it is between eigenvalues of one cluster."""
        ends = self.ends(w.shape[-1])
        if not ends:
            return xp.zeros((*w.shape[:-1], 0), dtype=xp.bool)
        links = near(xp, w)
        return xp.stack([links[..., k] for k in ends], axis=-1)

    def breaks(self, xp: Any, w: Array, differences: Array) -> Any:
        """For each matrix whether f is not smooth at an eigenvalue: a derivative is infinite or none."""
        axes = tuple(range(w.ndim - 1, differences.ndim))
        broken = xp.any(xp.logical_not(xp.isfinite(differences)), axis=axes)
        return xp.logical_and(broken, xp.all(xp.isfinite(w), axis=-1))  # NaN is data: it goes through

    def differences(
        self, xp: Any, w: Array, points: Sequence[Array], first: int = 0, blend: Blend | None = None
    ) -> Any:
        """The divided differences of f at points that broadcast: eigenvalues along an axis each, the first of them cut.

        Its rows are those from `first` on.
        """
        if self.function == BAND:
            return self._band(xp, w, len(points) - 1, first, points[0])
        together = [xp.broadcast_to(x, broadcast_shape([p.shape for p in points])) for x in points]
        return divided_difference(xp, FUNCTIONS[self.function], self.parameter, together, blend)

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
        last, first = (self._taken(xp, w, positions[k]) for k in (-1, 0))
        same = xp.asarray(same)
        gap = xp.where(same, xp.ones_like(later), last - first)
        return xp.where(same, xp.zeros_like(later), (later - earlier) / gap)

    @staticmethod
    def _taken(xp: Any, w: Array, positions: Array) -> Any:
        flat = xp.take(w, xp.asarray(positions.reshape(-1)), axis=-1)
        return xp.reshape(flat, (*w.shape[:-1], *positions.shape))

    def _is_in(self, xp: Any, positions: Any) -> Any:
        return xp.logical_and(positions >= self.start, positions < self.stop)


def along(xp: Any, w: Array, axis: int, order: int) -> Any:
    """The eigenvalues along one of order + 1 new axes that take the place of the last."""
    own = (w.shape[-1] if k == axis else 1 for k in range(order + 1))
    return xp.reshape(w, (*w.shape[:-1], *own))


def flops(a: TensorType, directions: Sequence[TensorType]) -> float:
    """FLOPs of a form of k directions: products with the eigenvectors, and n^(k + 1) divided differences."""
    n, order = a.lengths[-1], len(directions)
    if not order:
        return 2.0 * n * a.size
    many = max(1, directions[0].size // max(1, a.size))
    products = 4.0 * n * directions[0].size * (order + 1)
    # Each of some k^2 / 2 differences of the orders up to k sums a series of polynomials in its points.
    each = 20.0 * order + 5.5 * (order - 1) * order**2 + 2.0 * many
    return products + each * float(n) ** (order - 1) * a.size
