"""Types in the place of examples: what arguments are declared to be, with lengths that only calls tell."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from gradserve.client.tracing.signature import converted, widened
from gradserve.client.tracing.traced import as_array
from gradserve.client.tracing.trees import Structure, flatten, paths, unflatten
from gradserve.ir.bind import lengths_told
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass
from gradserve.ir.shapes import shape_faults
from gradserve.ir.types import Array, ElementType, Length, Symbol, TensorType, type_of


def dim(name: str) -> Symbol:
    """A length that calls tell, the same wherever it has this name: `array(dim("n"), 3)`.

    Raises:
        InvalidRequest: the name is no word of at most 64 letters, digits and underscores.
    """
    symbol = Symbol(str(name))
    _require_lengths((symbol,))
    return symbol


def array(*lengths: int | str | Symbol, dtype: DTypeLike = np.float64) -> TensorType:
    """The type of an array to be given, in the place of an example: `client.function(loss, x=array("n", 3))`.

    Args:
        lengths: of its axes; a name, as `dim(name)`, is one that calls tell.
        dtype: of its elements, one of those that graphs have.

    Raises:
        InvalidRequest: a length is no number that a length can be, nor a name, or no graph has such elements.
    """
    try:
        element_type = ElementType.of(np.dtype(dtype))
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"an array is declared with elements of {dtype!r}: {error}") from None
    shape = tuple(map(_length, lengths))
    _require_lengths(shape, element_type.itemsize)
    return TensorType(element_type, shape)


@dataclass(frozen=True)
class Declared:
    """What is declared of some parameters: their structures, and the types of their leaves by path."""

    structures: Mapping[str, Structure]
    types: Mapping[str, TensorType]

    @property
    def example(self) -> dict[str, Any] | None:
        """Arguments of these types by parameter, None if a length is not known."""
        if not all(type_.is_concrete for type_ in self.types.values()):
            return None
        leaves = {p: np.broadcast_to(np.zeros((), t.element_type.dtype), t.lengths) for p, t in self.types.items()}
        return {n: unflatten(s, [leaves[p] for p in paths(s, n)]) for n, s in self.structures.items()}

    def array(self, leaf: Any, path: str) -> Array:
        """A leaf of an argument in its declared elements.

        Raises:
            InvalidRequest: it has others, which these do not hold.
        """
        type_ = self.types.get(path)
        return as_array(leaf, path) if type_ is None else converted(widened(leaf, type_, path), type_, path)

    def require(self, structures: Mapping[str, Structure], shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Sees that arguments are what was declared: their structures, and their shapes, of one point, by path.

        Raises:
            InvalidRequest: they are something else, or one length is told twice and differently.
        """
        for name, structure in self.structures.items():
            if name in structures and structures[name] != structure:
                raise InvalidRequest(f"{name} is declared as {structure} and given as {structures[name]}")
        lengths_told(self.types, shapes)


NOTHING = Declared({}, {})


def declared_by(examples: Mapping[str, Any]) -> Declared:
    """What examples declare, by parameter; nothing if there is no type among them."""
    structures: dict[str, Structure] = {}
    leaves: dict[str, Any] = {}
    for name, tree in examples.items():
        found, structures[name] = flatten(tree, name)
        leaves |= found
    if not any(isinstance(leaf, TensorType) for leaf in leaves.values()):
        return NOTHING
    types = {p: leaf if isinstance(leaf, TensorType) else type_of(as_array(leaf, p)) for p, leaf in leaves.items()}
    return Declared(structures, types)


def _length(length: Any) -> Length:
    if isinstance(length, str | Symbol):
        return dim(str(length))
    try:
        return operator.index(length)
    except TypeError:
        raise InvalidRequest(f"a length is a number or a name such as 'n', not {length!r}") from None


def _require_lengths(shape: tuple[Length, ...], itemsize: int = 1) -> None:
    faults = [f"{constraint}: {description}" for constraint, description in shape_faults(shape, itemsize)]
    if faults:
        raise InvalidRequest(f"no array has such a shape; {'; '.join(faults)}")
