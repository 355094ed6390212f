"""The linear part of a derivative, where an exact zero absorbs whatever partial it meets, be it infinite or NaN.

A pullback takes an exact zero to an exact zero, and what is not chosen contributes nothing. Derived graphs multiply,
and 0 times infinity is NaN. That costs nothing to tell, since a derivative is linear: a NaN of this kind reaches a
result or does not count. So jobs run derived graphs as they are, and those of this form only where a NaN came out.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping

from gradserve.autodiff import names, rules
from gradserve.autodiff.walk import copy_node, declare_inputs, leaves
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ops import builder
from gradserve.ops.family import Discrete


def absorbing(graph: Graph, moved: Collection[str]) -> Graph:
    """The derived graph in this form, in its inputs `tangent:NAME` and `cotangent:NAME`; `moved` is differentiated.

    `kinked:absorbed` says if a zero met a partial that is not finite though all on the way had been chosen, as in
    sqrt(x)^2 at 0: the result follows a convention. It does not if only partials of what is not chosen are not finite.
    """
    g = builder()
    arguments = declare_inputs(g, graph)
    roles = {name: names.split(name)[0] for name in arguments}
    linear = {n: _nonzero(g, value) for n, value in arguments.items() if roles[n] in ("tangent", "cotangent")}
    values, hits = absorbed_values(g, graph, arguments, linear, moved)
    outputs = {o.name: values[o.value] for o in graph.outputs}
    return g.finished(outputs | {names.ABSORBED: hits})


def absorbed_values(
    g: Builder, graph: Graph, arguments: Mapping[str, Value], linear: Mapping[str, Value], moved: Collection[str]
) -> tuple[list[Value], Value]:
    """Every value of the graph, and whether a computed zero absorbed something.

    `linear` holds the reach of the linear inputs: 0 where they are zero by choice, positive elsewhere.
    """
    values = leaves(g, graph, arguments)
    reach = [linear.get(i.name) for i in graph.inputs] + [None] * len(graph.constants)
    steady = _steady(graph, moved)
    hits = [g.constant(False)]
    for node in graph.nodes:
        operands = [values[k] for k in node.operands]
        own = [reach[k] for k in node.operands]
        if all(r is None for r in own):
            values += copy_node(g, node, values)
            reach += [None] * len(node.types)
            continue
        g.origin = node.origin
        for k in node.op.linear_in or ():
            if own[k] is None and steady[node.operands[k]]:
                own[k] = _nonzero(g, operands[k])
        found = rules.absorb(node.op, g, operands, own)
        values += found.results
        reach += found.reach
        if found.hits is not None:
            hits.append(g.emit("reduce_any", found.hits, axes=tuple(range(found.hits.type.rank))))
    return values, functools.reduce(g.logical_or, hits)


def _steady(graph: Graph, moved: Collection[str]) -> list[bool]:
    """For each value, whether it stays as it is near the point, but for jumps: its zeros are zeros by choice."""
    named = frozenset(moved)
    steady = [i.name not in named for i in graph.inputs] + [True] * len(graph.constants)
    for node in graph.nodes:
        jumps = isinstance(node.op, Discrete) or not any(type_.is_float for type_ in node.types)
        steady += [jumps or all(steady[k] for k in node.operands)] * len(node.types)
    return steady


def _nonzero(g: Builder, x: Value) -> Value:
    return g.convert(g.ne(x, 0), x.type.element_type)
