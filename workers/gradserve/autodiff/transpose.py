"""Transposition: a linear function turned around, from the cotangents of its outputs to those of its inputs."""

from __future__ import annotations

from gradserve.autodiff import names, rules
from gradserve.autodiff.linearize import Linearized
from gradserve.autodiff.walk import Differentiating, copy_node, leaves, reachable
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Node
from gradserve.ir.op import Unknown
from gradserve.ops import builder


def transpose(linearized: Linearized, seed: float | None = None) -> Graph:
    """The graph with its linear part transposed.

    Inputs `tangent:NAME` become outputs `cotangent:NAME`, outputs `tangent:OUT` become inputs `cotangent:OUT`, or all
    of them are filled with the number `seed`. What does not depend on the linear inputs stays as it is.
    """
    graph = linearized.graph
    linear = reachable(graph, linearized.linear_inputs)
    g = builder()
    known = {i.name: g.input(i.name, i.type) for i in graph.inputs if i.name not in linearized.linear_inputs}
    types = {name: graph.output_types[name] for name in linearized.linear_outputs}
    seeds = {n: g.input(_turned(n), t) if seed is None else g.full(t, seed) for n, t in types.items()}
    values = _known_values(g, graph, known, linear)
    cotangents = _Cotangents(g, len(graph.value_types))
    for output in graph.outputs:
        if output.name in seeds and linear[output.value]:
            cotangents.add(output.value, seeds[output.name])
    _pull_back(g, graph, values, linear, cotangents)

    outputs: dict[str, Value] = {}
    for output in graph.outputs:
        known_value = values[output.value]
        if output.name not in seeds and known_value is not None:
            outputs[output.name] = known_value
    for position, input_ in enumerate(graph.inputs):
        if input_.name in linearized.linear_inputs:
            found = cotangents.of(position)
            outputs[_turned(input_.name)] = g.zeros(input_.type) if found is None else found
    return g.build(outputs)


def seed_of(g: Builder, graph: Graph, sown: bool) -> Value:
    """What a loss is pulled back from: 1 if it is `sown`, else an input `cotangent:LOSS`."""
    (loss,) = graph.outputs
    type_ = graph.output_types[loss.name]
    return g.full(type_, 1) if sown else g.input(names.cotangent(loss.name), type_)


def _turned(tangent_name: str) -> str:
    return names.cotangent(names.split(tangent_name)[1])


class _Cotangents:
    """Sums of cotangents, by value."""

    def __init__(self, g: Builder, count: int) -> None:
        self._g = g
        self._sums: list[Value | None] = [None] * count

    def of(self, value: int) -> Value | None:
        return self._sums[value]

    def add(self, value: int, term: Value) -> None:
        present = self._sums[value]
        self._sums[value] = term if present is None else self._g.add(present, term)


def _known_values(g: Builder, graph: Graph, known: dict[str, Value], linear: list[bool]) -> list[Value | None]:
    """The values outside the linear part, built in `g`; None inside it."""
    absent = {i.name: i.type for i in graph.inputs if i.name not in known}
    placeholders = {name: g.zeros(type_) for name, type_ in absent.items()}
    values: list[Value | None] = list(leaves(g, graph, {**placeholders, **known}))
    for node, results in graph.numbered_nodes():
        if linear[results[0]]:
            values += [None] * len(results)
        else:
            values += copy_node(g, node, values)  # type: ignore[arg-type]
    for value, is_linear in enumerate(linear):
        if is_linear:
            values[value] = None
    return values


def _pull_back(
    g: Builder, graph: Graph, values: list[Value | None], linear: list[bool], cotangents: _Cotangents
) -> None:
    """Sends the cotangents of every linear node's results to its operands, last node first."""
    applications = list(enumerate(graph.numbered_nodes()))
    for position, (node, results) in reversed(applications):
        arriving = [cotangents.of(k) for k in results]
        if not linear[results[0]] or all(ct is None for ct in arriving):
            continue
        g.origin = node.origin
        with Differentiating(node, position):
            leaving = rules.pull(node.op, g, arriving, _operands(node, graph, values))
        for operand, cotangent in zip(node.operands, leaving, strict=True):
            if cotangent is not None and linear[operand]:
                cotangents.add(operand, cotangent)


def _operands(node: Node, graph: Graph, values: list[Value | None]) -> list[Value | Unknown]:
    known = [values[k] for k in node.operands]
    return [Unknown(graph.value_types[k]) if v is None else v for k, v in zip(node.operands, known, strict=True)]
