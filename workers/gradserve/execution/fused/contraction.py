"""Contractions: a few products one by one, stacks of small matrices as a pass, all others by `matmul`'s inner loop."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from gradserve.execution.fused.elementwise import computed, fold
from gradserve.execution.fused.groups import Group
from gradserve.execution.fused.lowering import Site, lowered
from gradserve.execution.fused.machine import Machine, Place
from gradserve.execution.fused.passes import moved
from gradserve.execution.fused.terms import NotLowered, Term
from gradserve.execution.fused.text import REGISTER
from gradserve.execution.fused.ufuncs import inner_loop
from gradserve.execution.fused.values import FEW, Filled, Lowered, Small, Stored, positions, row_major_at
from gradserve.execution.numpy.layout import strides_cut_anew
from gradserve.ops.contraction.contract import Contract

_TINY = 64
"""Products that are written one by one, and those of a matrix that is too small to be worth a call."""


@lowered.register
def _(op: Contract, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    machine, (x, y), (result,) = at.machine, operands, at.types
    left, right = op.free(x.type.rank, y.type.rank)
    inner = math.prod(x.type.lengths[axis] for axis in op.lhs_contract)
    if not result.size or not inner:
        into = at.new(0)
        machine.text.clear(into.pointer, result.nbytes)
        return [into]
    if inner * result.size <= _TINY:
        return [_one_by_one(op, at, x, y)]
    batch = tuple(x.type.lengths[axis] for axis in op.lhs_batch)
    rows, columns = (math.prod(v.type.lengths[a] for a in axes) for v, axes in ((x, left), (y, right)))
    if inner == 1 or (inner <= FEW and rows * inner * columns <= _TINY):
        return [_pass(at, (x, op.lhs_batch, left, op.lhs_contract), (y, op.rhs_batch, right, op.rhs_contract))]
    a = _matrices(machine, x, (op.lhs_batch, left, op.lhs_contract))
    b = _matrices(machine, y, (op.rhs_batch, op.rhs_contract, right))
    return [_product(machine, a, b, (math.prod(batch), rows, inner, columns), at.new(0))]


def _one_by_one(op: Contract, at: Site, x: Lowered, y: Lowered) -> Lowered:
    machine, (result,) = at.machine, at.types
    left, right = op.free(x.type.rank, y.type.rank)
    kind = result.element_type
    first, second = (np.array(machine.elements(v), object).reshape(v.type.lengths) for v in (x, y))
    inner = math.prod(x.type.lengths[axis] for axis in op.lhs_contract)
    batch = math.prod(x.type.lengths[axis] for axis in op.lhs_batch)
    first = first.transpose((*op.lhs_batch, *left, *op.lhs_contract)).reshape(batch, -1, inner)
    second = second.transpose((*op.rhs_batch, *right, *op.rhs_contract)).reshape(batch, -1, inner)
    multiply = "fmul" if kind.is_float else "mul"
    found = []
    for rows, columns in zip(first, second, strict=True):
        for row in rows:
            for column in columns:
                pairs = zip(row, column, strict=True)
                terms = [machine.text.value(f"{multiply} {REGISTER[kind]} {s}, {t}") for s, t in pairs]
                found.append(fold(machine, Term.__add__, terms, kind))
    if len(found) <= FEW:
        return Small(result, tuple(found))
    return moved(machine, Small(result, tuple(found)), at.new(0))


_Operand: TypeAlias = tuple[Lowered, tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""A value with its batch axes, those of its own, and those that are contracted."""


def _pass(at: Site, x: _Operand, y: _Operand) -> Lowered:
    """The few products of each element of the result and their sum, in one pass over all of them."""
    machine, (result,) = at.machine, at.types
    group = Group(result.lengths)
    factors = [_factors(machine, group, operand, k) for k, operand in enumerate((x, y))]
    products = [one * other for one, other in zip(*factors, strict=True)]
    group.terms[0] = functools.reduce(operator.add, products)
    return computed(machine, group, {0: at.new(0)})[0]


def _factors(machine: Machine, group: Group, operand: _Operand, position: int) -> list[Term]:
    """The elements of an operand that belong to one of the result, one for each place along the contracted axes."""
    value, batch, own, contracted = operand
    inner = tuple(value.type.lengths[axis] for axis in contracted)
    if isinstance(value, Filled):
        type_ = value.type.with_shape(group.lengths)
        return [group.read(position, Filled(type_, value.element, value.number))] * math.prod(inner)
    memory = machine.in_memory(value)
    others = (0,) * (len(group.lengths) - len(batch) - len(own))
    steps = tuple(memory.strides[axis] for axis in own)
    strides = (*(memory.strides[axis] for axis in batch), *((*others, *steps) if position else (*steps, *others)))
    type_ = value.type.with_shape(group.lengths)
    found = []
    for at in positions(inner, tuple(memory.strides[axis] for axis in contracted)):
        pointer = machine.text.offset(memory.pointer, at * value.type.element_type.itemsize)
        found.append(group.read(2 * at + position, Stored(type_, pointer, strides)))
    return found


def _matrices(
    machine: Machine, value: Lowered, axes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
) -> Stored:
    """The operand as a stack of matrices that BLAS can read: where it lies, or copied."""
    memory = machine.in_memory(value)
    order = (*axes[0], *axes[1], *axes[2])
    lengths = tuple(memory.type.lengths[axis] for axis in order)
    turned = Stored(memory.type.with_shape(lengths), memory.pointer, tuple(memory.strides[axis] for axis in order))
    shape = tuple(math.prod(memory.type.lengths[axis] for axis in part) for part in axes)
    type_ = memory.type.with_shape(shape)
    strides = strides_cut_anew(lengths, turned.strides, shape)
    if strides is not None and _readable(shape, strides):
        return Stored(type_, memory.pointer, strides)
    copy = machine.scratch(turned.type)
    moved(machine, turned, copy)
    return row_major_at(type_, copy.pointer)


def _readable(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether one axis of the matrices is contiguous and the other does not overlap it."""
    (_, height, width), (_, down, across) = shape, strides
    by_rows = (across == 1 or width == 1) and (down >= width or height == 1)
    return by_rows or ((down == 1 or height == 1) and (across >= height or width == 1))


def _product(machine: Machine, a: Stored, b: Stored, sizes: tuple[int, int, int, int], into: Stored) -> Stored:
    kind = a.type.element_type
    loop = inner_loop(np.matmul, (kind, kind))
    if loop is None:
        raise NotLowered(f"products of {kind.value}")
    count, rows, inner, columns = sizes
    size = kind.itemsize
    steps = [*_steps(a), *_steps(b), columns, 1]
    places = [Place(a.pointer, a.strides[0] * size), Place(b.pointer, b.strides[0] * size)]
    places.append(Place(into.pointer, rows * columns * size))
    machine.call(loop, places, count, (rows, inner, columns, *(size * step for step in steps)))
    return into


def _steps(matrices: Stored) -> tuple[int, int]:
    """The strides of the two axes; along an axis of one element, what BLAS expects of a dense matrix."""
    (_, height, width), (_, down, across) = matrices.type.lengths, matrices.strides
    if height == 1:
        down = width if across == 1 else 1
    if width == 1:
        across = 1
    return down, across
