"""Bessel functions of a fixed real order. Their derivatives are those of neighbouring orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ops.family import Unary
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.erf import Special


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
