"""Derivatives of higher order along one direction."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff import names
from gradserve.autodiff.coefficients import Coefficients
from gradserve.autodiff.series import expanded
from gradserve.autodiff.spectral import invariant
from gradserve.autodiff.walk import declare_inputs
from gradserve.ir.graph import Graph
from gradserve.ops import builder


def taylor(graph: Graph, wrt: Sequence[str], order: int) -> Graph:
    """The coefficients of t^0 to t^order of the real outputs at x + t v, for v in the inputs `tangent:NAME`.

    Raises:
        NotDifferentiable: an op on the way has no derivative.
    """
    graph = invariant(graph, wrt, forward=True, again=order > 1)
    g = builder()
    primals = declare_inputs(g, graph)
    tangents = {name: g.input(names.tangent(name), graph.input_types[name]) for name in wrt}
    inputs: list[Coefficients] = [
        [primals[i.name], tangents[i.name]] if i.name in tangents else [primals[i.name]] for i in graph.inputs
    ]
    found = expanded(g, graph, inputs, order)
    outputs = {}
    for output, coefficients in zip(graph.outputs, found, strict=True):
        type_ = graph.output_types[output.name]
        if type_.is_float:
            for k, coefficient in enumerate(coefficients):
                outputs[names.coefficient(k, output.name)] = g.zeros(type_) if coefficient is None else coefficient
    return g.finished(outputs)
