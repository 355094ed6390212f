"""The transforms of a conditional, which records what the differential of the chosen function reads."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff import rules
from gradserve.autodiff.control.differential import Differential, differential_of
from gradserve.autodiff.control.functions import (
    absorbing,
    call,
    function,
    kinking,
    names_of,
    parameters,
    picking,
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
from gradserve.ops import builder
from gradserve.ops.control.cond import Cond


@rules.push.register
def push(
    op: Cond, g: Builder, primals: Sequence[Value], tangents: Sequence[Value | None]
) -> tuple[tuple[Value, ...], tuple[Value | None, ...]]:
    """A conditional that records what the linear part of either function reads, and one of the linear parts."""
    moving = [tangent is not None for tangent in tangents[1:]]
    both = [differential_of(graph, moving) for graph in (op.then, op.otherwise)]
    moved = [k for k in range(len(both[0].moves)) if any(d.moves[k] for d in both)]
    dots = [[d.dot(k) for k in moved] for d in both]
    boundaries = [d.boundary(own) for d, own in zip(both, dots, strict=True)]
    read = sorted({k for boundary in boundaries for k in boundary if k < len(moving)})
    kept = [[k for k in boundary if k >= len(moving)] for boundary in boundaries]

    count = len(both[0].outputs)
    results = g.apply(_recording(both, kept), primals)
    outputs, residuals = results[:count], results[count:]
    if not moved:
        return outputs, (None,) * count
    operands = [*residuals, *(primals[1 + k] for k in read)]
    operands += [tangent for tangent in tangents[1:] if tangent is not None]
    types = [value.type for value in operands]
    linear = []
    for d, own, start, residual in zip(both, dots, (0, len(kept[0])), kept, strict=True):
        given = {k: position for position, k in enumerate(residual, start)}
        given |= {k: position for position, k in enumerate([*read, *d.tangents.values()], len(residuals))}
        linear.append(picking(d.cut([*given], own), types, [*given.values()]))
    pushed = dict(zip(moved, g.apply(Cond(*linear), [primals[0], *operands]), strict=True))
    return outputs, tuple(pushed.get(k) for k in range(count))


@remembered
def _recording(both: Sequence[Differential], kept: Sequence[Sequence[int]]) -> Cond:
    """The conditional of functions that give their residuals as well, and zeros for those of the other."""
    functions = []
    for chosen, d in enumerate(both):
        inner = builder()
        types = d.graph.value_types
        own = parameters(inner, [types[k] for k in d.inputs])
        values = call(inner, d.cut(d.inputs, [*d.outputs, *kept[chosen]]), own)
        found = [values[: len(d.outputs)], values[len(d.outputs) :]]
        other = both[1 - chosen].graph.value_types
        found.insert(1 if chosen else 2, [inner.zeros(other[k]) for k in kept[1 - chosen]])
        functions.append(function(inner, [value for part in found for value in part]))
    return Cond(*functions)


@rules.pull.register
def pull(
    op: Cond, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
) -> tuple[Value | None, ...]:
    """The conditional of the transposes."""
    truth, *others = operands
    assert isinstance(truth, Value)
    unknown = [isinstance(operand, Unknown) for operand in others]
    seeded = [k for k, ct in enumerate(cotangents) if ct is not None]
    back = [pullback(graph, unknown, seeded) for graph in (op.then, op.otherwise)]
    given = [operand for operand in others if isinstance(operand, Value)]
    given += [ct for ct in cotangents if ct is not None]
    types = [value.type for value in given]
    functions = [picking(graph, types, range(len(types))) for graph in back]
    found = iter(g.apply(Cond(*functions), [truth, *given]))
    return (None, *(next(found) if is_unknown else None for is_unknown in unknown))


@rules.spread.register
def spread(op: Cond, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
    """The conditional of the batched functions; with a truth value for each example, both, or each example by itself.

    Both are computed, and chosen from, only if neither can fail where the other would be taken.
    """
    truth, *others = operands
    if batched[0] and not all(_never_fails(graph) for graph in (op.then, op.otherwise)):
        return mapped(op, g, operands, batched, size)
    then, otherwise = (vmap(graph, names_of(graph, batched[1:]), size) for graph in (op.then, op.otherwise))
    if not batched[0]:
        return g.apply(Cond(then, otherwise), operands)
    pairs = zip(call(g, then, others), call(g, otherwise, others), strict=True)
    return tuple(g.select(_spread_over(g, truth, x), x, y) for x, y in pairs)


def _never_fails(graph: Graph) -> bool:
    """Whether the function has a value for all numbers: no inverse of a matrix that may have none.

    What it calls is looked at once, however often it is called: each may call another twice.
    """
    return all(_is_total(each) for each in (graph, *graph.functions))


def _is_total(graph: Graph) -> bool:
    """Whether its own nodes have values for all numbers."""
    types = graph.value_types
    return all(node.op.is_total(*(types[k] for k in node.operands)) for node in graph.nodes)


def _spread_over(g: Builder, truth: Value, x: Value) -> Value:
    """A truth value for each example, repeated for all its elements."""
    return g.broadcast(g.reshape(truth, truth.type.shape + (1,) * (x.type.rank - 1)), x.type.shape)


@rules.absorb.register
def absorb(op: Cond, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
    """The conditional of functions in which zeros absorb."""
    functions, linear = [], [own is not None for own in reach[1:]]
    reached = [False] * len(op.then.outputs)
    for graph in (op.then, op.otherwise):
        functions.append(absorbing(graph, linear))
        marks = reachable(graph, names_of(graph, linear))
        reached = [known or marks[output.value] for known, output in zip(reached, graph.outputs, strict=True)]
    return with_hits(g, g.apply(Cond(*functions), operands), reached)


@rules.kink.register
def kink(
    op: Cond, g: Builder, operands: Sequence[Value], _outputs: Sequence[Value], moving: Sequence[bool]
) -> Value | None:
    """Where the chosen function sits on one."""
    found = [kinking(graph, moving[1:]) or _never(graph) for graph in (op.then, op.otherwise)]
    return g.apply(Cond(*found), operands)[0]


@remembered
def _never(graph: Graph) -> Graph:
    """The function of the same that says no."""
    inner = builder()
    parameters(inner, [i.type for i in graph.inputs])
    return function(inner, [inner.constant(False)])
