"""A symmetric matrix in two parts: what a basis Q knows of it exactly, and the rest, which random signs estimate.

With P = Q^T Q for orthonormal rows Q, A = P A + (1 - P) A P + B, B = (1 - P) A (1 - P). The first two have the diagonal
2 q (A q) - q (T q), summed over the basis, with T = Q A Q^T; B is met by probes. What B has in common with a multiple
s (1 - P) of the projection costs no variance: <g, B g> is s (n - k) and <g, (B - s (1 - P)) g>. Probes that Q does not
depend on make both parts unbiased; their products A g serve any Q, so the basis may grow after they are drawn
(Krylov-aware stochastic trace approximation: T. Chen, E. Hallman, 2023).
"""

from __future__ import annotations

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array

DEPENDENT = 1e-8
"""A row that has less than this of its length outside the span of others is taken to lie in it."""
CERTAIN = 1e4
"""An eigenvalue is above 0 if it is above so many roundings of the largest."""


@dataclass(frozen=True)
class Deflation:
    """Orthonormal rows and their products."""

    rows: Array
    products: Array
    diagonal: Array
    """The diagonal of what the basis knows."""

    @classmethod
    def none(cls, size: int) -> Deflation:
        """No row of so many entries."""
        return cls(np.zeros((0, size)), np.zeros((0, size)), np.zeros(size))

    @classmethod
    def of(cls, rows: Array, products: Array) -> Deflation:
        """The span of rows whose products are known: those of the basis follow."""
        return cls.none(rows.shape[1]).spanning(rows, products)

    @property
    def size(self) -> int:
        """The dimension of the span."""
        return len(self.rows)

    def beyond(self, rows: Array) -> Array:
        """Orthonormal rows that span what these rows have beyond the basis; perhaps fewer."""
        return orthonormal(rows, self.rows)

    def grown(self, rows: Array, products: Array) -> Deflation:
        """The basis with more orthonormal rows."""
        inner, cross = rows @ products.T, rows @ self.products.T + products @ self.rows.T
        known = 2 * products - (inner + inner.T) / 2 @ rows - cross @ self.rows
        return Deflation(
            np.concatenate([self.rows, rows]),
            np.concatenate([self.products, products]),
            self.diagonal + np.einsum("ki,ki->i", rows, known),
        )

    def spanning(self, rows: Array, products: Array) -> Deflation:
        """The span of the basis and of further rows, whose products are known."""
        inside = rows @ self.rows.T
        rows, products = rows - inside @ self.rows, products - inside @ self.products
        left, sizes, basis = np.linalg.svd(rows, full_matrices=False)
        kept = sizes > DEPENDENT * sizes[0] if sizes.size else np.zeros(0, bool)
        return self.grown(basis[kept], (left[:, kept] / sizes[kept]).T @ products)

    def outside(self) -> Array:
        """The diagonal of 1 - P."""
        return np.asarray(1 - np.einsum("ki,ki->i", self.rows, self.rows))

    def sizes(self) -> Array:
        """The sizes of what the entries of the known diagonal are added up from: they may cancel, roundings do not."""
        lengths, total = columns(self.rows), float(np.linalg.norm(self.products))
        return np.asarray(lengths * (2 * columns(self.products) + total))

    def rest(self, probes: Array, products: Array) -> tuple[Array, Array, Array]:
        """(1 - P) g and B g for each probe g, from its product A g; and the sizes of what B g is added up from."""
        inside = probes @ self.rows.T
        rest = products - inside @ self.products
        within = rest @ self.rows.T
        sizes = largest(products) + longest(inside) * columns(self.products) + longest(within) * columns(self.rows)
        return probes - inside @ self.rows, rest - within @ self.rows, sizes

    def completed(self, epsilon: float) -> Completed | None:
        """What is known besides if the matrix has no negative eigenvalue; None if it has one in the basis."""
        inner = self.rows @ self.products.T
        sizes, vectors = np.linalg.eigh((inner + inner.T) / 2)
        if not self.size or not sizes[0] > CERTAIN * epsilon * sizes[-1]:
            return None
        factor = (vectors / np.sqrt(sizes)).T @ self.products
        return Completed(self.rows, self.products, np.einsum("ki,ki->i", factor, factor), factor)


@dataclass(frozen=True)
class Completed(Deflation):
    """F^T F = A Q^T T^-1 Q A is known as a whole: a Nystrom approximation, which leaves nothing in the basis.

    It leaves less than B of a matrix without negative eigenvalues, and leaves any matrix unbiased.
    """

    factor: Array

    def sizes(self) -> Array:
        """Squares do not cancel."""
        return self.diagonal

    def rest(self, probes: Array, products: Array) -> tuple[Array, Array, Array]:
        """(1 - P) g, and what the approximation leaves of A g; and the sizes of what that is added up from."""
        inside = probes @ self.factor.T
        sizes = largest(products) + longest(inside) * columns(self.factor)
        return probes - (probes @ self.rows.T) @ self.rows, products - inside @ self.factor, sizes


def columns(rows: Array) -> Array:
    """The lengths of the columns of rows."""
    return np.asarray(np.sqrt(np.einsum("ki,ki->i", rows, rows)))


def longest(rows: Array) -> float:
    """The largest length of a row; 0 if there is none."""
    return float(np.sqrt(np.max(np.einsum("ki,ki->k", rows, rows), initial=0.0)))


def largest(rows: Array) -> Array:
    """The largest size in each column of rows; 0 if there are none."""
    return np.asarray(np.abs(rows).max(axis=0, initial=0.0))


def orthonormal(rows: Array, others: Array) -> Array:
    """Orthonormal rows that span what `rows` have beyond the orthonormal `others`."""
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, sizes, out=np.zeros_like(rows), where=(sizes > 0) & np.isfinite(sizes))
    for _ in range(2):  # what is left of a row that nearly lies in the span is orthogonal to it only the second time
        rows = rows - (rows @ others.T) @ others
        _, sizes, rows = np.linalg.svd(rows, full_matrices=False)
        rows = rows[sizes > DEPENDENT]
    return rows
