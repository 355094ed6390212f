"""Batching: a graph of one example becomes a graph of many."""

from __future__ import annotations

from collections.abc import Collection

from gradserve.autodiff.walk import leaves
from gradserve.ir.graph import Graph
from gradserve.ops import builder


def vmap(graph: Graph, inputs: Collection[str], size: int) -> Graph:
    """The graph over a batch: the named inputs and every output have a leading axis of length `size`.

    What depends on no batched input is computed once.
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
            values += node.op.batch(g, operands, flags, size)
        else:
            values += g.apply(node.op, operands)
        batched += [any(flags)] * len(node.types)
    outputs = {}
    for output in graph.outputs:
        value = values[output.value]
        outputs[output.name] = value if batched[output.value] else g.broadcast(value, (size, *value.type.shape))
    return g.build(outputs)
