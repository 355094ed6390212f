"""Special functions of complex numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.types import Array, ElementType
from gradserve.ops.family import Unary
from gradserve.ops.registry import register
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
