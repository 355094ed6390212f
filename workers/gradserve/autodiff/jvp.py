"""Forward mode: values and tangents side by side."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff import names, rules
from gradserve.autodiff.spectral import invariant
from gradserve.autodiff.walk import Differentiating, copy_node, declare_inputs, leaves
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ops import builder


def jvp(graph: Graph, wrt: Sequence[str], forward: bool = True) -> Graph:
    """The outputs and their tangents, as a graph.

    Adds an input `tangent:NAME` for each name in `wrt` and an output `tangent:OUT` for each floating-point output.
    `forward` says that it is run like this, and not transposed first.

    Raises:
        NotDifferentiable: an op on the way has no derivative.
    """
    graph = invariant(graph, wrt, forward)
    g = builder()
    primals = declare_inputs(g, graph)
    tangents = {name: g.input(names.tangent(name), graph.input_types[name]) for name in wrt}
    values, dots = push_forward(g, graph, primals, tangents)
    outputs = {o.name: values[o.value] for o in graph.outputs}
    for output in graph.outputs:
        if values[output.value].type.is_float:
            dot = dots[output.value]
            outputs[names.tangent(output.name)] = g.zeros(values[output.value].type) if dot is None else dot
    return g.build(outputs)


def push_forward(
    g: Builder, graph: Graph, primals: dict[str, Value], tangents: dict[str, Value]
) -> tuple[list[Value], list[Value | None]]:
    """Every value of the graph and its tangent, built in `g`; None stands for a tangent of zero."""
    values = leaves(g, graph, primals)
    dots: list[Value | None] = [tangents.get(i.name) for i in graph.inputs]
    dots += [None] * len(graph.constants)
    for position, node in enumerate(graph.nodes):
        moving = [dots[k] for k in node.operands]
        if all(dot is None for dot in moving) or not any(t.is_float for t in node.types):
            values += copy_node(g, node, values)
            dots += [None] * len(node.types)
            continue
        g.origin = node.origin
        with Differentiating(node, position):
            outputs, pushed = rules.push(node.op, g, [values[k] for k in node.operands], moving)
        values += outputs
        dots += pushed
    return values, dots
