"""Airy's functions without their exponential factor."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ops.family import Unary
from gradserve.ops.registry import register
from gradserve.ops.special.rare import OfKind

_FAR = 30.0
_TERMS = 12


@register
@dataclass(frozen=True)
class ScaledAiry(OfKind, Unary):
    """Ai and Ai' times exp(2/3 x^(3/2)), NaN below 0; Bi and Bi' over it, plain ones below 0: kinds 0 to 3."""

    name = "scaled_airy"
    function = "airye"
    points = ((0.5, 3.0, 40.0, 1e3),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """That of the function, and what its factor adds; far out, where the two cancel, by the asymptotic series."""
        positive = g.gt(x, 0.0)
        far = g.gt(x, _FAR)
        root = g.select(positive, g.sqrt(g.select(positive, x, 1.0)), 0.0)
        beside = g.emit(self.name, x, kind=self.kind + (1 if self.kind % 2 == 0 else -1))
        own = beside if self.kind % 2 == 0 else g.mul(x, beside)
        added = g.mul(root, y)
        near = g.add(own, added) if self.kind < 2 else g.sub(own, added)
        return g.mul(g.select(far, self._far(g, g.select(far, x, _FAR)), near), dx)

    def _far(self, g: Builder, x: Value) -> Value:
        """The derivative of x^(-1/4) sum c_k (3/2)^k x^(-3k/2), or of its kin with x^(1/4), term by term."""
        slope = self.kind % 2 == 1
        sign = -1.0 if self.kind < 2 else 1.0
        power = 0.25 if slope else -0.25
        size = (0.5 if self.kind < 2 else 1.0) / math.sqrt(math.pi) * (-1.0 if self.kind == 1 else 1.0)
        root = g.sqrt(x)
        inverse, series = g.div(sign * 1.5, g.mul(x, root)), g.zeros(x.type)
        for k in range(_TERMS, -1, -1):
            series = g.add(g.mul(series, inverse), size * _coefficient(k, slope) * (power - 1.5 * k))
        scale = g.div(1.0, g.mul(g.sqrt(root), root if slope else x))
        return g.mul(series, scale)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All kinds, a scalar, nothing, and below 0."""
        points = np.array(cls.points[0])
        for kind in range(4):
            yield Sample(cls(kind), (points,))
        yield Sample(cls(2), (np.array([-2.0, -30.0]),))
        yield Sample(cls(0), (points[0],))
        yield Sample(cls(2), (np.zeros((2, 0)),))
        yield Sample(cls(0), (np.array([-1.0, 0.0]),), differentiable=False)


def _coefficient(k: int, slope: bool) -> float:
    """The u_k in Airy's asymptotic series, or the v_k in that of the derivative (NIST Digital Library, 9.7.2)."""
    found = 1.0
    for j in range(1, k + 1):
        found *= (6 * j - 5) * (6 * j - 3) * (6 * j - 1) / (216.0 * j * (2 * j - 1))
    return found * (6 * k + 1) / (1 - 6 * k) if slope else found
