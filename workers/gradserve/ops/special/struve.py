"""Struve's functions of a fixed order: their derivatives are those of neighbouring orders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops.family import Unary, require
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.erf import Special
from gradserve.ops.special.rare import OfScipy

MOST = 1000.0
"""The order up to which routines that go from order to order, or sum long series, end within a millisecond."""


@register
@dataclass(frozen=True)
class Struve(OfScipy, Unary):
    """Struve's function H of this order, or its modified one, L."""

    order: float
    modified: bool

    name = "struve"
    function = "struve"
    points = ((0.5, 3.0, 12.0),)
    constraints: ClassVar[dict[str, str]] = {**Special.constraints, "C4": "the order is at most 1000 in size"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        require(abs(self.order) <= MOST, "C4", f"the order is {self.order}")
        return results

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(routine(xp, "modstruve" if self.modified else "struve"), self.order)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """Half of the order below, the order above, less or more, and (x/2)^v / (sqrt(pi) Gamma(v + 3/2))."""
        sign, v = 1.0 if self.modified else -1.0, self.order
        above = g.mul(g.emit(self.name, x, order=v + 1.0, modified=self.modified), sign)
        if v == 0.0:  # the order below is 2 / pi less that above: nothing of order -1, of which derivatives have poles
            return g.mul(g.add(above, 2.0 / math.pi), dx)
        below = g.emit(self.name, x, order=v - 1.0, modified=self.modified)
        rest = g.mul(g.pow(g.mul(x, 0.5), v), _reciprocal_of_gamma(v + 1.5) / math.sqrt(math.pi))
        return g.mul(g.mul(g.add(g.add(below, above), rest), 0.5), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Both, of whole orders and one between; a scalar, nothing, zero."""
        points = np.array(cls.points[0])
        for order in (0.0, 1.0, 1.5):
            for modified in (False, True):
                yield Sample(cls(order, modified), (points,))
        yield Sample(cls(2.0, False), (points[0],))
        yield Sample(cls(0.0, True), (np.zeros((2, 0)),))
        yield Sample(cls(1.0, False), (np.array([0.0, -1.0]),))


def _reciprocal_of_gamma(x: float) -> float:
    """0 at the poles."""
    return 0.0 if x <= 0.0 and x.is_integer() else 1.0 / math.gamma(x)
