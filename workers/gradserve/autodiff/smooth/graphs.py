"""Graphs with the derivatives that algebra gives them."""

from __future__ import annotations

from gradserve.autodiff.smooth.rules import RULES, other
from gradserve.autodiff.smooth.smoother import Smoother
from gradserve.autodiff.walk import declare_inputs, leaves
from gradserve.ir.budget import of_equal
from gradserve.ir.graph import Graph
from gradserve.ops import builder
from gradserve.ops.control.custom_derivative import CustomDerivative
from gradserve.ops.control.linear_call import LinearCall
from gradserve.ops.elementwise.arithmetic import Abs
from gradserve.ops.elementwise.hypotenuse import Hypot
from gradserve.ops.elementwise.powers import Pow, Sqrt
from gradserve.ops.elementwise.rounding import Sign


def smoothed(graph: Graph) -> Graph:
    """The graph with smooth expressions of roots differentiated as what they are; itself if there are none.

    Its values keep their bits: only derivatives change, and only by what kinks had to do with them. Rules that authors
    give for derivatives stay as they are.
    """
    if not _has_roots(graph):
        return graph
    g = builder()
    smoother = Smoother(g, RULES, other, graph.has(Sign))
    values = leaves(g, graph, declare_inputs(g, graph))
    for node in graph.nodes:
        g.origin = node.origin
        op = (
            node.op if isinstance(node.op, CustomDerivative | LinearCall) else node.op.with_functions(smoothed_function)
        )
        values += smoother.apply(op, [values[k] for k in node.operands])
        smoother.changed |= op is not node.op and op != node.op
    smoother.release()
    return g.finished({o.name: values[o.value] for o in graph.outputs}) if smoother.changed else graph


def _has_roots(graph: Graph) -> bool:
    return graph.holds(Abs, Sqrt, Pow, Hypot)


@of_equal(256)
def smoothed_function(function: Graph) -> Graph:
    """A function that a node calls; loops call the same one in every derivative."""
    return smoothed(function)
