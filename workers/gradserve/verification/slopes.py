"""The derivative of a loss along a direction, as a loss of its own: the one whose gradient is H u."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff import derive, names
from gradserve.autodiff.walk import declare_inputs, inline
from gradserve.ir.graph import Graph
from gradserve.ops import builder
from gradserve.questions.derivations import Jvp


def slope_along(graph: Graph, wrt: Sequence[str]) -> Graph:
    """<grad f, u> for u in the inputs `along:NAME`."""
    pushed = derive(graph, Jvp(tuple(wrt)))
    g = builder()
    arguments = declare_inputs(g, graph)
    u = {names.tangent(name): g.input(names.along(name), graph.input_types[name]) for name in wrt}
    outputs = inline(g, pushed, {**arguments, **u})
    (loss,) = graph.outputs
    return g.finished({loss.name: outputs[names.tangent(loss.name)]})
