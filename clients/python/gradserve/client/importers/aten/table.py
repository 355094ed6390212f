"""The table of ATen's operators: what each becomes, written by the functions of `gradserve.numpy` and the builder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gradserve.client.importers.aten.promotion import promoted_dtype
from gradserve.client.importers.lax.elements import Operand, converted, held
from gradserve.client.importers.lax.known import folded, known_array
from gradserve.ir.builder import Value
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder

if TYPE_CHECKING:
    from gradserve.client.importers.aten.archive import Meta
    from gradserve.client.importers.aten.reading import Reader

Result: TypeAlias = "Value | Operand | Sequence[Value | Operand | None] | None"
Scalar: TypeAlias = "bool | int | float"
Given: TypeAlias = "Operand | bool | int | float"
"""What stands where ATen takes a tensor or a number."""
Translate = Callable[..., Result]

MOST_KNOWN = 1 << 26
"""Elements of an array that is made while importing."""
TRANSLATORS: dict[str, Translate] = {}
"""By the names of operators: `add` for all of its overloads, `max.dim` for one."""


def translates(*names: str) -> Callable[[Translate], Translate]:
    """A decorator that enters what becomes of these operators.

    A translator takes the node, then what the operator does, in its order or by its names. It gives a value for each
    result; None is one that is not made. Results are converted to the elements that the program tells.
    """

    def enter(translate: Translate) -> Translate:
        TRANSLATORS.update(dict.fromkeys(names, translate))
        return translate

    return enter


def find(operation: str) -> Translate | None:
    """What becomes of an operator with its overload, such as `add.Tensor`."""
    return TRANSLATORS.get(operation) or TRANSLATORS.get(operation.partition(".")[0])


@dataclass
class Node:
    """An operator applied: what a translator is given beside its operands."""

    g: Recorder
    reader: Reader
    operation: str
    """The operator with its overload."""
    dtypes: Sequence[np.dtype[Any] | None]
    """The elements of the results, as the program tells them."""
    shapes: Sequence[tuple[int, ...] | None]
    scope: dict[str, Any]
    layout: Callable[[int], Meta]
    """How the tensor operand of that number lies in memory, as the program tells."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The elements of the first result."""
        found = self.dtypes[0]
        assert found is not None
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first result."""
        found = self.shapes[0]
        assert found is not None
        return found

    @property
    def name(self) -> str:
        """The operator without its overload."""
        return self.operation.partition(".")[0]

    def of(self, x: Given, dtype: np.dtype[Any] | None = None) -> Value:
        """x with the elements of the first result, or with others."""
        wanted = self.dtype if dtype is None else dtype
        if isinstance(x, Operand):
            if x.is_complex and wanted.kind not in "cb":
                raise self.refuse("complex numbers would become real", "call it for the real and the imaginary part")
            return converted(self.g, x, wanted) if x.dtype != wanted else x.value
        return self.g.constant(np.asarray(x).astype(held(wanted).dtype))

    @staticmethod
    def held(dtype: np.dtype[Any]) -> ElementType:
        """The elements of the values that hold these."""
        return held(dtype)

    def operand(self, x: Given, dtype: np.dtype[Any] | None = None) -> Operand:
        """As `of`, with its elements."""
        return Operand(self.of(x, dtype), self.dtype if dtype is None else dtype)

    def together(self, *given: Given) -> list[Operand]:
        """The operands with the elements that torch computes them in."""
        dtype = promoted_dtype(given)
        return [self.operand(x, dtype) for x in given]

    def known(self, x: Operand) -> Array | None:
        """The elements of an operand, if they follow from constants."""
        return known_array(self.g, folded(self.g, x))

    def refuse(self, problem: str, instead: str) -> Unsupported:
        """What is to be raised where no graph can say what is asked for."""
        return Unsupported(problem, instead)


def require_small(count: int) -> None:
    """What is known while importing, such as a table of places, has no more elements than this.

    Raises:
        LimitExceeded: it has.
    """
    if count > MOST_KNOWN:
        raise LimitExceeded("torch_constant_elements", f"{count} elements would be known; the limit is {MOST_KNOWN}")


def axis_in(axis: int, rank: int) -> int:
    """An axis counted from the first.

    Raises:
        ValueError: there is none.
    """
    if not -max(rank, 1) <= axis < max(rank, 1):
        raise ValueError(f"axis {axis} is none of {rank}")
    return axis % max(rank, 1)


def axes_in(dim: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the first, in ascending order; all of them for None and for no axis at all."""
    if dim is None or (not isinstance(dim, int) and not len(dim)):
        return tuple(range(rank))
    return tuple(sorted(axis_in(axis, rank) for axis in ([dim] if isinstance(dim, int) else dim))) if rank else ()
