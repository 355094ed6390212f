"""Products with one matrix, each of a vector that depends on those before: what runs where the program is.

A recurrence is frozen data and knows nothing of where it runs: it is given a function that multiplies, and arrays that
say where it stands. So a worker takes hundreds of products without a way to anyone between two of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol, TypeAlias

import numpy as np

from gradserve.autodiff import names
from gradserve.ir.errors import Cancelled
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType

STATE = "state"
"""The role of arguments that say where a recurrence stands; programs have none of that role."""

Product: TypeAlias = Callable[[Array], Array]
"""The products of the matrix with rows of float64 numbers, as rows."""


class NotFinite(Exception):
    """A product has elements that are infinite or not a number."""


@dataclass(frozen=True)
class Space:
    """Some inputs of a graph as one vector of float64 numbers."""

    inputs: tuple[tuple[str, TensorType], ...]

    @classmethod
    def of(cls, types: Mapping[str, TensorType], wrt: Sequence[str]) -> Space:
        """Those inputs of these types that are there."""
        return cls(tuple((name, types[name]) for name in dict.fromkeys(wrt) if name in types))

    @property
    def types(self) -> dict[str, TensorType]:
        """The inputs by name."""
        return dict(self.inputs)

    @property
    def size(self) -> int:
        """The number of entries of a vector."""
        return sum(type_.size for _, type_ in self.inputs)

    def slices(self) -> dict[str, slice]:
        """Where the entries of each input lie."""
        found, start = {}, 0
        for name, type_ in self.inputs:
            found[name] = slice(start, start + type_.size)
            start += type_.size
        return found

    def joined(self, arrays: Mapping[str, Array]) -> Array:
        """Arrays by input, each with a leading axis of the same length, as rows."""
        parts = [np.asarray(arrays[name], np.float64) for name, _ in self.inputs]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)

    def split(self, rows: Array) -> dict[str, Array]:
        """The opposite; a vector alone becomes arrays without a leading axis."""
        types = self.types
        return {
            name: rows[..., part].reshape((*rows.shape[:-1], *types[name].lengths))
            for name, part in self.slices().items()
        }

    def typed(self, rows: Array) -> dict[str, Array]:
        """The same in the inputs' own element types."""
        types = self.types
        return {n: np.asarray(a, types[n].element_type.dtype, order="C") for n, a in self.split(rows).items()}

    def tangents(self, vector: Array) -> dict[str, Array]:
        """A vector as the tangents that a program takes."""
        return {names.tangent(name): array for name, array in self.typed(vector).items()}

    def product(self, outputs: Mapping[str, Array]) -> Array:
        """The product in what a program gives.

        Raises:
            NotFinite: an element is infinite or not a number.
        """
        vector: Array = self.joined({name: outputs[names.product(name)][None] for name, _ in self.inputs})[0]
        with np.errstate(over="ignore"):
            square = float(np.vdot(vector, vector))
        if not math.isfinite(square) and not np.isfinite(vector).all():
            raise NotFinite
        return vector


class Recurrence(Protocol):
    """What is done with one program, again and again; hashable."""

    gives: ClassVar[tuple[str, ...]]
    """The names of its arrays. All are NaN if a product is not finite."""

    @property
    def space(self) -> Space:
        """What it multiplies."""
        ...

    @property
    def products(self) -> int:
        """The most products that it takes."""
        ...

    @property
    def nbytes(self) -> int:
        """The bytes that it holds beside those of the program."""
        ...

    def __call__(self, product: Product, state: Mapping[str, Array]) -> dict[str, Array]:
        """The arrays that it gives, from those that say where it stands."""
        ...


def run(
    recurrence: Recurrence,
    program: Callable[[Mapping[str, Array], Callable[[], bool]], dict[str, Array]],
    arguments: Mapping[str, Array],
    stopped: Callable[[], bool],
) -> dict[str, Array]:
    """What a recurrence gives; arguments of the role `state` are its own, the others those of the program.

    Raises:
        Cancelled: `stopped` said so before a product or between two steps of one.
    """
    roles = {name: names.split(name) for name in arguments}
    state = {own: arguments[name] for name, (role, own) in roles.items() if role == STATE}
    fixed = {name: array for name, array in arguments.items() if roles[name][0] != STATE}
    space = recurrence.space

    def product(rows: Array) -> Array:
        found = np.empty_like(rows)
        for k, row in enumerate(rows):
            if stopped():
                raise Cancelled("the work was stopped between two products")
            found[k] = space.product(program({**fixed, **space.tangents(row)}, stopped))
        return found

    try:
        return recurrence(product, state)
    except NotFinite:
        return {name: np.full(1, np.nan) for name in recurrence.gives}


def state(name: str) -> str:
    """The argument that is the state of this name."""
    return f"{STATE}:{name}"
