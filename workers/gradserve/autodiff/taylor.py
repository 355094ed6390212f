"""Derivatives of higher order along one direction."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff import names
from gradserve.autodiff.jvp import push_forward
from gradserve.autodiff.spectral import invariant
from gradserve.autodiff.walk import declare_inputs, inline
from gradserve.ir.graph import Graph
from gradserve.ops import builder


def taylor(graph: Graph, wrt: Sequence[str], order: int) -> Graph:
    """The coefficients of t^0 to t^order of the real outputs at x + t v, for v in the inputs `tangent:NAME`.

    Each is the derivative of the one before along v, divided by its order: forward mode over forward mode. Shared parts
    are computed once, so the cost grows like a low power of the order for most functions, and not like 2^order.
    """
    g = builder()
    arguments = declare_inputs(g, graph)
    for name in wrt:
        g.input(names.tangent(name), graph.input_types[name])
    own = [name for name, type_ in graph.output_types.items() if type_.is_float]
    outputs = inline(g, graph, arguments)
    found = g.build({names.coefficient(0, name): outputs[name] for name in own})
    found = invariant(found, wrt, forward=True, again=order > 1)
    for k in range(1, order + 1):
        found = _with_next(found, wrt, own, k)
    return found


def _with_next(graph: Graph, wrt: Sequence[str], own: Sequence[str], order: int) -> Graph:
    """The graph of coefficients below `order`, with those of `order` as well."""
    g = builder()
    primals = declare_inputs(g, graph)
    tangents = {name: primals[names.tangent(name)] for name in wrt}
    values, dots = push_forward(g, graph, primals, tangents)
    outputs = {o.name: values[o.value] for o in graph.outputs}
    last = {o.name: o.value for o in graph.outputs}
    for name in own:
        dot = dots[last[names.coefficient(order - 1, name)]]
        type_ = outputs[names.coefficient(0, name)].type
        outputs[names.coefficient(order, name)] = (
            g.zeros(type_) if dot is None else g.mul(dot, g.full(type_, 1.0 / order))
        )
    return g.build(outputs)
