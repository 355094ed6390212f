"""Matrices from rows: the blocks that products with a basis make."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.questions.derivations import Derivation, Mode


@dataclass(frozen=True, slots=True)
class BasisLayout:
    """Where seeds and results lie in a matrix of products with every column of the identity."""

    seeds: Mapping[str, TensorType]
    """The vectors that the columns of the identity are cut into."""
    rows: Mapping[str, TensorType]
    """The results that each product has."""
    transposed: bool = False
    """Whether a seed is a column of what is wanted."""

    @property
    def count(self) -> int:
        """The number of columns of the identity."""
        return sum(type_.size for type_ in self.seeds.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the whole matrix."""
        return self.count * sum(type_.nbytes for type_ in self.rows.values())

    @property
    def largest(self) -> Iterator[TensorType]:
        """The block of the most axes, and the one that would fill the most bytes if none of them were empty."""
        if not self.seeds or not self.rows:
            return
        for size in (lambda type_: len(type_.shape), _extent):
            seed, row = max(self.seeds.values(), key=size), max(self.rows.values(), key=size)
            yield row.with_shape(row.shape + seed.shape)

    @property
    def offsets(self) -> Iterator[int]:
        """Where each seed begins when all are laid out one behind the other."""
        offset = 0
        for type_ in self.seeds.values():
            yield offset
            offset += type_.size

    def blocks(self, products: Mapping[str, Array], points: int) -> dict[str, dict[str, Array]]:
        """The blocks, by what is differentiated and what in, of products that have an axis of columns.

        Before it stand as many axes of `points`, which the blocks have as well.
        """
        every = (slice(None),) * points
        blocks: dict[str, dict[str, Array]] = {}
        for (seed, seed_type), offset in zip(self.seeds.items(), self.offsets, strict=True):
            for name, type_ in self.rows.items():
                part = products[name][*every, offset : offset + seed_type.size]
                lead = part.shape[:points]
                if self.transposed:
                    flat = part.reshape(*lead, seed_type.size, type_.size).swapaxes(-1, -2)
                    blocks.setdefault(name, {})[seed] = flat.reshape(lead + type_.lengths + seed_type.lengths)
                else:
                    blocks.setdefault(seed, {})[name] = part.reshape(lead + seed_type.lengths + type_.lengths)
        return blocks


@dataclass(frozen=True, slots=True)
class Way:
    """A matrix as products of one derivation with every column of the identity."""

    mode: Mode
    derivation: Derivation
    role: str
    """The role of the products among the outputs of the derived graph."""
    layout: BasisLayout


def _extent(type_: TensorType) -> int:
    return type_.element_type.itemsize * math.prod(length for length in type_.lengths if length)
