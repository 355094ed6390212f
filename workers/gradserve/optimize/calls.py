"""Calls of functions without what nobody reads of their results, and without what only that needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from gradserve.autodiff.control.functions import call, cut, needed_for
from gradserve.ir.budget import remembered
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Literal
from gradserve.ir.op import Op
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.custom_derivative import CustomDerivative
from gradserve.ops.control.linear_call import LinearCall
from gradserve.ops.control.once import Checkpoint
from gradserve.ops.control.scan import Scan
from gradserve.optimize.rewriter import has_room


def called(g: Builder, op: Op, operands: Sequence[Value], read: Collection[int]) -> tuple[Value, ...] | None:
    """The results of a call of which only some are read, zeros in the place of the others; None if all are needed.

    Of a choice that is known the results are those of the chosen function, its nodes written in place while there is
    room for them; of a function with a derivative of its own those of the function, as nothing is differentiated any
    more.
    """
    match op:
        case Scan():
            kept = _carried(op, read)
        case Cond():
            known = g.literal(operands[0])
            if isinstance(known, Literal):
                return _in_place(g, op.then if known.array else op.otherwise, operands[1:])
            kept = sorted(read)
        case CustomDerivative() | LinearCall():
            return _in_place(g, op.function, operands)
        case Checkpoint():
            kept = sorted(read)
        case _:
            return None
    types = g.types(op, operands)
    if not kept or len(kept) == len(types):  # seen before anything is cut: most calls are such, in every pass
        return None
    smaller, given = _smaller(op, operands, kept)
    results = dict(zip(kept, g.apply(smaller, given), strict=True))
    return tuple(results.get(k) or g.zeros(type_) for k, type_ in enumerate(types))


def _in_place(g: Builder, function: Graph, operands: Sequence[Value]) -> tuple[Value, ...]:
    """The results of a function, written in place; called where it is large and others took the room.

    A few kilobytes can call a large function in hundreds of places: what is made of it once stays made once.
    """
    if has_room(g, function):
        return tuple(call(g, function, operands))
    return g.apply(Checkpoint(function), operands)


def _carried(op: Scan, read: Collection[int]) -> list[int]:
    """The results of a scan that later steps or readers need."""
    first = int(op.stops)
    kept = {*read, *range(first)}
    while True:
        carried = {first + k for k in _inputs_of(op.body, kept) if k < op.carries}
        if carried <= kept:
            return sorted(kept)
        kept |= carried


def _smaller(op: Scan | Cond | Checkpoint, operands: Sequence[Value], kept: Sequence[int]) -> tuple[Op, list[Value]]:
    """A call for some results, and what it is given."""
    match op:
        case Scan():
            return _scan(op, operands, kept)
        case Cond():
            inputs = sorted(_inputs_of(op.then, kept) | _inputs_of(op.otherwise, kept))
            smaller: Op = op.with_functions(lambda function: _cut(function, inputs, kept))
            return smaller, [operands[0], *(operands[1 + k] for k in inputs)]
        case Checkpoint():
            inputs = sorted(_inputs_of(op.function, kept))
            return Checkpoint(_cut(op.function, inputs, kept)), [operands[k] for k in inputs]


def _scan(op: Scan, operands: Sequence[Value], kept: Sequence[int]) -> tuple[Op, list[Value]]:
    """A scan of these carries and of the rows that they are made of."""
    first, used = int(op.stops), _inputs_of(op.body, kept)
    _, carries, scanned, shared = op.parts(range(-1, len(operands) - 1))
    chosen_carries = [k for k in carries if first + k in kept]
    rows = [k for k in scanned if k in used]
    inputs = [*chosen_carries, *rows, *(k for k in shared if k in used)]
    smaller = replace(op, body=_cut(op.body, inputs, kept), carries=len(chosen_carries), scanned=len(rows))
    return smaller, [operands[0], *(operands[1 + k] for k in inputs)]


def _cut(function: Graph, inputs: Sequence[int], outputs: Iterable[int]) -> Graph:
    return cut(function, inputs, [function.outputs[k].value for k in outputs])


def _inputs_of(function: Graph, outputs: Iterable[int]) -> frozenset[int]:
    """The inputs that these outputs depend on."""
    return _needed(function, sorted(outputs))


@remembered
def _needed(function: Graph, outputs: Sequence[int]) -> frozenset[int]:
    needed = needed_for(function, [function.outputs[k].value for k in outputs])
    return frozenset(k for k in needed if k < len(function.inputs))
