"""Bessel functions of a fixed order. Their derivatives are those of neighbouring orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops.family import Columns, Unary, require
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.erf import Special
from gradserve.ops.special.rare import OfScipy

MOST_ORDER = 10_000
ORDER_FLOPS = 5.0
"""Of one order more, where SciPy goes through all of them: what that takes grows with the order, without an end."""


@dataclass(frozen=True)
class Bessel(Special, Unary):
    """A Bessel function of x, of this order. Orders 0 and 1 have quicker algorithms of their own."""

    order: float

    fixed: ClassVar[tuple[str, str]]
    """The functions of orders 0 and 1."""
    below: ClassVar[float]
    above: ClassVar[float]
    """How much of the functions of the orders below and above is in the derivative."""
    points = ((0.5, 3.0, 20.0),)

    def chosen(self, xp: Any) -> Callable[..., Any]:
        if self.order in (0.0, 1.0):
            return routine(xp, self.fixed[int(self.order)])
        return partial(routine(xp, self.function), self.order)

    def neighbours(self, g: Builder, x: Value) -> Value:
        """The derivative by the recurrence of the family; at order 0 both neighbours are order 1, but for the sign."""
        above = g.emit(self.name, x, order=self.order + 1.0)
        if self.order == 0.0:
            return g.mul(above, 2.0 * self.above)
        return g.add(g.mul(g.emit(self.name, x, order=self.order - 1.0), self.below), g.mul(above, self.above))

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """By the orders below and above."""
        return g.mul(self.neighbours(g, x), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Orders 0 and 1, a whole one and one between; a scalar, nothing, zero and infinity."""
        (points,) = cls.points
        for order in (0.0, 1.0, 2.0, 1.5):
            yield Sample(cls(order), (np.array(points),))
        yield Sample(cls(3.0), (np.array(points[0]),))
        yield Sample(cls(0.0), (np.zeros((2, 0)),))
        for order in (0.0, 1.0):
            yield Sample(cls(order), (np.array([0.0, np.inf]),), differentiable=False)


@register
@dataclass(frozen=True)
class BesselJ(Bessel):
    """The Bessel function of the first kind, J."""

    name = "bessel_j"
    function = "jv"
    fixed = ("j0", "j1")
    below, above = 0.5, -0.5


@register
@dataclass(frozen=True)
class BesselY(Bessel):
    """The Bessel function of the second kind, Y, for x > 0."""

    name = "bessel_y"
    function = "yv"
    fixed = ("y0", "y1")
    below, above = 0.5, -0.5
    constraints: ClassVar[dict[str, str]] = {**Special.constraints, "C4": "whole orders are from -10,000 to 10,000"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        require(not self._steps > MOST_ORDER, "C4", f"the order is {self.order}")
        return results

    @property
    def flops(self) -> float:  # type: ignore[override]
        """SciPy goes from whole order to whole order."""
        return Special.flops + ORDER_FLOPS * self._steps

    @property
    def _steps(self) -> float:
        return abs(self.order) if float(self.order).is_integer() else 0.0


@register
@dataclass(frozen=True)
class BesselI(Bessel):
    """The modified Bessel function of the first kind, I."""

    name = "bessel_i"
    function = "iv"
    fixed = ("i0", "i1")
    below, above = 0.5, 0.5


@register
@dataclass(frozen=True)
class BesselIe(Bessel):
    """exp(-|x|) times the modified Bessel function of the first kind."""

    name = "bessel_ie"
    function = "ive"
    fixed = ("i0e", "i1e")
    below, above = 0.5, 0.5

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """By the orders below and above, less sign(x) y."""
        return g.mul(g.sub(self.neighbours(g, x), g.mul(g.sign(x), y)), dx)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where x is 0, unless the function is 0 there. The derivative is the middle slope."""
        return g.logical_and(g.eq(operands[0], 0), g.ne(outputs[0], 0))


@register
@dataclass(frozen=True)
class BesselK(Bessel):
    """The modified Bessel function of the second kind, K, for x > 0."""

    name = "bessel_k"
    function = "kv"
    fixed = ("k0", "k1")
    below, above = -0.5, -0.5


@register
@dataclass(frozen=True)
class BesselKe(Bessel):
    """exp(x) times the modified Bessel function of the second kind, for x > 0."""

    name = "bessel_ke"
    function = "kve"
    fixed = ("k0e", "k1e")
    below, above = -0.5, -0.5

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """By the orders below and above, and y."""
        return g.mul(g.add(self.neighbours(g, x), y), dx)


@dataclass(frozen=True)
class Spherical(OfScipy, Unary):
    """A spherical Bessel function of a whole order: sqrt(pi / 2x) times the Bessel function of half an order more."""

    order: int

    below: ClassVar[float]
    above: ClassVar[float]
    """The signs of the functions of the orders below and above in the derivative."""
    points: ClassVar[Columns] = ((0.5, 3.0, 12.0),)
    constraints: ClassVar[dict[str, str]] = {**Special.constraints, "C4": "the order is from 0 to 10,000"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        require(0 <= self.order <= MOST_ORDER, "C4", f"the order is {self.order}")
        return results

    @property
    def flops(self) -> float:  # type: ignore[override]
        """SciPy goes from order to order."""
        return Special.flops + ORDER_FLOPS * self.order

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(routine(xp, self.function), self.order)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """By the orders below and above."""
        return g.mul(self.slope(g, x), dx)

    def slope(self, g: Builder, x: Value) -> Value:
        """(n times the function of the order below, n + 1 times that above) / (2n + 1), each with its sign."""
        n = self.order
        slope = g.mul(g.emit(self.name, x, order=n + 1), self.above * (n + 1.0) / (2.0 * n + 1.0))
        if n:
            slope = g.add(slope, g.mul(g.emit(self.name, x, order=n - 1), self.below * n / (2.0 * n + 1.0)))
        return slope

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Some orders, a scalar, nothing."""
        points = np.array(cls.points[0])
        for order in (0, 1, 3):
            yield Sample(cls(order), (points,))
        yield Sample(cls(2), (points[0],))
        yield Sample(cls(0), (np.zeros((2, 0)),))


@register
@dataclass(frozen=True)
class SphericalJ(Spherical):
    """The spherical Bessel function of the first kind, j."""

    name = "spherical_j"
    function = "spherical_jn"
    below, above = 1.0, -1.0
    points = ((0.5, 3.0, 0.0, 12.0),)


@register
@dataclass(frozen=True)
class SphericalY(Spherical):
    """The spherical Bessel function of the second kind, y."""

    name = "spherical_y"
    function = "spherical_yn"
    below, above = 1.0, -1.0


@register
@dataclass(frozen=True)
class SphericalI(Spherical):
    """The modified spherical Bessel function of the first kind, i."""

    name = "spherical_i"
    function = "spherical_in"
    below, above = 1.0, 1.0


@register
@dataclass(frozen=True)
class SphericalK(Spherical):
    """The modified spherical Bessel function of the second kind, k."""

    name = "spherical_k"
    function = "spherical_kn"
    below, above = -1.0, -1.0
