"""Lanczos' recurrence with full re-orthogonalisation: a symmetric matrix seen from one vector, as a tridiagonal one.

Without re-orthogonalisation rounding brings copies of eigenvalues that have converged, and with them weights that are
wrong. Here every new vector is made orthogonal to all before it, twice if the first time takes away half of it or more:
that is enough (L. Giraud, J. Langou, M. Rozloznik, 2005).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from gradserve.estimation import held
from gradserve.estimation.recurrence import Product, Space
from gradserve.estimation.scaling import Multiple
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array

_AGAIN = 0.5
"""What is left of a vector made orthogonal once, below which it is done again."""


@dataclass(frozen=True)
class Lanczos:
    """The tridiagonal matrix of up to `steps` steps from one vector."""

    space: Space
    steps: int
    epsilon: float
    """The spacing at 1 of the numbers that products are made of."""
    in_memory: int = held.IN_MEMORY
    """The most bytes of vectors that are held in memory; more lie in a file."""

    gives: ClassVar[tuple[str, ...]] = ("diagonal", "off_diagonal")

    @property
    def products(self) -> int:
        """One for each step."""
        return self.steps

    @property
    def nbytes(self) -> int:
        """The vectors of all steps, if they are held in memory, and four at work."""
        return held.memory(self.steps, self.space.size, self.in_memory) + 8 * self.space.size * 4

    def __call__(self, product: Product, state: Mapping[str, Array]) -> dict[str, Array]:
        """Diagonal and off-diagonal, of the same length.

        The last of the off-diagonal couples to what was left out: 0 if nothing was, as the vectors span a space that
        the matrix does not leave.
        """
        _, diagonal, off = self._recurring(product, self.space.joined(state)[0])
        return {"diagonal": diagonal, "off_diagonal": off}

    def _recurring(self, product: Product, vector: Array) -> tuple[Array, Array, Array]:
        """The orthonormal vectors, diagonal and off-diagonal."""
        multiple = Multiple(product, np.zeros(0))
        basis, diagonal, off = self._of_multiple(multiple, vector)
        return basis, multiple.back(diagonal), multiple.back(off)

    def _of_multiple(self, product: Product, vector: Array) -> tuple[Array, Array, Array]:
        basis = held.rows(self.steps, self.space.size, self.in_memory)
        diagonal, off, beta = np.empty(self.steps), np.zeros(self.steps), float(np.linalg.norm(vector))
        for k in range(self.steps):
            np.divide(vector, beta, out=basis[k])
            vector = product(basis[k : k + 1])[0]
            diagonal[k] = basis[k] @ vector
            vector = vector - diagonal[k] * basis[k]
            if k:
                vector -= off[k - 1] * basis[k - 1]
            beta = orthogonalise(vector, basis[: k + 1])
            if beta <= self._nothing(diagonal, off, k):
                return basis[: k + 1], diagonal[: k + 1], off[: k + 1]
            off[k] = beta
        return basis, diagonal, off

    def _nothing(self, diagonal: Array, off: Array, k: int) -> float:
        """The length up to which a vector is rounding alone."""
        size = np.max(np.abs(diagonal[: k + 1])) + np.max(off[: k + 1])
        return float(4 * self.epsilon * np.sqrt(self.space.size) * size)


@dataclass(frozen=True)
class LanczosSolve(Lanczos):
    """The same, and the solution x of (A + damping I) x = v for the vector v in the span of the steps.

    It is that of conjugate gradients (M. R. Hestenes, E. Stiefel, 1952) where the matrix is positive definite.
    """

    damping: float = 0.0

    gives: ClassVar[tuple[str, ...]] = (*Lanczos.gives, "solution", "residual")

    def __call__(self, product: Product, state: Mapping[str, Array]) -> dict[str, Array]:
        """Those of the recurrence, x as one vector, and |v - (A + damping I) x| / |v|."""
        vector = self.space.joined(state)[0]
        basis, diagonal, off = self._recurring(product, vector)
        nodes, vectors = np.linalg.eigh(tridiagonal(diagonal + self.damping, off))
        # A node at 0 is a matrix without an inverse, of which nobody asks for a solution.
        within = vectors @ (vectors[0] / np.where(nodes == 0, 1.0, nodes))
        solution = np.linalg.norm(vector) * (within @ basis)
        residual = np.array(off[-1] * abs(within[-1]))
        return {"diagonal": diagonal, "off_diagonal": off, "solution": solution, "residual": residual}


def orthogonalise(vector: Array, basis: Array) -> float:
    """Takes away from `vector` what lies along the orthonormal rows of `basis`; answers the length that is left."""
    length = float(np.linalg.norm(vector))
    while True:
        vector -= basis.T @ (basis @ vector)
        left = float(np.linalg.norm(vector))
        if left > _AGAIN * length or not left:
            return left
        length = left


def rule(diagonal: Array, off: Array, steps: int) -> tuple[Array, Array, Array]:
    """The Gauss quadrature of the first `steps` steps: nodes, weights whose sum is 1, and errors of the nodes.

    Polynomials up to the degree 2 steps - 1 are integrated exactly. An eigenvalue lies within its error of each node.
    """
    count = min(steps, len(diagonal))
    nodes, vectors = np.linalg.eigh(tridiagonal(diagonal[:count], off[:count]))
    return nodes, vectors[0] ** 2, off[count - 1] * np.abs(vectors[-1])


def tridiagonal(diagonal: Array, off: Array) -> Array:
    """The matrix with this diagonal and off-diagonal, whose last element couples to what was left out."""
    return np.asarray(np.diag(diagonal) + np.diag(off[:-1], 1) + np.diag(off[:-1], -1))
