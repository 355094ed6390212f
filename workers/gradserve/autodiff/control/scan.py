"""The transforms of a scan.

The differential of a scan is a scan of the body's differential. What that reads of the body's own values is recorded by
the scan itself, stacked, so that nothing is computed twice; what all steps have in common is computed once, before. Its
transpose is a scan in the other direction, whose carries are the cotangents of the carries, and the sums of those of
what the steps share (Griewank and Walther, Evaluating Derivatives, 2008, chapter 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from gradserve.autodiff import rules
from gradserve.autodiff.control.differential import Differential, differential_of
from gradserve.autodiff.control.functions import (
    absorbing,
    call,
    function,
    kinking,
    names_of,
    parameters,
    with_hits,
)
from gradserve.autodiff.control.mapped import mapped
from gradserve.autodiff.control.pullback import pullback
from gradserve.autodiff.vmap import vmap
from gradserve.autodiff.walk import reachable
from gradserve.ir.budget import remembered
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.op import Absorbed, Unknown
from gradserve.ir.types import TensorType
from gradserve.ops import builder
from gradserve.ops.control.calling import output_types
from gradserve.ops.control.scan import Scan
from gradserve.ops.family import with_batch
from gradserve.ops.movement.shapes import permuted

_Fed: TypeAlias = list[tuple[int, Value]]
"""Values of the differential's graph, and the operands that they are in the linear scan."""
_Slots: TypeAlias = dict[tuple[str, int], Value]
"""The operands of the scan back, by what they are and of which input or output."""


@rules.push.register
def push(
    op: Scan, g: Builder, primals: Sequence[Value], tangents: Sequence[Value | None]
) -> tuple[tuple[Value, ...], tuple[Value | None, ...]]:
    """A scan that records, and a scan of the linear part of its body."""
    moving, differential = _settled(op, [tangent is not None for tangent in tangents[1:]])
    _, carries, scanned, shared = op.parts(range(-1, len(moving)))
    first = int(op.stops)
    moved = [first + k for k in carries if moving[k]]
    moved += [k for k in range(first + op.carries, len(differential.moves)) if differential.moves[k]]
    dots = [differential.dot(k) for k in moved]

    boundary = differential.boundary(dots)
    varies = differential.varying([*carries, *scanned])
    recorded = [k for k in boundary if varies[k] and k not in scanned]
    once = [k for k in boundary if not varies[k]]
    body = differential.cut(differential.inputs, [*differential.outputs, *recorded])
    results = g.apply(replace(op, body=body), primals)
    outputs, stacks = results[: len(differential.outputs)], results[len(differential.outputs) :]
    common = call(g, differential.cut(shared, once), [primals[1 + k] for k in shared])

    def moving_in(group: Sequence[int]) -> _Fed:
        return [(differential.tangents[k], tangents[1 + k] or g.zeros(primals[1 + k].type)) for k in group if moving[k]]

    again = [(k, primals[1 + k]) for k in boundary if k in scanned]
    fed_carries = moving_in(carries)
    fed_rows = [*zip(recorded, stacks, strict=True), *again, *moving_in(scanned)]
    fed = [*fed_carries, *fed_rows, *zip(once, common, strict=True), *moving_in(shared)]
    linear = Scan(
        body=differential.cut([k for k, _ in fed], dots),
        length=op.length,
        carries=len(fed_carries),
        scanned=len(fed_rows),
        reverse=op.reverse,
        stops=False,
    )
    done = outputs[0] if op.stops else primals[0]
    pushed = dict(zip(moved, g.apply(linear, [done, *(value for _, value in fed)]), strict=True))
    return outputs, tuple(pushed.get(k) for k in range(len(outputs)))


def _settled(op: Scan, moving: list[bool]) -> tuple[list[bool], Differential]:
    """Which inputs of the body move once all steps are done, and the body's differential in them."""
    first = int(op.stops)
    while True:
        differential = differential_of(op.body, moving)
        late = [k for k in range(op.carries) if differential.moves[first + k] and not moving[k]]
        if not late:
            return moving, differential
        moving = [moves or k in late for k, moves in enumerate(moving)]


