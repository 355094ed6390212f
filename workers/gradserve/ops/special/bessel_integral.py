"""Integrals of a power times a Bessel function: their derivatives are those of neighbouring orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import Unary, require
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.erf import Special
from gradserve.ops.special.rare import OfScipy
from gradserve.ops.special.struve import MOST

_WIDEST = 8.0


@register
@dataclass(frozen=True)
class BesselIntegral(OfScipy, Unary):
    """The integral of x^power times the Bessel function J of 2 a x, of this order, over x from 0 to 1.

    NaN with a beyond 8, where SciPy's sum loses its digits.
    """

    power: float
    order: float

    name = "bessel_integral"
    function = "besselpoly"
    points = ((0.5, 3.0, 1.2, 6.0),)
    constraints = {**Special.constraints, "C4": "the integral is finite, and power and order are at most 1000 in size"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        finite = self.power + self.order > -1.0 or (float(self.order).is_integer() and self.power - self.order < -1.0)
        require(finite and max(abs(self.power), abs(self.order)) <= MOST, "C4", f"they are {self.power}, {self.order}")
        return results

    def chosen(self, xp: Any) -> Callable[..., Any]:
        found = routine(xp, self.function)
        return lambda a: found(a, self.power, self.order)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        found = super().impl(xp, *arrays)
        return xp.where(arrays[0] > _WIDEST, xp.nan * xp.ones_like(found), found)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """That of one power more and the order below, less that of the order above."""
        above = g.emit(self.name, x, power=self.power + 1.0, order=self.order + 1.0)
        if self.order == 0.0:  # the order below is that above, but for the sign
            return g.mul(g.mul(above, -2.0), dx)
        return g.mul(g.sub(g.emit(self.name, x, power=self.power + 1.0, order=self.order - 1.0), above), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Some powers and orders; a scalar, nothing."""
        points = np.array(cls.points[0])
        for power, order in ((0.0, 0.0), (1.0, 2.0), (0.5, 1.5)):
            yield Sample(cls(power, order), (points,))
        yield Sample(cls(2.0, 1.0), (points[0],))
        yield Sample(cls(0.0, 1.0), (np.zeros((2, 0)),))
