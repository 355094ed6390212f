"""Derivations that no client asks for: what jobs derive on their way to an answer."""

from __future__ import annotations

from dataclasses import field

from gradserve.autodiff import names
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, TensorType
from gradserve.questions.derivations import TANGENTS, Derivation


@dataclass(frozen=True)
class Curvature(Derivation):
    """The quadratic form <v, H v> for v in `tangent:NAME`: `product:curvature`, and the shares `share:NAME` in it."""

    takes = TANGENTS


@dataclass(frozen=True)
class Form(Derivation):
    """The quadratic form <v, H v> alone for v in `tangent:NAME`: `product:curvature`."""

    takes = TANGENTS


@dataclass(frozen=True)
class Laplacian(Derivation):
    """The sum of <v, H v> over so many vectors v in `tangent:NAME`, which has a leading axis: `product:laplacian`."""

    directions: int = 1

    takes = TANGENTS

    def vector_types(self, graph: Graph) -> dict[str, TensorType]:
        """With the axis of directions."""
        types = super().vector_types(graph)
        return {name: type_.with_shape((self.directions, *type_.shape)) for name, type_ in types.items()}


@dataclass(frozen=True)
class Slope(Derivation):
    """The gradient of <u, H v> for v in `tangent:NAME` and u in `direction:NAME`: `slope:NAME`."""

    takes = TANGENTS


@dataclass(frozen=True)
class FisherProduct(Derivation):
    """g <g, v> for the gradient g of a loss and v in `tangent:NAME`: `product:NAME`."""

    takes = TANGENTS


@dataclass(frozen=True)
class Along(Derivation):
    """The outputs at x + step d for d in `direction:NAME` and a scalar `step`: `value:OUT`."""


@dataclass(frozen=True)
class TwoPoint(Derivation):
    """The difference quotient of a loss at x along d in `direction:NAME`, for a scalar `step:size`: `value:slope`.

    `central`, (f(x + step d) - f(x - step d)) / (2 step), at two evaluations; or forward, (f(x + step d) - f(x)) / step
    with f(x) in `origin:loss`, at one. `on_sphere` moves along `value:factor` times d, whose length is the root of the
    number of entries.
    """

    central: bool = True
    on_sphere: bool = False


@dataclass(frozen=True)
class EveryValue(Derivation):
    """Every value of the graph by its number: `value:K`, and where they are real `adjoint:K` and `tangent:K`.

    Adjoints are there if the graph is a loss; tangents, along `tangent:NAME`, if `wrt` names inputs. For each node that
    can sit on a kink, how many of its elements do: `kinks:POSITION`; for each that has branches, how far the nearest
    element is from the next one: `margin:POSITION`.
    """

    takes = TANGENTS


@dataclass(frozen=True)
class TaylorSeries(Derivation):
    """The coefficients of t^0 to t^order of the outputs at x + t v, for v in `tangent:NAME`: `orderK:OUT`."""

    order: int = 1

    takes = TANGENTS


@dataclass(frozen=True)
class KinkCounts(Derivation):
    """For each node that can sit on a kink, how many of its elements do: `kinks:POSITION`."""


@dataclass(frozen=True)
class WithKinks(Derivation):
    """What another derivation says, and whether each node that can sit on a kink does: `kinked:POSITION`."""

    derivation: Derivation = field(default_factory=Derivation)

    def vector_types(self, graph: Graph) -> dict[str, TensorType]:
        """Those of the other derivation."""
        return self.derivation.vector_types(graph)


@dataclass(frozen=True)
class Careful(Derivation):
    """What another derivation says, where zeros absorb what is not finite; `kinked:absorbed` tells of some."""

    derivation: Derivation = field(default_factory=Derivation)

    def vector_types(self, graph: Graph) -> dict[str, TensorType]:
        """Those of the other derivation."""
        return self.derivation.vector_types(graph)


def added_inputs(graph: Graph, derivation: Derivation) -> dict[str, TensorType]:
    """The inputs that a derived graph has besides the graph's own, with their types for one example."""
    if isinstance(derivation, WithKinks | Careful):
        return added_inputs(graph, derivation.derivation)
    if isinstance(derivation, Along | TwoPoint):
        scalars = [names.STEP]
        if isinstance(derivation, TwoPoint) and not derivation.central:
            scalars.append(names.ORIGIN)
        directions = {names.direction(name): graph.input_types[name] for name in derivation.wrt}
        return directions | dict.fromkeys(scalars, TensorType(ElementType.FLOAT64))
    vectors = {names.vector(derivation.takes, n): type_ for n, type_ in derivation.vector_types(graph).items()}
    if isinstance(derivation, Slope):
        return vectors | {names.direction(name): graph.input_types[name] for name in derivation.wrt}
    return vectors
