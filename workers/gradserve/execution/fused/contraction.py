"""Contractions: a few products one by one, stacks of tiny matrices as a pass, all others as stacks of matrices."""

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
from gradserve.execution.fused.machine import Machine
from gradserve.execution.fused.passes import moved
from gradserve.execution.fused.stacks import TINY, way_of
from gradserve.execution.fused.terms import Term
from gradserve.execution.fused.text import REGISTER
from gradserve.execution.fused.values import FEW, Filled, Lowered, Small, Stored, positions
from gradserve.ops.contraction.contract import Contract


@lowered.register
def _(op: Contract, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    x, y = operands
    way = way_of(op, x.type, y.type)
    if way is not None:
        into = at.new(0)
        way.write(at.machine, x, y, into)
        return [into]
    inner = math.prod(x.type.lengths[axis] for axis in op.lhs_contract)
    if not inner or not at.types[0].size:
        into = at.new(0)
        at.machine.text.clear(into.pointer, into.type.nbytes)
        return [into]
    if inner * at.types[0].size <= TINY:
        return [_one_by_one(op, at, x, y)]
    left, right = op.free(x.type.rank, y.type.rank)
    return [_pass(at, (x, op.lhs_batch, left, op.lhs_contract), (y, op.rhs_batch, right, op.rhs_contract))]


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
