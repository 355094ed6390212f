"""Walking over a graph while building another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradserve.ir.builder import Application, Builder, Value
from gradserve.ir.errors import ConstraintError, NotDifferentiable, Violation
from gradserve.ir.graph import Graph, Node


def declare_inputs(g: Builder, graph: Graph) -> dict[str, Value]:
    """New inputs of `g` with the names and types of the graph's."""
    return {i.name: g.input(i.name, i.type) for i in graph.inputs}


def leaves(g: Builder, graph: Graph, arguments: Mapping[str, Value]) -> list[Value]:
    """The graph's inputs, bound to `arguments`, and its constants, as values of `g`."""
    return [arguments[i.name] for i in graph.inputs] + [g.constant(c) for c in graph.constants]


def copy_node(g: Builder, node: Node, values: Sequence[Value]) -> tuple[Value, ...]:
    """The results of the node on values of `g`."""
    g.origin = node.origin
    return g.apply(node.op, [values[k] for k in node.operands])


def values_of(g: Builder, graph: Graph, arguments: Mapping[str, Value]) -> list[Value]:
    """Every value of the graph, computed in `g` from `arguments`."""
    values = leaves(g, graph, arguments)
    for node in graph.nodes:
        values += copy_node(g, node, values)
    return values


def inline(g: Builder, graph: Graph, arguments: Mapping[str, Value]) -> dict[str, Value]:
    """The graph's outputs, computed in `g` from `arguments`."""
    values = values_of(g, graph, arguments)
    return {o.name: values[o.value] for o in graph.outputs}


def reachable(graph: Graph, inputs: Iterable[str]) -> list[bool]:
    """For each value, whether it depends on one of the named inputs."""
    named = set(inputs)
    marks = [i.name in named for i in graph.inputs] + [False] * len(graph.constants)
    reached = {k for k, is_reached in enumerate(marks) if is_reached}
    for node in graph.nodes:
        if reached.isdisjoint(node.operands):
            marks += [False] * len(node.types)
        else:
            reached.update(range(len(marks), len(marks) + len(node.types)))
            marks += [True] * len(node.types)
    return marks


def refused(node: Node | Application, position: int, error: ConstraintError) -> NotDifferentiable:
    """The refusal to differentiate a graph that says which node, at this position, lacks a rule."""
    violation = Violation(
        field=f"nodes[{position}]",
        constraint=f"{node.op.name} ({error.constraint})",
        description=error.description,
        source=str(node.origin or ""),
    )
    return NotDifferentiable("the graph cannot be differentiated", [violation])
