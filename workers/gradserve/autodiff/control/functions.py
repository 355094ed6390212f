"""Functions cut out of graphs, called, and put together."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from gradserve.autodiff.absorbing import absorbed_values
from gradserve.autodiff.kinks import kinked
from gradserve.autodiff.walk import inline, values_of
from gradserve.ir.budget import remembered
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Input, Output
from gradserve.ir.op import Absorbed
from gradserve.ir.types import TensorType
from gradserve.ops import builder


def names_of(graph: Graph, chosen: Sequence[bool]) -> list[str]:
    """The names of the chosen inputs."""
    return [i.name for i, is_chosen in zip(graph.inputs, chosen, strict=True) if is_chosen]


def _bound(graph: Graph, arguments: Sequence[Value]) -> dict[str, Value]:
    return {i.name: value for i, value in zip(graph.inputs, arguments, strict=True)}


def parameters(g: Builder, types: Sequence[TensorType]) -> list[Value]:
    """The inputs of a new function, named x0, x1, and so on."""
    return [g.input(f"x{k}", type_) for k, type_ in enumerate(types)]


def function(g: Builder, outputs: Sequence[Value]) -> Graph:
    """The function that the builder holds, its outputs named y0, y1, and so on."""
    return g.finished({f"y{k}": value for k, value in enumerate(outputs)})


@remembered
def picking(graph: Graph, types: Sequence[TensorType], positions: Sequence[int]) -> Graph:
    """The function of more inputs than it reads: those at these positions."""
    inner = builder()
    own = parameters(inner, types)
    return function(inner, call(inner, graph, [own[k] for k in positions]))


def numbered(graph: Graph) -> Graph:
    """The function with inputs x0, x1 ... and outputs y0, y1 ..., whatever their names."""
    inputs = tuple(Input(f"x{k}", i.type) for k, i in enumerate(graph.inputs))
    return replace(graph, inputs=inputs, outputs=tuple(Output(f"y{k}", o.value) for k, o in enumerate(graph.outputs)))


def call(g: Builder, graph: Graph, arguments: Sequence[Value]) -> list[Value]:
    """The outputs of a function of these arguments, its nodes written in place."""
    results = inline(g, graph, _bound(graph, arguments))
    return [results[output.name] for output in graph.outputs]


def any_kink(g: Builder, graph: Graph, moving: Sequence[bool]) -> tuple[list[Value], Value | None]:
    """All values of a function of the builder's inputs, and whether a node sits on a kink; None if none ever does."""
    own = parameters(g, [i.type for i in graph.inputs])
    values = values_of(g, graph, _bound(graph, own))
    truths = [*kinked(g, graph, names_of(graph, moving), values).values()]
    return values, functools.reduce(g.logical_or, truths) if truths else None


def absorbed(g: Builder, graph: Graph, linear: Sequence[bool]) -> tuple[list[Value], Value]:
    """The outputs of a function of the builder's inputs where zeros absorb, and whether a computed one has done so."""
    own = parameters(g, [i.type for i in graph.inputs])
    reach = {i.name: g.full(i.type, 1) for i, is_linear in zip(graph.inputs, linear, strict=True) if is_linear}
    values, hits = absorbed_values(g, graph, _bound(graph, own), reach, [i.name for i in graph.inputs])
    return [values[output.value] for output in graph.outputs], hits


@remembered
def absorbing(graph: Graph, linear: Sequence[bool]) -> Graph:
    """The function in which zeros absorb; see `absorbed`."""
    inner = builder()
    outputs, hits = absorbed(inner, graph, linear)
    return function(inner, [*outputs, hits])


@remembered
def kinking(graph: Graph, moving: Sequence[bool], kept: int = 0) -> Graph | None:
    """Its first outputs, so many of them, and whether a node of the function sits on a kink; None if none ever does."""
    inner = builder()
    values, found = any_kink(inner, graph, moving)
    carried = [values[output.value] for output in graph.outputs[:kept]]
    return None if found is None else function(inner, [*carried, found])


def with_hits(g: Builder, results: Sequence[Value], linear: Sequence[bool]) -> Absorbed:
    """The results of an op whose functions say last whether a computed zero has absorbed something."""
    *own, hits = results
    reach = (g.full(x.type, 1) if is_linear else None for x, is_linear in zip(own, linear, strict=True))
    return Absorbed(tuple(own), tuple(reach), hits)


@remembered
def cut(graph: Graph, given: Sequence[int], wanted: Sequence[int]) -> Graph:
    """Some values of a graph as a function of others that they depend on, all by their numbers."""
    g = builder()
    types = graph.value_types
    values = dict(zip(given, parameters(g, [types[k] for k in given]), strict=True))
    needed = needed_for(graph, wanted, values)
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


def needed_for(graph: Graph, wanted: Iterable[int], given: Collection[int] = ()) -> set[int]:
    """The values that the wanted ones are made of, these included; without the given ones, and what only they need."""
    needed = {k for k in wanted if k not in given}
    for node, results in reversed([*graph.numbered_nodes()]):
        if any(k in needed for k in results):
            needed.update(k for k in node.operands if k not in given)
    return needed
