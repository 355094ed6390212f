"""Where a function is not differentiable, and each op follows its own convention."""

from __future__ import annotations

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
    found = kink_counts(g, graph, wrt, _values(g, graph))
    return g.finished({names.kinks(position): count for position, count in found.items()})


def with_kinks(graph: Graph, derived: Graph, wrt: Sequence[str]) -> Graph:
    """The derived graph that also says of each node that can sit on a kink whether it does: `kinked:POSITION`, bool."""
    g = builder()
    found = kinked(g, graph, wrt, _values(g, graph))
    if not found:
        return derived
    telling = g.finished({names.kinked(position): truth for position, truth in found.items()})
    g = builder()
    arguments = declare_inputs(g, derived)
    return g.finished(inline(g, derived, arguments) | inline(g, telling, arguments))


def kinked(g: Builder, graph: Graph, wrt: Sequence[str], values: Sequence[Value]) -> Mapping[int, Value]:
    """By the position of a node that can sit on a kink, whether it does, built in `g` from the graph's values there."""
    return {position: _any(g, where) for position, where in _on_kinks(g, graph, wrt, values).items()}


def _any(g: Builder, where: Value) -> Value:
    """Whether any of the elements is true."""
    if not where.type.rank:
        return where
    return g.emit("reduce_any", g.reshape(where, (where.type.size,)) if where.type.rank > 1 else where, axes=(0,))


def kink_counts(g: Builder, graph: Graph, wrt: Sequence[str], values: Sequence[Value]) -> Mapping[int, Value]:
    """By a node's position, how many of its elements sit on a kink, built in `g` from the graph's values there."""
    return {
        position: g.reduce_sum(g.convert(where, ElementType.INT64), axes=tuple(range(where.type.rank)))
        for position, where in _on_kinks(g, graph, wrt, values).items()
    }


def _values(g: Builder, graph: Graph) -> Sequence[Value]:
    """The values of the graph in `g`, if any of its nodes can sit on a kink."""
    arguments = declare_inputs(g, graph)
    return values_of(g, graph, arguments) if any(rules.may_kink(node.op) for node in graph.nodes) else ()


def _on_kinks(g: Builder, graph: Graph, wrt: Sequence[str], values: Sequence[Value]) -> Mapping[int, Value]:
    """By a node's position, where it sits on a kink, built in `g` from the graph's values there.

    Nodes that do not move with `wrt` sit on none, nor do those that no derivative comes from. Kinks that nothing but
    jumps is computed from do not count: a maximum of which only the floor is taken is constant but for jumps of the
    floor, which count themselves.
    """
    moving, used, felt = _moving(graph, wrt), _reaching(graph, through_jumps=True), _reaching(graph)
    found: dict[int, Value] = {}
    for position, (node, results) in enumerate(graph.numbered_nodes()):
        if not rules.may_kink(node.op):
            continue
        real = any(moving[k] and values[k].type.is_float for k in node.operands)
        if real and any((used if _jumps(node) else felt)[k] for k in results):
            operands, moves = [values[k] for k in node.operands], [moving[k] for k in node.operands]
            where = rules.kink(node.op, g, operands, [values[k] for k in results], moves)
            if where is not None:
                found[position] = where
    return found


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
    named = frozenset(wrt)
    moving = [i.name in named for i in graph.inputs] + [False] * len(graph.constants)
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
