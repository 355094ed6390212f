"""Constant folding: what depends on no input is computed once, when the plan is made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NotDifferentiable, NumericalFailure
from gradserve.ir.evaluate import applied
from gradserve.ir.graph import Literal
from gradserve.ir.op import Op
from gradserve.ir.splat import splat
from gradserve.ir.types import Array

MAX_ELEMENTS = 1 << 16
"""Results above this are computed anew each time: a broadcast is cheaper to make than to ship."""
MAX_FLOPS = 2e7
"""What takes longer, some milliseconds, is left to the run, which knows limits and can be stopped."""


def fold(g: Builder, op: Op, operands: Sequence[Value]) -> tuple[Value, ...] | None:
    """The results as constants, or None if the operands are not known or the results are large."""
    for operand in operands:
        made = operand.producer
        if (g.literal(operand) is None) if made is None else not made.op.fills:
            return None
    return _fold_splats(g, op, operands) if op.elementwise else _fold_constants(g, op, operands)


def _fold_splats(g: Builder, op: Op, operands: Sequence[Value]) -> tuple[Value, ...] | None:
    """An elementwise op on splats is a splat."""
    numbers = [splat(g, operand) for operand in operands]
    if any(number is None for number in numbers):
        return _fold_constants(g, op, operands)
    (type_,) = g.types(op, operands)
    result = _compute(op, [np.asarray(number) for number in numbers])
    if result is None:
        return None
    return (g.broadcast(g.constant(result[0], type_.element_type), type_.shape),)


def _fold_constants(g: Builder, op: Op, operands: Sequence[Value]) -> tuple[Value, ...] | None:
    if op.view or op.functions or not op.folds:
        return None  # a loop may take as long as the whole run, and here nobody could stop it
    known = []
    for operand in operands:
        array = _known(g, op, operand)
        if array is None:
            return None
        known.append(array)
    types = g.types(op, operands)
    if max(sum(t.size for t in types), sum(array.size for array in known)) > MAX_ELEMENTS:
        return None
    if op.cost([operand.type for operand in operands], types).flops > MAX_FLOPS:
        return None
    results = _compute(op, known)
    if results is None:
        return None
    return tuple(g.constant(Literal(np.asarray(r, t.element_type.dtype))) for r, t in zip(results, types, strict=True))


def _known(g: Builder, op: Op, operand: Value) -> Array | None:
    """The elements of a constant; of a splat its number, if the op broadcasts it."""
    literal = g.literal(operand)
    if isinstance(literal, Literal):
        return literal.array
    number = splat(g, operand) if op.elementwise else None
    return None if number is None else np.asarray(number)


def _compute(op: Op, arrays: Sequence[Array]) -> tuple[Array, ...] | None:
    """The results, or None if they are impossible: then the step fails when it is run, and says where."""
    try:
        return applied(op, arrays)
    except (np.linalg.LinAlgError, NotDifferentiable, NumericalFailure, IndexError, ValueError):
        return None
