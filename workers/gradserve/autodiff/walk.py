"""Walking over a graph while building another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradserve.ir.builder import Builder, Value
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
    for node in graph.nodes:
        marks += [any(marks[k] for k in node.operands)] * len(node.types)
    return marks


class Differentiating:
    """Turns a missing rule into a refusal that names the node."""

    __slots__ = ("_node", "_position")

    def __init__(self, node: Node, position: int) -> None:
        """Of the node at this position."""
        self._node, self._position = node, position

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ConstraintError):
            node = self._node
            violation = Violation(
                field=f"nodes[{self._position}]",
                constraint=f"{node.op.name} ({error.constraint})",
                description=error.description,
                source=str(node.origin or ""),
            )
            raise NotDifferentiable("the graph cannot be differentiated", [violation]) from None
