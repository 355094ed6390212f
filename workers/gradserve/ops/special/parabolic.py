"""Parabolic cylinder functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops.family import require
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.equations import Solution
from gradserve.ops.special.erf import Special
from gradserve.ops.special.struve import MOST


@register
@dataclass(frozen=True)
class ParabolicCylinder(Solution):
    """Parabolic cylinder functions of a parameter: D, V, W, for the kinds 0, 2, 4, and their derivatives after them."""

    parameter: float

    name = "parabolic_cylinder"
    function = "pbdv"
    points = ((0.5, -2.0, 0.0, 3.0),)
    constraints = {**Special.constraints, "C4": "the kind is one of 0 to 5, and the parameter at most 1000 in size"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        known = 0 <= self.kind <= 5 and abs(self.parameter) <= MOST
        require(known, "C4", f"the kind is {self.kind}, the parameter {self.parameter}")
        return results

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(routine(xp, ("pbdv", "pbvv", "pbwa")[self.kind // 2]), self.parameter)

    def second(self, g: Builder, x: Value, y: Value, slope: Value) -> Value:
        """(x^2 / 4 - v - 1/2) times the function, or (a - x^2 / 4) times W."""
        quarter = g.mul(g.mul(x, x), 0.25)
        size = g.sub(self.parameter, quarter) if self.kind == 5 else g.sub(quarter, self.parameter + 0.5)
        return g.mul(size, y)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All kinds, a scalar, nothing."""
        points = np.array(cls.points[0])
        for kind in range(6):
            yield Sample(cls(kind, 0.5), (points,))
        yield Sample(cls(0, 2.0), (points[0],))
        yield Sample(cls(1, 2.0), (np.zeros((2, 0)),))
