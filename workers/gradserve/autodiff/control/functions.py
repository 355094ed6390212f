"""Functions cut out of graphs, called, and put together."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence

from gradserve.autodiff.kinks import kink_counts
from gradserve.autodiff.walk import copy_node, inline, leaves
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType
from gradserve.ops import builder


def parameters(g: Builder, types: Sequence[TensorType]) -> list[Value]:
    """The inputs of a new function, named x0, x1, and so on."""
    return [g.input(f"x{k}", type_) for k, type_ in enumerate(types)]


def function(g: Builder, outputs: Sequence[Value]) -> Graph:
    """The function that the builder holds, its outputs named y0, y1, and so on."""
    return g.build({f"y{k}": value for k, value in enumerate(outputs)})


def call(g: Builder, graph: Graph, arguments: Sequence[Value]) -> list[Value]:
    """The outputs of a function of these arguments, its nodes written in place."""
    given = {i.name: value for i, value in zip(graph.inputs, arguments, strict=True)}
    results = inline(g, graph, given)
    return [results[output.name] for output in graph.outputs]


def values_of(g: Builder, graph: Graph, arguments: Sequence[Value]) -> list[Value]:
    """All values of a function of these arguments, its nodes written in place."""
    given = {i.name: value for i, value in zip(graph.inputs, arguments, strict=True)}
    values = leaves(g, graph, given)
    for node in graph.nodes:
        values += copy_node(g, node, values)
    return values


def any_kink(g: Builder, graph: Graph, moving: Sequence[bool], values: Sequence[Value]) -> Value | None:
    """Whether a node of the function sits on a kink, given all its values; None if none ever does."""
    counts = kink_counts(g, graph, [i.name for i, moves in zip(graph.inputs, moving, strict=True) if moves], values)
    truths = [g.gt(count, 0) for count in counts.values()]
    return functools.reduce(g.logical_or, truths) if truths else None


def cut(graph: Graph, given: Sequence[int], wanted: Sequence[int]) -> Graph:
    """Some values of a graph as a function of others that they depend on, all by their numbers."""
    g = builder()
    types = graph.value_types
    values = dict(zip(given, parameters(g, [types[k] for k in given]), strict=True))
    needed = _needed(graph, values, wanted)
    for k, constant in enumerate(graph.constants, len(graph.inputs)):
        if k in needed:
            values.setdefault(k, g.constant(constant))
    for node, results in graph.numbered_nodes():
        if any(k in needed for k in results):
            g.origin = node.origin
            made = g.apply(node.op, [values[k] for k in node.operands])
            for k, value in zip(results, made, strict=True):
                values.setdefault(k, value)
    return function(g, [values[k] for k in wanted])


def _needed(graph: Graph, given: Collection[int], wanted: Sequence[int]) -> set[int]:
    """The values on the way from the given to the wanted ones, without the given."""
    needed = {k for k in wanted if k not in given}
    for node, results in reversed([*graph.numbered_nodes()]):
        if any(k in needed for k in results):
            needed.update(k for k in node.operands if k not in given)
    return needed
