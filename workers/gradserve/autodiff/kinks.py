"""Where a function is not differentiable, and each op follows its own convention."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from gradserve.autodiff import names, rules
from gradserve.autodiff.walk import declare_inputs, inline, values_of
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Node
from gradserve.ir.types import ElementType
from gradserve.ops import builder
from gradserve.ops.elementwise.differentiate_as import DifferentiateAs
from gradserve.ops.elementwise.stop_gradient import StopGradient
from gradserve.ops.family import Discrete


def kinks(graph: Graph, wrt: Sequence[str]) -> Graph:
    """For each node that can sit on a kink, how many of its elements do: `kinks:POSITION`, int64."""
    g = builder()
    arguments = declare_inputs(g, graph)
    if not any(rules.may_kink(node.op) for node in graph.nodes):
        return g.build({})
    counts = kink_counts(g, graph, wrt, values_of(g, graph, arguments))
    return g.build({names.kinks(position): count for position, count in counts.items()})


def with_kinks(graph: Graph, derived: Graph, wrt: Sequence[str]) -> Graph:
    """The derived graph that also says which nodes sit on a kink, and whether any does; itself if none ever can.

    As 0 or 1 in int64, so that sums over examples count them: `kinked:nodes` holds one for each node that can sit on
    a kink, `kinked:examples` is a scalar.
    """
    counting = kinks(graph, wrt)
    if not counting.outputs:
        return derived
    g = builder()
    arguments = declare_inputs(g, derived)
    outputs = inline(g, derived, arguments)
    counts = inline(g, counting, arguments)
    flags = [g.reshape(g.convert(g.gt(count, 0), ElementType.INT64), (1,)) for count in counts.values()]
    nodes = g.emit("concatenate", *flags, axis=0)
    outputs[names.KINKED_NODES] = nodes
    outputs[names.KINKED_EXAMPLES] = g.convert(g.gt(g.reduce_sum(nodes, axes=(0,)), 0), ElementType.INT64)
    return g.build(outputs)


def with_absorbed(derived: Graph) -> Graph:
    """The derived graph, with examples that a computed zero has absorbed something at among those on kinks."""
    g = builder()
    outputs = inline(g, derived, declare_inputs(g, derived))
    counts = [outputs[name] for name in (names.KINKED_EXAMPLES, names.ABSORBED) if name in outputs]
    some = functools.reduce(g.logical_or, [g.gt(count, 0) for count in counts])
    return g.build(outputs | {names.KINKED_EXAMPLES: g.convert(some, ElementType.INT64)})


def kink_counts(g: Builder, graph: Graph, wrt: Sequence[str], values: Sequence[Value]) -> Mapping[int, Value]:
    """By a node's position, how many of its elements sit on a kink, built in `g` from the graph's values there.

    Nodes that do not move with `wrt` sit on none, nor do those that no derivative comes from. Kinks that nothing but
    jumps is computed from do not count: a maximum of which only the floor is taken is constant but for jumps of the
    floor, which count themselves.
    """
    moving, used, felt = _moving(graph, wrt), _reaching(graph, through_jumps=True), _reaching(graph)
    counts: dict[int, Value] = {}
    for position, (node, results) in enumerate(graph.numbered_nodes()):
        if not rules.may_kink(node.op):
            continue
        real = any(moving[k] and values[k].type.is_float for k in node.operands)
        if real and any((used if _jumps(node) else felt)[k] for k in results):
            operands, moves = [values[k] for k in node.operands], [moving[k] for k in node.operands]
            where = rules.kink(node.op, g, operands, [values[k] for k in results], moves)
            if where is not None:
                axes = tuple(range(where.type.rank))
                counts[position] = g.reduce_sum(g.convert(where, ElementType.INT64), axes=axes)
    return counts


def margins(g: Builder, graph: Graph, values: Sequence[Value]) -> Mapping[int, Value]:
    """By a node's position, how far its operands are from its next branch: the least over its elements."""
    found = {}
    for position, (node, results) in enumerate(graph.numbered_nodes()):
        operands = [values[k] for k in node.operands]
        if operands and operands[0].type.is_float and operands[0].type.size:
            margin = node.op.margin(g, operands, [values[k] for k in results])
            if margin is not None:
                found[position] = g.reduce_min(margin, axes=tuple(range(margin.type.rank)))
    return found


def _moving(graph: Graph, wrt: Sequence[str]) -> list[bool]:
    """For each value, whether it moves with the inputs `wrt`."""
    moving = [i.name in wrt for i in graph.inputs] + [False] * len(graph.constants)
    for node in graph.nodes:
        moves = any(moving[k] for k in _differentiated(node)) and not isinstance(node.op, StopGradient)
        moving += [moves] * len(node.types)
    return moving


def _reaching(graph: Graph, through_jumps: bool = False) -> list[bool]:
    """For each value, whether an output follows it continuously; or, through jumps, at all."""
    reaching = [False] * len(graph.value_types)
    for output in graph.outputs:
        reaching[output.value] = True
    for node, results in reversed(list(graph.numbered_nodes())):
        passes = not isinstance(node.op, StopGradient) if through_jumps else not _jumps(node)
        if passes and any(reaching[k] for k in results):
            for operand in _differentiated(node):
                reaching[operand] = True
    return reaching


def _differentiated(node: Node) -> Sequence[int]:
    """The operands that the node's differential has to do with."""
    return node.operands[1:] if isinstance(node.op, DifferentiateAs) else node.operands


def _jumps(node: Node) -> bool:
    """Whether the node is constant wherever it is continuous."""
    return isinstance(node.op, Discrete) or not any(type_.is_float for type_ in node.types)
