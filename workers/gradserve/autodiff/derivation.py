"""Derivations: what a request asks of a graph, as small frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Evaluate:
    """The outputs: `value:OUT`."""


@dataclass(frozen=True, slots=True)
class Gradient:
    """The loss and its gradient: `value:OUT`, `gradient:NAME`."""

    wrt: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Jvp:
    """The outputs and J v for v in `tangent:NAME`: `value:OUT`, `tangent:OUT`."""

    wrt: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vjp:
    """The outputs and J^T u for u in `cotangent:OUT`: `value:OUT`, `cotangent:NAME`."""

    wrt: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hvp:
    """The loss, its gradient and H v for v in `tangent:NAME`: `value:OUT`, `gradient:NAME`, `product:NAME`."""

    wrt: tuple[str, ...]
    product_only: bool = False
    """Whether H v is all that is wanted."""


@dataclass(frozen=True, slots=True)
class Curvature:
    """The quadratic form <v, H v> for v in `tangent:NAME`: `value:curvature`."""

    wrt: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Along:
    """The outputs at x + step d for d in `direction:NAME` and a scalar `step`: `value:OUT`."""

    wrt: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspect:
    """Every value of the graph by its number: `value:K`, and where they are real `adjoint:K` and `tangent:K`.

    Adjoints are there if the graph is a loss; tangents, along `tangent:NAME`, if `moved` names inputs. For each node
    that can sit on a kink, how many of its elements do: `kinks:POSITION`.
    """

    moved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taylor:
    """The coefficients of t^0 to t^order of the outputs at x + t v, for v in `tangent:NAME`: `orderK:OUT`."""

    wrt: tuple[str, ...]
    order: int


@dataclass(frozen=True, slots=True)
class WithKinks:
    """What another derivation says, and where the graph is on kinks: `kinked:nodes`, `kinked:examples`."""

    derivation: Derivation


Derivation: TypeAlias = WithKinks | Evaluate | Gradient | Jvp | Vjp | Hvp | Curvature | Along | Inspect | Taylor
