"""Entire functions of a square: cos(r), sin(r) / r and their kin, smooth in r^2 where r itself has a kink."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.ops.family import TRANSCENDENTAL, Unary
from gradserve.ops.registry import register

_TERMS = 16


@register
@dataclass(frozen=True)
class Stumpff(Unary):
    """c_k(x) = 1/k! - x/(k+2)! + x^2/(k+4)! - ..., for every real x.

    So c_0(r^2) = cos(r), c_1(r^2) = sin(r) / r, c_0(-r^2) = cosh(r), c_2(r^2) = (1 - cos(r)) / r^2. K. Stumpff,
    Himmelsmechanik I (1959).
    """

    order: int

    name = "stumpff"
    internal = True
    flops = 4 * TRANSCENDENTAL
    points = ((0.5, -2.0, 0.0, 30.0, -40.0),)
    kinks = ((np.inf, np.nan),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """The series near 0, and further away c_k = (1/(k-2)! - c_{k-2}) / x, which loses no digits there."""
        (x,) = arrays
        far = xp.abs(x) > (self.order + 1.0) ** 2
        near_x, far_x = xp.where(far, xp.zeros_like(x), x), xp.where(far, x, xp.ones_like(x))
        series = xp.zeros_like(x)
        for j in range(_TERMS, -1, -1):
            series = series * -near_x + 1.0 / math.factorial(2 * j + self.order)
        root = xp.sqrt(xp.abs(far_x))
        turns = far_x > 0
        if self.order % 2:
            found = xp.where(turns, xp.sin(root), xp.sinh(xp.where(turns, xp.zeros_like(x), root))) / root
        else:
            found = xp.where(turns, xp.cos(root), xp.cosh(xp.where(turns, xp.zeros_like(x), root)))
        for k in range(2 + self.order % 2, self.order + 1, 2):
            found = (1.0 / math.factorial(k - 2) - found) / far_x
        return xp.where(far, found, xp.where(x != x, x, series))

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dc_k = (k c_{k+2} - c_{k+1}) / 2 dx."""
        (following,) = g.apply(Stumpff(self.order + 1), [x])
        slope = g.mul(following, -0.5)
        if self.order:
            (second,) = g.apply(Stumpff(self.order + 2), [x])
            slope = g.add(slope, g.mul(second, 0.5 * self.order))
        return g.mul(slope, dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """The first orders."""
        points, kinks = (np.array(column) for column in (cls.points[0], cls.kinks[0]))
        for order in range(4):
            yield Sample(cls(order), (points,))
        yield Sample(cls(1), (points[0],))
        yield Sample(cls(1), (np.zeros((2, 0)),))
        yield Sample(cls(2), (kinks,), differentiable=False)
