"""Solutions of differential equations of second order: each has its derivative beside it, of which that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
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


@register
@dataclass(frozen=True)
class ParabolicCylinder(OfScipy, Unary):
    """Parabolic cylinder functions of a parameter: D, V, W, for the kinds 0, 2, 4, and their derivatives after them."""

    parameter: float
    kind: int

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

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.astype(self.chosen(xp)(*arrays)[self.kind % 2], arrays[0].dtype)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """Its derivative, of which that is (x^2 / 4 - v - 1/2) times the function, or (a - x^2 / 4) times W."""
        if self.kind % 2 == 0:
            return g.mul(g.emit(self.name, x, parameter=self.parameter, kind=self.kind + 1), dx)
        quarter = g.mul(g.mul(x, x), 0.25)
        v = self.parameter
        size = g.sub(v, quarter) if self.kind == 5 else g.sub(quarter, v + 0.5)
        return g.mul(g.mul(size, g.emit(self.name, x, parameter=v, kind=self.kind - 1)), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All kinds, a scalar, nothing."""
        points = np.array(cls.points[0])
        for kind in range(6):
            yield Sample(cls(0.5, kind), (points,))
        yield Sample(cls(2.0, 0), (points[0],))
        yield Sample(cls(2.0, 1), (np.zeros((2, 0)),))
