"""Values and nodes of a graph under construction."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gradserve.ir.errors import ConstraintError, InvalidGraph, Violation
from gradserve.ir.graph import Origin
from gradserve.ir.op import Op
from gradserve.ir.types import Array, ElementType, TensorType

if TYPE_CHECKING:
    from gradserve.ir.builder import Builder

Scalar: TypeAlias = bool | int | float | complex
Operand: TypeAlias = "Value | Scalar | Array | np.generic"
REAL_NUMBERS: frozenset[type] = frozenset({bool, int, float})
"""The types of Python's real numbers, which adapt to arrays: those of floating-point numbers stay what they are."""
PYTHON = REAL_NUMBERS | {complex}
"""The types of Python's numbers, which adapt to arrays."""
_FEW = 4
"""Operands up to which the types of results are kept for other graphs: what is kept stays small."""


class Value:
    """A value of a graph under construction. Arithmetic on it emits nodes."""

    __slots__ = ("builder", "index", "producer", "type")
    __array_ufunc__ = None

    def __init__(self, builder: Builder, index: int, type_: TensorType, producer: Application | None = None) -> None:
        """Made by the builder only."""
        self.builder = builder
        self.index = index
        self.type = type_
        self.producer = producer

    @property
    def shape(self) -> tuple[int, ...]:
        """Its lengths, all numbers."""
        return self.type.lengths

    def __add__(self, other: Operand) -> Value:
        return self.builder.emit("add", self, other)

    def __radd__(self, other: Operand) -> Value:
        return self.builder.emit("add", other, self)

    def __sub__(self, other: Operand) -> Value:
        return self.builder.emit("sub", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self.builder.emit("sub", other, self)

    def __mul__(self, other: Operand) -> Value:
        return self.builder.emit("mul", self, other)

    def __rmul__(self, other: Operand) -> Value:
        return self.builder.emit("mul", other, self)

    def __truediv__(self, other: Operand) -> Value:
        return self.builder.emit("div", self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self.builder.emit("div", other, self)

    def __neg__(self) -> Value:
        return self.builder.emit("neg", self)

    def __repr__(self) -> str:
        return f"%{self.index}: {self.type}"


class Application:
    """One node of a graph under construction."""

    __slots__ = ("op", "operands", "origin", "results", "types")

    def __init__(
        self, op: Op, operands: tuple[Value, ...], types: tuple[TensorType, ...], origin: Origin | None
    ) -> None:
        """Made by the builder only, which then gives it its results."""
        self.op = op
        self.operands = operands
        self.types = types
        self.origin = origin
        self.results: tuple[Value, ...] = ()


def common_element_type(operands: Sequence[Operand]) -> ElementType:
    """The element type that NumPy gives to an operation on these operands."""
    found = {o.type.element_type if isinstance(o, Value) else type(o) for o in operands}
    given = found - PYTHON
    if len(given) == 1 and (len(found) == 1 or (ElementType.FLOAT64 in found and complex not in found)):
        (only,) = given
        if isinstance(only, ElementType):
            return only  # the usual case, which NumPy takes long to tell
    strong = [o.type.element_type.dtype if isinstance(o, Value) else o for o in operands]
    return ElementType.of(np.result_type(*strong))


def kind_of(op: Op, operands: Sequence[Value]) -> tuple[int, ...]:
    """What the types of results are known by: the identities of the op and of the operands' types."""
    if len(operands) == 2:  # written out, as it is asked of every node
        return id(op), id(operands[0].type), id(operands[1].type)
    return (id(op), *[id(operand.type) for operand in operands])


def inferred(op: Op, operands: Sequence[Value], origin: Origin | None) -> tuple[TensorType, ...]:
    """The types of the results of `op` on `operands`.

    Raises:
        InvalidGraph: the operands break one of the op's constraints.
    """
    given = [operand.type for operand in operands]
    is_small = len(given) <= _FEW and not op.calls_functions
    try:
        return _inferred(type(op).infer, op, *given) if is_small else op.infer(*given)
    except ConstraintError as error:
        raise _impossible(op, operands, error, origin) from None


@functools.lru_cache(maxsize=4096)
def _inferred(infer: Callable[..., tuple[TensorType, ...]], op: Op, *types: TensorType) -> tuple[TensorType, ...]:
    """What the rule of an op says of these types: graphs of one process mostly ask the same."""
    return infer(op, *types)


def _impossible(op: Op, operands: Sequence[Value], error: ConstraintError, origin: Origin | None) -> InvalidGraph:
    """The refusal of an application whose operands break a constraint of its op."""
    types = ", ".join(str(operand.type) for operand in operands)
    violation = Violation(
        field=op.name,
        constraint=f"{op.name} ({error.constraint})",
        description=f"{error.description}; operands are {types or 'none'}",
        source=str(origin or ""),
    )
    return InvalidGraph("this operation is not possible", [violation])
