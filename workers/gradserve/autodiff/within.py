"""Derivatives within a graph, written out: the nodes that make them, in the place of the nodes that name them."""

from __future__ import annotations

from collections.abc import Mapping

from gradserve.autodiff.control.functions import call, numbered
from gradserve.autodiff.jvp import jvp
from gradserve.autodiff.smooth import smoothed
from gradserve.autodiff.transpose import vjp
from gradserve.autodiff.vmap import vmap
from gradserve.autodiff.walk import declare_inputs, leaves
from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType
from gradserve.ops import builder
from gradserve.ops.control.derivatives import Derivative, Jvp


def written_out(graph: Graph) -> Graph:
    """The graph without derivatives of functions in it; itself if it has none.

    Raises:
        NotDifferentiable: an op in such a function has no derivative.
        LimitExceeded: it grows over the budget of this thread.
    """
    known: dict[Graph, Graph] = {}
    for each in (*graph.functions, graph):  # what is called comes before its callers
        known[each] = _written_out(each, known)
    return known[graph]


def _written_out(graph: Graph, known: Mapping[Graph, Graph]) -> Graph:
    """The graph, given what is written for the functions that it calls."""
    if not graph.holds(Derivative):
        return graph
    g = builder()
    arguments = declare_inputs(g, graph)
    values = leaves(g, graph, arguments)
    for node in graph.nodes:
        op = node.op.with_functions(known.__getitem__)
        operands = [values[k] for k in node.operands]
        g.origin = node.origin
        values += call(g, _derived(op, node.types), operands) if isinstance(op, Derivative) else g.apply(op, operands)
    return g.finished({o.name: values[o.value] for o in graph.outputs}, [*arguments.values()])


def _derived(op: Derivative, results: tuple[TensorType, ...]) -> Graph:
    """The function's results and the products, as a function of all operands in their order."""
    graph = smoothed(numbered(op.function))
    moved = [graph.inputs[k].name for k in op.moved]
    derived = jvp(graph, moved) if isinstance(op, Jvp) else vjp(graph, moved)
    if not op.stacked:
        return derived
    plain = [output.name for output in graph.outputs]
    vectors = [i.name for i in derived.inputs if i.name not in graph.input_types]
    rows = results[len(plain)].lengths[0]
    return vmap(derived, vectors, rows, plain)