@rules.pull.register
def pull(
    op: Scan, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
) -> tuple[Value | None, ...]:
    """A scan in the other direction: of the cotangents of the carries, and of sums for what the steps share."""
    steps, *given = operands
    _, carries, scanned, shared = op.parts(range(-1, len(given)))
    unknown = [k in carries or isinstance(operand, Unknown) for k, operand in enumerate(given)]
    rows, sums = ([k for k in group if unknown[k]] for group in (scanned, shared))
    seeds = [k for k, ct in enumerate(cotangents) if k in carries or ct is not None]
    arriving = {k: cotangents[k] or g.zeros(output_types(op.body)[k]) for k in seeds}
    known = {k: x for k, x in enumerate(given) if isinstance(x, Value) and not unknown[k]}

    fed_carries: _Slots = {("cotangent", k): arriving[k] for k in carries}
    fed_carries |= {("sum", k): g.zeros(op.body.inputs[k].type) for k in sums}
    fed_rows: _Slots = {("known", k): known[k] for k in scanned if k in known}
    fed_rows |= {("cotangent", k): arriving[k] for k in seeds[op.carries :]}
    fed = fed_carries | fed_rows | {("known", k): known[k] for k in shared if k in known}

    scan = Scan(
        body=_step_back(op.body, [*fed], unknown, seeds, carries, rows),
        length=op.length,
        carries=len(fed_carries),
        scanned=len(fed_rows),
        reverse=not op.reverse,
        stops=False,
    )
    assert isinstance(steps, Value)
    leaving = dict(zip([*carries, *sums, *rows], g.apply(scan, [steps, *fed.values()]), strict=True))
    return (None, *(leaving.get(k) for k in range(len(given))))


@remembered
def _step_back(
    body: Graph,
    slots: Sequence[tuple[str, int]],
    unknown: Sequence[bool],
    seeds: Sequence[int],
    carries: Sequence[int],
    rows: Sequence[int],
) -> Graph:
    """The body of the scan back: of what its inputs are, to cotangents of carries, sums so far, cotangents of rows."""
    inner = builder()
    own = dict(zip(slots, parameters(inner, [_inside(body, *slot) for slot in slots]), strict=True))
    known = [k for role, k in sorted(slots) if role == "known"]
    back = pullback(body, unknown, seeds)
    found = call(inner, back, [*(own["known", k] for k in known), *(own["cotangent", k] for k in seeds)])
    pulled = dict(zip([k for k, is_unknown in enumerate(unknown) if is_unknown], found, strict=True))
    added = [inner.add(own["sum", k], pulled[k]) for role, k in slots if role == "sum"]
    return function(inner, [*(pulled[k] for k in carries), *added, *(pulled[k] for k in rows)])


def _inside(body: Graph, role: str, k: int) -> TensorType:
    """The type, at one step, of an input that is known or summed, or of the cotangent of an output."""
    return output_types(body)[k] if role == "cotangent" else body.inputs[k].type


@rules.spread.register
def spread(op: Scan, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
    """A scan of the batched body; one scan after the other where examples may end after different numbers of steps."""
    inside, reached = _reached(op, list(batched[1:]))
    first = int(op.stops)
    if batched[0] or any(reached[:first]):
        return mapped(op, g, operands, batched, size)
    alike = [o.name for o, b in zip(op.body.outputs[: first + op.carries], reached, strict=False) if not b]
    scan = replace(op, body=vmap(op.body, names_of(op.body, inside), size, alike))
    steps, carries, scanned, shared = op.parts([(x, b) for x, b in zip(operands, batched, strict=True)])
    results = g.apply(
        scan,
        [
            steps[0],
            *(with_batch(g, x, b, size) if inside[k] else x for k, (x, b) in enumerate(carries)),
            *(_exchanged(g, x) if b else x for x, b in scanned),
            *(x for x, _ in shared),
        ],
    )
    whole = [with_batch(g, y, b, size) for y, b in zip(results[: first + op.carries], reached, strict=False)]
    return (*whole, *(_exchanged(g, y) for y in results[first + op.carries :]))


def _reached(op: Scan, batched: list[bool]) -> tuple[list[bool], list[bool]]:
    """Which inputs and outputs of the body differ between examples once all steps are done."""
    first = int(op.stops)
    while True:
        marks = reachable(op.body, names_of(op.body, batched))
        reached = [marks[output.value] for output in op.body.outputs]
        late = [k for k in range(op.carries) if reached[first + k] and not batched[k]]
        if not late:
            return batched, [
                b or (first <= k < first + op.carries and batched[k - first]) for k, b in enumerate(reached)
            ]
        batched = [b or k in late for k, b in enumerate(batched)]


def _exchanged(g: Builder, x: Value) -> Value:
    """The array with its first two axes exchanged: examples and rows."""
    return permuted(g, x, (1, 0, *range(2, x.type.rank)))


@rules.absorb.register
def absorb(op: Scan, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
    """The scan of a body in which zeros absorb."""
    linear, reached = _reached(op, [own is not None for own in reach[1:]])
    return with_hits(g, g.apply(replace(op, body=absorbing(op.body, linear)), operands), reached)


@rules.kink.register
def kink(
    op: Scan, g: Builder, operands: Sequence[Value], _outputs: Sequence[Value], moving: Sequence[bool]
) -> Value | None:
    """At the steps in which the body sits on a kink."""
    found = kinking(op.body, _settled(op, list(moving[1:]))[0], int(op.stops) + op.carries)
    return None if found is None else g.apply(replace(op, body=found), operands)[-1]
