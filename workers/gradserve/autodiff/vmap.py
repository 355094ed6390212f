"""Batching: a graph of one example becomes a graph of many."""

from __future__ import annotations

from collections.abc import Collection

from gradserve.autodiff import rules
from gradserve.autodiff.walk import leaves
from gradserve.ir.budget import remembered
from gradserve.ir.graph import Graph
from gradserve.ops import builder


@remembered
def vmap(graph: Graph, inputs: Collection[str], size: int, alike: Collection[str] = ()) -> Graph:
    """The graph over a batch: the named inputs and every output have a leading axis of length `size`.

    What depends on no batched input is computed once. Outputs among `alike` depend on none and stay as they are.
    """
    g = builder()
    arguments = {
        i.name: g.input(i.name, i.type.with_shape((size, *i.type.shape)) if i.name in inputs else i.type)
        for i in graph.inputs
    }
    values = leaves(g, graph, arguments)
    batched = [i.name in inputs for i in graph.inputs] + [False] * len(graph.constants)
    for node in graph.nodes:
        g.origin = node.origin
        operands = [values[k] for k in node.operands]
        flags = [batched[k] for k in node.operands]
        if any(flags):
            values += rules.spread(node.op, g, operands, flags, size)
        else:
            values += g.apply(node.op, operands)
        batched += [any(flags)] * len(node.types)
    outputs = {}
    for output in graph.outputs:
        value = values[output.value]
        as_it_is = batched[output.value] or output.name in alike
        outputs[output.name] = value if as_it_is else g.broadcast(value, (size, *value.type.shape))
    return g.finished(outputs)
