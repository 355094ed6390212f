"""Special functions of complex numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.family import TRANSCENDENTAL, Unary, require
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.rare import OfScipy


class OfComplex(OfScipy, Unary):
    """An analytic function of one complex number."""

    takes_complex = True
    analytic = True

    def accepts(self, element_type: ElementType) -> bool:
        """Only complex numbers: of real ones the results would have another type."""
        return element_type.is_complex

    @classmethod
    def at(cls, op: Any, points: Array) -> Iterator[Sample]:
        """Points, one alone, and none."""
        yield Sample(op, (points,))
        yield Sample(op, (points[0],))
        yield Sample(op, (points[:0],))


@register
@dataclass(frozen=True)
class Wofz(OfComplex):
    """Faddeeva's function: exp(-z^2) erfc(-i z)."""

    name = "wofz"
    function = "wofz"

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """(2 i / sqrt(pi) - 2 z y) dz; far out, where the two cancel, by a continued fraction."""
        # y = i / (sqrt(pi) (z - (1/2) / (z - (2/2) / (z - ...)))) above the real axis, and near it by all of them.
        far = g.logical_and(g.gt(g.abs(x), _FAR), g.gt(g.imag(x), 0.0))
        near = g.sub(2j / math.sqrt(math.pi), g.mul(g.mul(x, 2.0), y))
        t = g.select(far, x, _FAR * 1j)
        rest = t
        for k in range(_TERMS, 1, -1):
            rest = g.sub(t, g.div(k / 2, rest))
        half = g.div(0.5, rest)
        slope = g.mul(g.div(half, g.sub(t, half)), -2j / math.sqrt(math.pi))
        return g.mul(g.select(far, slope, near), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """On both sides of the real axis, and far above it."""
        return cls.at(cls(), np.array([0.5 + 0.3j, -1.0 + 2.0j, 0.7 - 0.4j, 0.2 + 0j, 20.0 + 3.0j]))


_FAR = 8.0
_TERMS = 24


@register
@dataclass(frozen=True)
class Lambertw(OfComplex):
    """Lambert's function, the w with w exp(w) = z, on one of its branches: 0 is the principal one."""

    branch: int

    name = "lambertw"
    function = "lambertw"

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(super().chosen(xp), k=self.branch)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dz / (exp(w) (1 + w)); of large w, w / (z (1 + w)) dz."""
        far = g.gt(g.abs(y), 1.0)
        z, w = g.select(far, x, 1.0), g.select(far, 0.0, y)
        slope = g.select(far, g.div(y, g.mul(z, g.add(y, 1.0))), g.div(1.0, g.mul(g.exp(w), g.add(w, 1.0))))
        return g.mul(slope, dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """The principal branch and the one below, of real numbers as well."""
        yield from cls.at(cls(0), np.array([0.5 + 0.3j, -1.0 + 2.0j, 3.0 + 0j, 0j, -0.3 + 0j, 50.0 - 2.0j]))
        yield Sample(cls(-1), (np.array([-0.2 + 0.1j, 0.5 + 1.0j]),))
        yield Sample(cls(-1), (np.array([-0.2 + 0j, -0.1 + 0j]),), differentiable=False)


_NEIGHBOURS = {"jv": (0.5, -0.5), "yv": (0.5, -0.5), "iv": (0.5, 0.5), "kv": (-0.5, -0.5), "kve": (-0.5, -0.5)}
_NEIGHBOURS |= dict.fromkeys(("hankel1", "hankel1e", "hankel2", "hankel2e"), (0.5, -0.5))
"""How much of the functions of the orders below and above is in the derivative of each."""
_SCALES = {"kve": 1.0, "hankel1e": -1j, "hankel2e": 1j}
"""What the exponent of the factor in scaled ones is of z."""


@register
@dataclass(frozen=True)
class BesselOfComplex(OfComplex):
    """A Bessel function of a complex number, of this order: jv, yv, iv, kv, hankel1, hankel2; scaled ones end in e."""

    kind: str
    order: float

    name = "bessel_of_complex"
    function = "jv"
    flops = 8 * TRANSCENDENTAL
    constraints: ClassVar[dict[str, str]] = {**OfComplex.constraints, "C4": "the kind is one that is analytic"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        require(self.kind in _NEIGHBOURS, "C4", f"{self.kind!r} is none of {', '.join(_NEIGHBOURS)}")
        return results

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(routine(xp, self.kind), self.order)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """By the orders below and above; at order 0 both are order 1, but for the sign."""
        below, above = _NEIGHBOURS[self.kind]
        slope = g.emit(self.name, x, kind=self.kind, order=self.order + 1.0)
        if self.order == 0.0:
            slope = g.mul(slope, 2.0 * above)
        else:
            before = g.emit(self.name, x, kind=self.kind, order=self.order - 1.0)
            slope = g.add(g.mul(before, below), g.mul(slope, above))
        if self.kind in _SCALES:
            slope = g.add(slope, g.mul(y, _SCALES[self.kind]))
        return g.mul(slope, dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All kinds, orders 0, 1 and one between."""
        points = np.array([0.5 + 0.3j, -1.0 + 2.0j, 3.0 + 0j])
        for kind in _NEIGHBOURS:
            yield from cls.at(cls(kind, 0.0), points)
        yield Sample(cls("jv", 1.0), (points,))
        yield Sample(cls("kv", 1.5), (points,))
