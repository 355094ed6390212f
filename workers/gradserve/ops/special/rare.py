"""Special functions that SciPy has and most array namespaces lack: integrals of elementary functions, and relatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.elementwise.entire import Stumpff
from gradserve.ops.family import Binary, RealElementwise, Unary, require
from gradserve.ops.registry import register
from gradserve.ops.special.erf import Special


class OfScipy(Special):
    """A function of scipy.special that gives a number of the type that it takes, whatever SciPy's loops are."""

    part: ClassVar[int | None] = None
    """Which result of several it is."""

    def impl(self, xp: Any, *arrays: Array) -> Any:
        found = self.chosen(xp)(*arrays)
        return xp.astype(found if self.part is None else found[self.part], arrays[-1].dtype)


@dataclass(frozen=True)
class OfKind(OfScipy):
    """One of the four results of such a function, by its kind."""

    kind: int

    constraints = {**Special.constraints, "C4": "the kind is one of 0 to 3"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        require(0 <= self.kind <= 3, "C4", f"there is no kind {self.kind}")
        return results

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.astype(self.chosen(xp)(*arrays)[self.kind], arrays[-1].dtype)


def sinc(g: Builder, x: Value) -> Value:
    """sin(x) / x."""
    return g.apply(Stumpff(1), [g.mul(x, x)])[0]


_FAR = 10.0
_TERMS = 16


@register
@dataclass(frozen=True)
class Dawsn(OfScipy, Unary):
    """Dawson's integral: exp(-x^2) times the integral of exp(t^2) from 0 to x."""

    name = "dawsn"
    function = "dawsn"
    parity = "odd"
    points = ((0.5, -2.0, 0.0, 12.0),)
    kinks = ((math.inf, -math.inf, 1e8),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """dy = (1 - 2 x y) dx; far out, where the two cancel, -sum (2k - 1)!! / (2 x^2)^k over k = 1, 2, ..."""
        far = g.ge(g.abs(x), _FAR)
        z, series = g.select(far, x, _FAR), g.zeros(x.type)
        inverse = g.div(0.5, g.mul(z, z))
        for k in range(_TERMS, 0, -1):
            series = g.mul(g.mul(inverse, 2.0 * k - 1.0), g.add(series, 1.0))
        near = g.sub(1.0, g.mul(g.mul(x, 2.0), y))
        return g.mul(g.select(far, g.neg(series), near), dx)


@register
@dataclass(frozen=True)
class Erfi(OfScipy, Unary):
    """The imaginary error function: 2 / sqrt(pi) times the integral of exp(t^2) from 0 to x."""

    name = "erfi"
    function = "erfi"
    parity = "odd"
    points = ((0.5, -2.0, 0.0, 3.0),)
    kinks = ((math.inf, -math.inf, 30.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """2 / sqrt(pi) exp(x^2) dx."""
        return g.mul(g.mul(g.exp(g.mul(x, x)), 2.0 / math.sqrt(math.pi)), dx)


@register
@dataclass(frozen=True)
class Spence(OfScipy, Unary):
    """Spence's function: the integral of log(t) / (1 - t) from 1 to x, for x of at least 0."""

    name = "spence"
    function = "spence"
    points = ((0.5, 3.0, 1.0, 1.01, 0.2),)
    kinks = ((0.0, -1.0, math.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """log(x) / (1 - x) dx; near 1 by its power series."""
        u = g.sub(x, 1.0)
        near = g.lt(g.abs(u), 0.1)
        t, series = g.select(near, u, 0.0), g.zeros(x.type)
        for k in range(24, 0, -1):
            series = g.sub(1.0 / k, g.mul(t, series))
        slope = g.div(g.log(g.select(near, 0.5, x)), g.select(near, 0.5, u))
        return g.mul(g.neg(g.select(near, series, slope)), dx)


@register
@dataclass(frozen=True)
class Exp1(OfScipy, Unary):
    """The exponential integral E1: that of exp(-t) / t from x to infinity."""

    name = "exp1"
    function = "exp1"
    points = ((0.5, 2.0, 3.0, 0.25),)
    kinks = ((0.0, math.inf, 800.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """-exp(-x) / x dx."""
        return g.mul(g.neg(g.div(g.exp(g.neg(x)), x)), dx)


@register
@dataclass(frozen=True)
class Expn(OfScipy, Unary):
    """The exponential integral En of a whole order: that of exp(-x t) / t^n over t from 1 to infinity."""

    order: int

    name = "expn"
    function = "expn"
    points = ((0.5, 2.0, 3.0, 0.25),)

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(super().chosen(xp), float(self.order))

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """Less the integral of the order below; exp(-x) / x is that of order 0."""
        if not self.order:
            return g.mul(g.neg(g.mul(y, g.add(g.div(1.0, x), 1.0))), dx)
        return g.mul(g.neg(g.emit("expn", x, order=self.order - 1)), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Some orders, a scalar, nothing, and where it is infinite."""
        points = np.array(cls.points[0])
        for order in (0, 1, 3):
            yield Sample(cls(order), (points,))
        yield Sample(cls(2), (points[0],))
        yield Sample(cls(2), (np.zeros((2, 0)),))
        yield Sample(cls(1), (np.array([0.0, math.inf, -1.0]),), differentiable=False)


@register
@dataclass(frozen=True)
class SineIntegral(OfScipy, Unary):
    """The integral of sin(t) / t from 0 to x."""

    name = "sine_integral"
    function = "sici"
    part = 0
    parity = "odd"
    points = ((0.5, -2.0, 0.0, 12.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """sin(x) / x dx."""
        return g.mul(sinc(g, x), dx)


@register
@dataclass(frozen=True)
class CosineIntegral(OfScipy, Unary):
    """The integral of cos(t) / t from infinity to x."""

    name = "cosine_integral"
    function = "sici"
    part = 1
    points = ((0.5, 2.0, 12.0),)
    kinks = ((0.0, math.inf, -1.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """cos(x) / x dx."""
        return g.mul(g.div(g.cos(x), x), dx)


@register
@dataclass(frozen=True)
class FresnelSine(OfScipy, Unary):
    """Fresnel's integral of sin(pi t^2 / 2) from 0 to x."""

    name = "fresnel_sine"
    function = "fresnel"
    part = 0
    parity = "odd"
    points = ((0.5, -2.0, 0.0, 3.0),)
    kinks = ((math.inf, -math.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """sin(pi x^2 / 2) dx."""
        return g.mul(g.sin(g.mul(g.mul(x, x), 0.5 * math.pi)), dx)


@register
@dataclass(frozen=True)
class FresnelCosine(OfScipy, Unary):
    """Fresnel's integral of cos(pi t^2 / 2) from 0 to x."""

    name = "fresnel_cosine"
    function = "fresnel"
    part = 1
    parity = "odd"
    points = ((0.5, -2.0, 0.0, 3.0),)
    kinks = ((math.inf, -math.inf),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """cos(pi x^2 / 2) dx."""
        return g.mul(g.cos(g.mul(g.mul(x, x), 0.5 * math.pi)), dx)


@register
@dataclass(frozen=True)
class OwensT(OfScipy, RealElementwise, Binary):
    """Owen's function T(h, a): the integral of exp(-h^2 (1 + t^2) / 2) / (1 + t^2) / (2 pi) over t from 0 to a."""

    name = "owens_t"
    function = "owens_t"
    points = ((0.5, -1.0, 0.0, 2.0), (2.0, 0.25, 1.5, -0.5))
    kinks = ((0.0, math.inf, 1.0), (math.inf, 1.0, -math.inf))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """-exp(-h^2 / 2) erf(a h / sqrt(2)) / sqrt(8 pi) dh, and what is integrated, at t = a, da."""
        h, a = operands
        if k == 0:
            bell = g.mul(g.exp(g.mul(g.mul(h, h), -0.5)), -1.0 / math.sqrt(8.0 * math.pi))
            return g.mul(g.mul(bell, g.erf(g.mul(g.mul(a, h), math.sqrt(0.5)))), dx)
        size = g.add(g.mul(a, a), 1.0)
        return g.mul(g.div(g.exp(g.mul(g.mul(g.mul(h, h), size), -0.5)), g.mul(size, 2.0 * math.pi)), dx)


@register
@dataclass(frozen=True)
class Airy(OfKind, Unary):
    """Airy's functions and their derivatives: Ai, Ai', Bi and Bi' for the kinds 0 to 3."""

    name = "airy"
    function = "airy"
    points = ((0.5, -2.0, 0.0, 3.0),)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """Its derivative, of which the derivative is x times the function."""
        if self.kind in (0, 2):
            return g.mul(g.emit("airy", x, kind=self.kind + 1), dx)
        return g.mul(g.mul(x, g.emit("airy", x, kind=self.kind - 1)), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All kinds, a scalar, nothing."""
        points = np.array(cls.points[0])
        for kind in range(4):
            yield Sample(cls(kind), (points,))
        yield Sample(cls(0), (points[0],))
        yield Sample(cls(2), (np.zeros((2, 0)),))
