"""Calls of functions without what nobody reads of their results, and without what only that needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from gradserve.autodiff.control.functions import call, cut, needed_for
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Literal
from gradserve.ir.op import Op
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.custom_derivative import CustomDerivative
from gradserve.ops.control.linear_call import LinearCall
from gradserve.ops.control.once import Checkpoint
from gradserve.ops.control.scan import Scan


def called(g: Builder, op: Op, operands: Sequence[Value], read: Collection[int]) -> tuple[Value, ...] | None:
    """The results of a call of which only some are read, zeros in the place of the others; None if all are needed.

    Of a choice that is known the results are those of the chosen function, its nodes written in place; of a function
    with a derivative of its own those of the function, as nothing is differentiated any more.
    """
    match op:
        case Scan():
            smaller, given, kept = _scan(op, operands, read)
        case Cond():
            known = g.literal(operands[0])
            if isinstance(known, Literal):
                return tuple(call(g, op.then if known.array else op.otherwise, operands[1:]))
            smaller, given, kept = _cond(op, operands, read)
        case CustomDerivative() | LinearCall():
            return tuple(call(g, op.function, operands))
        case Checkpoint():
            smaller, given, kept = _checkpoint(op, operands, read)
        case _:
            return None
    types = g.types(op, operands)
    if not kept or len(kept) == len(types):
        return None
    results = dict(zip(kept, g.apply(smaller, given), strict=True))
    return tuple(results.get(k) or g.zeros(type_) for k, type_ in enumerate(types))


def _scan(op: Scan, operands: Sequence[Value], read: Collection[int]) -> tuple[Op, list[Value], list[int]]:
    """A scan of the carries that later steps or readers need, and of the rows that are read."""
    first = int(op.stops)
    kept = {*read, *range(first)}
    while True:
        used = _inputs_of(op.body, kept)
        carried = {first + k for k in used if k < op.carries}
        if carried <= kept:
            break
        kept |= carried
    outputs = sorted(kept)
    _, carries, scanned, shared = op.parts(range(-1, len(operands) - 1))
    chosen_carries = [k for k in carries if first + k in kept]
    rows = [k for k in scanned if k in used]
    inputs = [*chosen_carries, *rows, *(k for k in shared if k in used)]
    smaller = replace(op, body=_cut(op.body, inputs, outputs), carries=len(chosen_carries), scanned=len(rows))
    return smaller, [operands[0], *(operands[1 + k] for k in inputs)], outputs


def _cond(op: Cond, operands: Sequence[Value], read: Collection[int]) -> tuple[Op, list[Value], list[int]]:
    outputs = sorted(read)
    inputs = sorted(_inputs_of(op.then, outputs) | _inputs_of(op.otherwise, outputs))
    smaller = op.with_functions(lambda function: _cut(function, inputs, outputs))
    return smaller, [operands[0], *(operands[1 + k] for k in inputs)], outputs


def _checkpoint(op: Checkpoint, operands: Sequence[Value], read: Collection[int]) -> tuple[Op, list[Value], list[int]]:
    outputs = sorted(read)
    inputs = sorted(_inputs_of(op.function, outputs))
    return Checkpoint(_cut(op.function, inputs, outputs)), [operands[k] for k in inputs], outputs


def _cut(function: Graph, inputs: Sequence[int], outputs: Iterable[int]) -> Graph:
    return cut(function, inputs, [function.outputs[k].value for k in outputs])


def _inputs_of(function: Graph, outputs: Iterable[int]) -> set[int]:
    """The inputs that these outputs depend on."""
    needed = needed_for(function, [function.outputs[k].value for k in outputs])
    return {k for k in needed if k < len(function.inputs)}
