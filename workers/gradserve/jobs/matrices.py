"""Matrices from rows: the blocks that products with a basis make, and the matrices of many points put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gradserve.ir.types import Array, TensorType
from gradserve.questions.call import Call, Reduction


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
    def offsets(self) -> Iterator[int]:
        """Where each seed begins when all are laid out one behind the other."""
        offset = 0
        for type_ in self.seeds.values():
            yield offset
            offset += type_.size

    def blocks(self, products: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """The blocks, by what is differentiated and what in, of products that have a leading axis of columns."""
        blocks: dict[str, dict[str, Array]] = {}
        for (seed, seed_type), offset in zip(self.seeds.items(), self.offsets, strict=True):
            for name, type_ in self.rows.items():
                part = products[name][offset : offset + seed_type.size]
                if self.transposed:
                    flat = part.reshape(seed_type.size, type_.size).T
                    blocks.setdefault(name, {})[seed] = flat.reshape(type_.lengths + seed_type.lengths)
                else:
                    blocks.setdefault(seed, {})[name] = part.reshape(seed_type.lengths + type_.lengths)
        return blocks


class Matrices:
    """The values and matrices at all points of a call: side by side, or added up in the order of the points."""

    def __init__(self, call: Call) -> None:
        """Starts empty."""
        self._call = call
        self._values: dict[str, list[Array]] = {}
        self._blocks: dict[tuple[str, str], list[Array]] = {}

    def add(self, values: Mapping[str, Array], blocks: Mapping[str, Mapping[str, Array]]) -> None:
        """Takes those of the next point."""
        for name, array in values.items():
            self._note(self._values.setdefault(name, []), array)
        for row, columns in blocks.items():
            for column, array in columns.items():
                self._note(self._blocks.setdefault((row, column), []), array)

    def done(self) -> tuple[dict[str, Array], dict[str, dict[str, Array]]]:
        """The values by name, and the blocks by row and column; with an axis of points if these are kept apart."""
        blocks: dict[str, dict[str, Array]] = {}
        for (row, column), seen in self._blocks.items():
            blocks.setdefault(row, {})[column] = self._together(seen)
        return {name: self._together(seen) for name, seen in self._values.items()}, blocks

    def _note(self, seen: list[Array], array: Array) -> None:
        if seen and self._call.reduction is not Reduction.NONE:
            seen[0] = np.asarray(seen[0] + array)
        else:
            seen.append(array)

    def _together(self, seen: list[Array]) -> Array:
        if not self._call.batch:
            return seen[0]
        match self._call.reduction:
            case Reduction.NONE:
                return np.stack(seen)
            case Reduction.SUM:
                return seen[0]
            case Reduction.MEAN:
                return np.asarray(seen[0] / self._call.batch_size)
