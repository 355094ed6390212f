"""Stacks of matrices: in what order of their axes products read them, and what multiplies them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from gradserve.execution.fused.machine import Machine, Place
from gradserve.execution.fused.passes import moved
from gradserve.execution.fused.products import has_dense_rows, in_registers, is_narrow
from gradserve.execution.fused.terms import NotLowered
from gradserve.execution.fused.ufuncs import inner_loop
from gradserve.execution.fused.values import FEW, Lowered, Stored, row_major_at
from gradserve.execution.numpy.layout import strides_cut_anew
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops.contraction.contract import Contract

TINY = 64
"""Products that are written one by one, and those of a matrix that is too small to be worth a call."""
_WORTH_A_COPY = 32
"""Rows of the left matrices for which it pays to copy the right ones."""
Axes: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Side:
    """How an operand is read: as matrices along these axes, stacked, down and across, where they lie as they must."""

    axes: tuple[Axes, Axes, Axes]
    is_readable: Callable[[Stored], bool]

    def where_it_lies(self, memory: Stored) -> Stored | None:
        """The stack of matrices without a copy; None if there is none."""
        lengths, strides = ([of[axis] for axis in self.order] for of in (memory.type.lengths, memory.strides))
        shape = tuple(math.prod(memory.type.lengths[axis] for axis in part) for part in self.axes)
        anew = strides_cut_anew(tuple(lengths), tuple(strides), shape)
        found = None if anew is None else Stored(memory.type.with_shape(shape), memory.pointer, anew)
        return found if found is not None and self.is_readable(found) else None

    def copied(self, machine: Machine, memory: Stored) -> Stored:
        """The operand in memory in which its matrices lie as they must."""
        lengths, strides = ([of[axis] for axis in self.order] for of in (memory.type.lengths, memory.strides))
        turned = Stored(memory.type.with_shape(tuple(lengths)), memory.pointer, tuple(strides))
        copy = machine.scratch(turned.type)
        moved(machine, turned, copy)
        own = dict(zip(self.order, copy.strides, strict=True))
        return Stored(memory.type, copy.pointer, tuple(own[axis] for axis in range(memory.type.rank)), copy.owner)

    def matrices(self, machine: Machine, value: Lowered) -> Stored:
        """The stack of matrices: where it lies, or copied."""
        memory = machine.in_memory(value)
        found = self.where_it_lies(memory) or self.where_it_lies(self.copied(machine, memory))
        assert found is not None, "a copy is row-major"
        return found

    @property
    def order(self) -> Axes:
        """All axes of the operand."""
        return tuple(axis for part in self.axes for axis in part)


@dataclass(frozen=True, slots=True)
class Way:
    """What multiplies stacks of matrices, and how it reads them."""

    multiply: Callable[[Machine, Stored, Stored, Stored], None]
    sides: tuple[_Side, _Side]
    shape: tuple[int, int, int]
    otherwise: Way | None = None
    """What is better where the right matrices would be copied for this one."""

    def write(self, machine: Machine, x: Lowered, y: Lowered, into: Stored) -> None:
        """Writes the products to memory in which elements lie one after the other."""
        if self.otherwise and isinstance(y, Stored) and self.sides[1].where_it_lies(y) is None:
            self.otherwise.write(machine, x, y, into)
            return
        a, b = (side.matrices(machine, value) for side, value in zip(self.sides, (x, y), strict=True))
        self.multiply(machine, a, b, row_major_at(into.type.with_shape(self.shape), into.pointer))


def way_of(op: Contract, x: TensorType, y: TensorType) -> Way | None:
    """How operands of these types are multiplied; None where so few products make an element that a pass makes them."""
    left, right = op.free(x.rank, y.rank)
    count, rows, inner = (math.prod(x.lengths[axis] for axis in axes) for axes in (op.lhs_batch, left, op.lhs_contract))
    columns = math.prod(y.lengths[axis] for axis in right)
    if inner * count * rows * columns <= TINY or inner == 1 or (inner <= FEW and rows * inner * columns <= TINY):
        return None
    axes = (op.lhs_batch, left, op.lhs_contract), (op.rhs_batch, op.rhs_contract, right)
    shape = count, rows, columns
    by_blas = Way(_by_blas, (_Side(axes[0], _is_blas), _Side(axes[1], _is_blas)), shape)
    if not is_narrow(x.element_type, rows, inner, columns):
        return by_blas
    sides = _Side(axes[0], _is_any), _Side(axes[1], has_dense_rows)
    return Way(in_registers, sides, shape, by_blas if rows < _WORTH_A_COPY else None)


def arranged(machine: Machine, body: Graph, given: int, value: Lowered) -> Lowered:
    """An input that stays the same from step to step, copied once into the order in which a product reads it."""
    if not isinstance(value, Stored):
        return value
    wanted = (side for side in _readers(body, given) if side.where_it_lies(value) is None)
    side = next(wanted, None)
    return value if side is None else side.copied(machine, value)


def _readers(body: Graph, given: int) -> Iterator[_Side]:
    for node in body.nodes:
        if isinstance(node.op, Contract) and given in node.operands:
            way = way_of(node.op, *(body.value_types[k] for k in node.operands))
            if way is not None:
                yield way.sides[node.operands.index(given)]


def _is_any(matrices: Stored) -> bool:
    """Whatever the strides."""
    del matrices
    return True


def _is_blas(matrices: Stored) -> bool:
    """Whether one axis of the matrices is contiguous and the other does not overlap it."""
    (_, height, width), (_, down, across) = matrices.type.lengths, matrices.strides
    by_rows = (across == 1 or width == 1) and (down >= width or height == 1)
    return by_rows or ((down == 1 or height == 1) and (across >= height or width == 1))


def _by_blas(machine: Machine, a: Stored, b: Stored, into: Stored) -> None:
    """Writes the products of pairs of matrices, by the inner loop of `matmul`."""
    kind = a.type.element_type
    loop = inner_loop(np.matmul, (kind, kind))
    if loop is None:
        raise NotLowered(f"products of {kind.value}")
    (count, rows, inner), columns = a.type.lengths, b.type.lengths[2]
    size = kind.itemsize
    steps = [step for matrices in (a, b, into) for step in _steps(matrices)]
    places = [Place(matrices.pointer, matrices.strides[0] * size) for matrices in (a, b, into)]
    machine.call(loop, places, count, (rows, inner, columns, *(size * step for step in steps)))


def _steps(matrices: Stored) -> tuple[int, int]:
    """The strides of the two axes; along an axis of one element, what BLAS expects of a dense matrix."""
    (_, height, width), (_, down, across) = matrices.type.lengths, matrices.strides
    if height == 1:
        down = width if across == 1 else 1
    if width == 1:
        across = 1
    return down, across
