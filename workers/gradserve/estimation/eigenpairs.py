"""Eigenpairs at an end of a spectrum, by Rayleigh and Ritz in a space that grows by residuals and restarts thick.

From one vector that is Lanczos' method with thick restarts (K. Wu, H. Simon, 2000): all residuals then lie along its
next vector. Written with residuals (E. R. Davidson, 1975) it may begin with any vectors, such as those of an earlier
answer, and go on with new random ones beside all that is known. These are what finds the other eigenvectors of a
repeated eigenvalue: a space made from one vector has but one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from gradserve.estimation.lanczos import orthogonalise
from gradserve.estimation.recurrence import Product, Space
from gradserve.estimation.samplers import philox_words
from gradserve.estimation.scaling import Multiple
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.eigenpairs import End

_SEPARATED = 0.1
"""The residual, as a share of the gap, at which the next eigenvalue is known to lie further in."""
_STRICTER = 0.5
"""The share of the tolerance that is asked of residuals inside a cycle."""
_CANCELLED = 1e-6
"""Residuals below this share of the largest eigenvalue are not known from squares."""
_DEPENDENT = 1e-10
"""The share that is left of a vector below which it is taken to lie in the space."""


@dataclass(frozen=True)
class Cycle:
    """What lies between two restarts."""

    space: Space
    count: int
    end: End
    capacity: int
    """The most vectors of the space."""
    kept: int
    """The vectors that outlive a restart."""
    tolerance: float

    gives: ClassVar[tuple[str, ...]] = ("basis", "images", "values", "residuals", "told")

    @property
    def products(self) -> int:
        """One for each vector that the space can grow by, and those of the certificates."""
        return self.capacity + self.count

    @property
    def nbytes(self) -> int:
        """Vectors and their products, and those that are kept."""
        return 16 * self.space.size * (self.capacity + self.kept + 1)

    def __call__(self, product: Product, state: Mapping[str, Array]) -> dict[str, Array]:
        """The vectors kept and their products, the wanted ones first; eigenvalues, and residuals of those wanted.

        New vectors may be given in `start`. If all wanted had converged before, `searching`, the space grows to its
        capacity, whatever has converged. No more than `left` products are taken. What `Told` holds is in `told`.
        """
        product = Multiple(product, state["images"])
        room = max(0, int(state["left"]) - self.count)
        found = _Ritz(self, state["basis"], product.of(state["images"]), float(product.of(state["scale"])), room)
        searching = bool(state["searching"])
        rows = found.orthonormal(state["start"])
        spent = 0
        while True:
            if len(rows):
                found.extend(rows, product(rows))
                spent += len(rows)
            targets = found.open if searching else found.unsettled
            if not len(targets) or not found.room:
                break
            rows = found.orthonormal(found.residuals(targets[:1]))
            if not len(rows):
                break
        told = found.told(stuck=not len(targets) or not len(rows))
        basis, images = found.kept()
        wanted = min(self.count, len(basis))
        # The certificates are of products themselves, and not of what rounding has left of combined ones.
        images[:wanted] = product(basis[:wanted])
        values = np.einsum("ij,ij->i", basis, images)
        residuals = np.linalg.norm(images[:wanted] - values[:wanted, None] * basis[:wanted], axis=1)
        numbers = replace(told, scale=float(product.back(np.asarray(told.scale))), spent=float(spent + wanted)).array()
        of_multiple = {"images": images, "values": values, "residuals": residuals}
        return {"basis": basis, "told": numbers, **{name: product.back(each) for name, each in of_multiple.items()}}


@dataclass(frozen=True, slots=True)
class Told:
    """What a cycle tells of itself."""

    settled: float
    """Whether all wanted have converged, and the next lies further in or has converged too."""
    stuck: float
    """Whether the space leads on no more by itself."""
    whole: float
    """Whether it is all there is."""
    scale: float
    """The largest eigenvalue known so far, by size."""
    spent: float = 0.0
    """Products."""

    def array(self) -> Array:
        """The numbers in their order."""
        return np.array([self.settled, self.stuck, self.whole, self.scale, self.spent])


class _Ritz:
    """A space with its products, and the eigenpairs of the matrix in it."""

    def __init__(self, cycle: Cycle, basis: Array, images: Array, scale: float, most: int) -> None:
        """Grows by `most` vectors at most."""
        self._cycle, self._scale, self._most = cycle, scale, len(basis) + most
        self._basis, self._images = (np.empty((cycle.capacity, cycle.space.size)) for _ in range(2))
        self._count = len(basis)
        self._basis[: self._count], self._images[: self._count] = basis, images
        self._matrix, self._gram = self.basis @ self.images.T, self.images @ self.images.T
        self._solve()

    @property
    def basis(self) -> Array:
        return self._basis[: self._count]

    @property
    def images(self) -> Array:
        return self._images[: self._count]

    @property
    def room(self) -> int:
        """The vectors by which the space can grow."""
        return min(self._cycle.capacity, self._most) - self._count

    def extend(self, rows: Array, images: Array) -> None:
        """Takes orthonormal vectors, orthogonal to the space, and their products."""
        before, self._count = self._count, self._count + len(rows)
        self._basis[before : self._count], self._images[before : self._count] = rows, images
        self._matrix = _bordered(self._matrix, self.basis @ images.T)
        self._gram = _bordered(self._gram, self.images @ images.T)
        self._solve()

    def orthonormal(self, rows: Array) -> Array:
        """As many as there is room for made orthonormal, and orthogonal to the space; without those that lie in it."""
        found, count = np.empty((min(len(rows), self.room), self._cycle.space.size)), 0
        for row in rows[: len(found)]:
            left = length = float(np.linalg.norm(row))
            vector = row / (length or 1.0)
            for _ in range(2 if length else 0):
                orthogonalise(vector, self.basis)
                left = orthogonalise(vector, found[:count])
            if length and left > _DEPENDENT:
                found[count] = vector / left
                count += 1
        return found[:count]

    @property
    def open(self) -> Array:
        """The pairs that have not converged, by position."""
        return np.flatnonzero(self._errors > self._allowed)

    @property
    def unsettled(self) -> Array:
        """Those wanted that have not converged; or else the one after them, unless it lies further in."""
        count, errors = self._cycle.count, self._errors
        wanted = np.flatnonzero(errors[:count] > self._allowed)
        if len(wanted) or len(errors) <= count:
            return wanted
        gap = self._out[count - 1] - self._out[count]
        return np.array([count] if errors[count] > max(self._allowed, _SEPARATED * gap) else [], int)

    def residuals(self, positions: Array) -> Array:
        """The residuals of these pairs."""
        chosen = self._vectors[:, positions].T
        return np.asarray(chosen @ self.images - (self._values[positions, None] * chosen) @ self.basis)

    def told(self, stuck: bool) -> Told:
        """What there is to be told of the space."""
        whole = self._count == self._cycle.space.size
        beyond = whole or self._count > self._cycle.count
        return Told(float(beyond and not len(self.unsettled)), float(stuck), float(whole), self._scale)

    def kept(self) -> tuple[Array, Array]:
        """The vectors of the pairs that are furthest out, and their products."""
        chosen = self._vectors[:, : self._cycle.kept].T
        return chosen @ self.basis, chosen @ self.images

    def _solve(self) -> None:
        """The eigenpairs in the space, the one that is furthest out first, and how far they are from being right."""
        values, vectors = np.linalg.eigh((self._matrix + self._matrix.T) / 2)
        out = outward(values, self._cycle.end)
        order = np.argsort(-out, kind="stable")
        self._values, self._vectors, self._out = values[order], vectors[:, order], out[order]
        self._scale = scale = float(np.max(np.abs(values), initial=self._scale))
        self._allowed = _STRICTER * self._cycle.tolerance * scale
        squares = np.einsum("ij,ij->j", self._vectors, self._gram @ self._vectors)
        self._errors = np.sqrt(np.maximum(squares - self._values**2, 0.0))
        if self._allowed < _CANCELLED * scale:  # squares do not tell so small ones
            near = np.flatnonzero(self._errors[: self._cycle.count + 1] < 2 * _CANCELLED * scale)
            self._errors[near] = np.linalg.norm(self.residuals(near), axis=1)


def outward(values: Array, end: End) -> Array:
    """How far out eigenvalues are, on the side that is wanted."""
    if end is End.MAGNITUDE:
        return np.abs(values)
    return values if end is End.LARGEST else -values


def random_rows(seed: int, start: int, stop: int, size: int) -> Array:
    """Random vectors `start` to `stop`, of numbers between -1/2 and 1/2: the same whatever others are drawn."""
    blocks = -(-size // 4)
    words = philox_words(seed, "eigenpairs", start * blocks, (stop - start) * blocks)
    return ((words >> np.uint64(11)) * 2.0**-53 - 0.5).reshape(stop - start, -1)[:, :size]


def _bordered(matrix: Array, columns: Array) -> Array:
    """A symmetric matrix with columns more, of its new height."""
    before, after = len(matrix), len(columns)
    found = np.empty((after, after))
    found[:before, :before] = matrix
    found[:, before:] = columns
    found[before:, :before] = columns[:before].T
    return found
