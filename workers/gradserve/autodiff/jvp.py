"""Forward mode: values and tangents side by side."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff import names, rules
from gradserve.autodiff.spectral import invariant
from gradserve.autodiff.walk import copy_node, declare_inputs, leaves, refused
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ops import builder


def jvp(graph: Graph, wrt: Sequence[str], forward: bool = True) -> Graph:
    """The outputs and their tangents, as a graph.

    Adds an input `tangent:NAME` for each name in `wrt` and an output `tangent:OUT` for each floating-point output.
    `forward` says that it is run like this, and not transposed first.

    Raises:
        NotDifferentiable: an op on the way has no derivative.
    """
    g = builder()
    found = pushed(g, graph, wrt, forward)
    return g.finished({**found.values, **found.dots})


@dataclass(frozen=True, slots=True)
class Pushed:
    """What forward mode makes in a builder: values by the names of inputs and outputs, tangents by `tangent:NAME`."""

    primals: dict[str, Value]
    tangents: dict[str, Value]
    values: dict[str, Value]
    dots: dict[str, Value]


def pushed(g: Builder, graph: Graph, wrt: Sequence[str], forward: bool) -> Pushed:
    """New inputs of the builder, and the outputs and their tangents; see `jvp`."""
    graph = invariant(graph, wrt, forward)
    primals = declare_inputs(g, graph)
    tangents = {name: g.input(names.tangent(name), graph.input_types[name]) for name in wrt}
    values, dots = push_forward(g, graph, primals, tangents)
    outputs = {o.name: values[o.value] for o in graph.outputs}
    found = {}
    for output in graph.outputs:
        if values[output.value].type.is_float:
            dot = dots[output.value]
            found[names.tangent(output.name)] = g.zeros(values[output.value].type) if dot is None else dot
    return Pushed(primals, {names.tangent(name): tangent for name, tangent in tangents.items()}, outputs, found)


def push_forward(
    g: Builder, graph: Graph, primals: dict[str, Value], tangents: dict[str, Value]
) -> tuple[list[Value], list[Value | None]]:
    """Every value of the graph and its tangent, built in `g`; None stands for a tangent of zero."""
    values = leaves(g, graph, primals)
    dots: list[Value | None] = [tangents.get(i.name) for i in graph.inputs]
    dots += [None] * len(graph.constants)
    moving = {k for k, dot in enumerate(dots) if dot is not None}
    for position, node in enumerate(graph.nodes):
        if moving.isdisjoint(node.operands) or not any(t.is_float for t in node.types):
            values += copy_node(g, node, values)
            dots += [None] * len(node.types)
            continue
        g.origin = node.origin
        primal, tangent = [values[k] for k in node.operands], [dots[k] for k in node.operands]
        try:
            outputs, own = rules.push(node.op, g, primal, tangent)
        except ConstraintError as error:
            raise refused(node, position, error) from None
        moving.update([k for k, dot in enumerate(own, len(values)) if dot is not None])
        values += outputs
        dots += own
    return values, dots
