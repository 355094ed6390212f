"""Transposition: a linear function turned around, from the cotangents of its outputs to those of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradserve.autodiff import names, rules
from gradserve.autodiff.jvp import pushed
from gradserve.autodiff.linearize import Linearized
from gradserve.autodiff.walk import inline, refused
from gradserve.ir.builder import Application, Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.graph import Graph
from gradserve.ir.op import Unknown
from gradserve.ops import builder


def transpose(linearized: Linearized, seed: float | None = None) -> Graph:
    """The graph with its linear part transposed.

    Inputs `tangent:NAME` become outputs `cotangent:NAME`, outputs `tangent:OUT` become inputs `cotangent:OUT`, or all
    of them are filled with the number `seed`. What does not depend on the linear inputs stays as it is.
    """
    g = builder()
    arguments = {i.name: g.input(i.name, i.type) for i in linearized.graph.inputs}
    results = inline(g, linearized.graph, arguments)
    tangents = {name: arguments.pop(name) for name in linearized.linear_inputs}
    dots = {name: results.pop(name) for name in linearized.linear_outputs}
    return _transposed(g, arguments, results, tangents, dots, seed)


def vjp(graph: Graph, wrt: Sequence[str], seed: float | None = None) -> Graph:
    """`transpose(linearize(graph, wrt), seed)`, made without writing the linear graph down.

    Raises:
        NotDifferentiable: an op on the way has no derivative.
    """
    g = builder()
    pushing = pushed(g, graph, wrt, forward=False)
    return _transposed(g, pushing.primals, pushing.values, pushing.tangents, pushing.dots, seed)


def seed_of(g: Builder, graph: Graph, sown: bool) -> Value:
    """What a loss is pulled back from: 1 if it is `sown`, else an input `cotangent:LOSS`."""
    (loss,) = graph.outputs
    type_ = graph.output_types[loss.name]
    return g.full(type_, 1) if sown else g.input(names.cotangent(loss.name), type_)


def _turned(tangent_name: str) -> str:
    return names.cotangent(names.split(tangent_name)[1])


def _transposed(
    g: Builder,
    primals: Mapping[str, Value],
    values: Mapping[str, Value],
    tangents: Mapping[str, Value],
    dots: Mapping[str, Value],
    seed: float | None,
) -> Graph:
    """The graph of `values`, and of the cotangents of `tangents` given those of `dots`, which are linear in them."""
    linear = _Linear(g, tangents.values())
    seeds = {n: g.input(_turned(n), y.type) if seed is None else g.full(y.type, seed) for n, y in dots.items()}
    cotangents = _Cotangents(g)
    for name, dot in dots.items():
        if dot in linear.values:
            cotangents.add(dot, seeds[name])
    _pull_back(g, linear, cotangents)
    outputs = {name: value for name, value in values.items() if value not in linear.values}
    for name, tangent in tangents.items():
        found = cotangents.of(tangent)
        outputs[_turned(name)] = g.zeros(tangent.type) if found is None else found
    return g.finished(outputs, [*primals.values(), *(seeds.values() if seed is None else ())])


class _Linear:
    """What depends on tangents: all of that is linear in them."""

    def __init__(self, g: Builder, tangents: Iterable[Value]) -> None:
        """Of what the builder holds by now."""
        self.values = set(tangents)
        self.applications: list[tuple[int, Application]] = []
        """In their order, with their positions."""
        for position, application in enumerate(g.applications):
            if not self.values.isdisjoint(application.operands):
                self.values.update(application.results)
                self.applications.append((position, application))


class _Cotangents:
    """Sums of cotangents, by value."""

    def __init__(self, g: Builder) -> None:
        self._g = g
        self._sums: dict[Value, Value] = {}

    def of(self, value: Value) -> Value | None:
        return self._sums.get(value)

    def add(self, value: Value, term: Value) -> None:
        present = self._sums.get(value)
        self._sums[value] = term if present is None else self._g.add(present, term)


def _pull_back(g: Builder, linear: _Linear, cotangents: _Cotangents) -> None:
    """Sends the cotangents of every linear node's results to its operands, last node first."""
    for position, application in reversed(linear.applications):
        arriving = [cotangents.of(result) for result in application.results]
        if all(cotangent is None for cotangent in arriving):
            continue
        g.origin = application.origin
        unknown = {x: Unknown(x.type) for x in application.operands if x in linear.values}
        operands = [unknown.get(x, x) for x in application.operands]
        try:
            leaving = rules.pull(application.op, g, arriving, operands)
        except ConstraintError as error:
            raise refused(application, position, error) from None
        for operand, cotangent in zip(application.operands, leaving, strict=True):
            if cotangent is not None and operand in linear.values:
                cotangents.add(operand, cotangent)
