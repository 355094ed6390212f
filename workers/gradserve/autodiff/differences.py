"""Graphs moved along directions, and differences of a loss along them: no rule of any op is used."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence

from gradserve.autodiff import names
from gradserve.autodiff.derivation import TwoPoint
from gradserve.autodiff.walk import declare_inputs, inline
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder

STEP_TYPE = TensorType(ElementType.FLOAT64)


def along(graph: Graph, wrt: Sequence[str]) -> Graph:
    """The outputs at x + step d."""
    g = builder()
    arguments, directions, step = _inputs(g, graph, wrt)
    moved = _moved(g, arguments, directions, step)
    return g.finished({names.value(name): value for name, value in inline(g, graph, moved).items()})


def two_point(graph: Graph, derivation: TwoPoint) -> Graph:
    """The difference quotient of a loss along d; where asked, along d brought to the sphere, and by what factor."""
    g = builder()
    arguments, directions, step = _inputs(g, graph, derivation.wrt)
    origin = None if derivation.central else g.input(names.ORIGIN, STEP_TYPE)
    factor = _to_sphere(g, directions) if derivation.on_sphere else None
    ahead = step if factor is None else step * factor
    (loss,) = graph.outputs

    def at(moving: Value) -> Value:
        return g.convert(inline(g, graph, _moved(g, arguments, directions, moving))[loss.name], ElementType.FLOAT64)

    slope = (at(ahead) - at(-ahead)) / (step * 2.0) if origin is None else (at(ahead) - origin) / step
    return g.finished({names.SLOPE: slope} | ({} if factor is None else {names.FACTOR: factor}))


def _inputs(g: Builder, graph: Graph, wrt: Sequence[str]) -> tuple[dict[str, Value], dict[str, Value], Value]:
    arguments = declare_inputs(g, graph)
    directions = {name: g.input(names.direction(name), graph.input_types[name]) for name in wrt}
    return arguments, directions, g.input(names.STEP, STEP_TYPE)


def _moved(
    g: Builder, arguments: Mapping[str, Value], directions: Mapping[str, Value], step: Value
) -> dict[str, Value]:
    moved = dict(arguments)
    for name, direction in directions.items():
        own_step = g.broadcast(g.convert(step, direction.type.element_type), direction.type.shape)
        moved[name] = arguments[name] + direction * own_step
    return moved


def _to_sphere(g: Builder, directions: Mapping[str, Value]) -> Value:
    """What brings the directions together to the sphere whose radius is the root of the dimension."""
    size = sum(direction.type.size for direction in directions.values())
    squares = [
        g.convert(g.reduce_sum(d * d, axes=tuple(range(d.type.rank))), ElementType.FLOAT64) for d in directions.values()
    ]
    return g.sqrt(g.constant(float(size), ElementType.FLOAT64) / functools.reduce(operator.add, squares))
