"""Noncentral distributions of fixed degrees of freedom: probabilities, quantiles, and what they are off the centre."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import Binary, RealElementwise, require
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.erf import Special
from gradserve.ops.special.rare import OfScipy
from gradserve.ops.special.tails import Tail, beta_density, gamma_density

LAWS = {
    "chi-squared": (("chndtr", "chndtrix", "chndtrinc"), (1e4, 1e5)),
    "F": (("ncfdtr", "ncfdtri"), (1e4, math.inf)),
    "t": (("nctdtr", "nctdtrit"), (1e3, 1e5)),
}
"""SciPy's functions, and up to which parameter off the centre and which number they are quick.

By what F or t are off the centre SciPy finds to few digits.
"""
MOST = 1000.0
_FLOPS = 10_000.0
_QUICK = 400.0
"""Up to which product of a number and the parameter off the centre the series does not overflow."""


@register
@dataclass(frozen=True)
class Noncentral(OfScipy, RealElementwise, Binary):
    """A noncentral distribution: 0, the probability to be below x with nc; 1, the quantile of p with nc; 2, nc by x, p.

    The last is of chi-squared numbers alone. The law is chi-squared, F or t, of `df` degrees of freedom; F is of `dfn`
    of them above, and of `df` below. NaN where SciPy would take long: far off the centre.
    """

    law: str
    kind: int
    df: float
    dfn: float

    name = "noncentral"
    function = "chndtr"
    flops = _FLOPS
    points = ((0.5, 3.0, 2.5, 7.0), (0.4, 2.0, 1.5, 3.0))
    constraints = {**Special.constraints, "C4": "the law is one of those known, and its degrees of freedom are few"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        there_is = self.law in LAWS and 0 <= self.kind < len(LAWS[self.law][0])
        require(there_is, "C4", f"there is no law {self.law!r} of kind {self.kind}")
        known = 0.1 <= self.df <= MOST and 0.1 <= self.dfn <= MOST
        require(known, "C4", f"degrees of freedom are {self.df} and {self.dfn}, not from 0.1 to 1000")
        return results

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """SciPy's function; NaN where that would take long, or gives where it has stopped."""
        (functions, (most, widest)), (first, second) = LAWS[self.law], arrays
        off, size = (second, first) if self.kind < 2 else (xp.zeros_like(second), first)
        far = (xp.abs(off) > most) | (xp.abs(size) > widest)
        first, second = (xp.where(far, xp.ones_like(first) * 0.5, v) for v in arrays)
        found = routine(xp, functions[self.kind])(*self._ordered(first, second))
        if self.kind == 2:
            far = far | (xp.abs(found) >= most) | ((found > 0) & (found < 1e-100))
        return xp.astype(xp.where(far, xp.nan * xp.ones_like(found), found), arrays[0].dtype)

    def _ordered(self, first: Any, second: Any) -> tuple[Any, ...]:
        """The operands in SciPy's order, which is not one."""
        if self.law == "chi-squared":
            return (first, self.df, second)
        if self.law == "t":
            return (self.df, second, first)
        return (self.dfn, self.df, second, first)

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """The slopes of the probability; those of an inverse as the probability stays what it is."""
        first, second = operands
        if self.kind == 0:
            return g.mul(self._slope(g, first, second, off=k == 1), dx)
        x, nc = (y, second) if self.kind == 1 else (first, y)
        solved = self._slope(g, x, nc, off=self.kind == 2)
        is_probability = k == self.kind - 1
        if is_probability:
            return g.div(dx, solved)
        return g.neg(g.mul(g.div(self._slope(g, x, nc, off=self.kind == 1), solved), dx))

    def _slope(self, g: Builder, x: Value, nc: Value, off: bool) -> Value:
        """The derivative of the probability in x, or in nc."""
        match self.law:
            case "chi-squared":
                density = chi_squared_density(g, x, nc, self.df + 2.0 * off)
                return g.neg(density) if off else density
            case "F":
                return self._of_f(g, x, nc, off)
        (mean,) = g.apply(NormalMean(self.df, 0 if off else 1), [x, nc])
        return g.neg(mean) if off else mean

    def _of_f(self, g: Builder, f: Value, nc: Value, off: bool) -> Value:
        """The density of the share y, exp(-nc (1 - y) / 2) 1F1(-b, a, -nc y / 2) times that of a beta distribution."""
        whole = g.add(g.mul(f, self.dfn), self.df)
        share, rest = g.div(g.mul(f, self.dfn), whole), g.div(self.df, whole)
        a, b = (g.full(share.type, v) for v in (0.5 * self.dfn + off, 0.5 * self.df))
        sum_ = g.emit("hyp1f1", g.neg(g.sub(b, float(off))), a, g.mul(g.mul(nc, share), -0.5))
        size = g.mul(g.exp(g.mul(g.mul(nc, rest), -0.5)), sum_)
        density = beta_density(g, a, b, share)
        if off:
            return g.neg(g.mul(g.mul(size, g.mul(density, rest)), 1.0 / (self.dfn + self.df)))
        return g.mul(g.mul(size, density), g.mul(g.div(rest, whole), self.dfn))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All laws and kinds, a scalar, nothing."""
        x, nc = (np.array(column) for column in cls.points)
        p = np.array([0.3, 0.5, 0.6, 0.2])
        for law in LAWS:
            yield Sample(cls(law, 0, 3.0, 4.0), (x, nc))
            yield Sample(cls(law, 1, 3.0, 4.0), (p, nc))
        yield Sample(cls("chi-squared", 2, 3.0, 1.0), (np.array([9.0, 12.0]), p[:2]))
        yield Sample(cls("t", 0, 5.0, 1.0), (x[0], nc[0]))
        yield Sample(cls("F", 0, 5.0, 2.0), (np.zeros((2, 0)), np.zeros((2, 0))))


def chi_squared_density(g: Builder, x: Value, nc: Value, df: float) -> Value:
    """exp(-(x + nc) / 2) (x / nc)^(df / 4 - 1 / 2) I(sqrt(nc x)) / 2, of the order df / 2 - 1.

    While nc x is small that is exp(-nc / 2) 0F1(df / 2, nc x / 4) times the density of a central number.
    """
    order = 0.5 * df - 1.0
    quick = g.lt(g.mul(x, nc), _QUICK)
    u, v = g.select(quick, x, 1.0), g.select(quick, nc, 1.0)
    series = g.emit("hyp0f1", g.full(u.type, 0.5 * df), g.mul(g.mul(u, v), 0.25))
    central = gamma_density(g, g.full(u.type, 0.5 * df), g.mul(u, 0.5))
    near = g.mul(g.mul(series, g.exp(g.mul(v, -0.5))), g.mul(central, 0.5))
    u, v = g.select(quick, 1.0, x), g.select(quick, 1.0, nc)
    root, other = g.sqrt(u), g.sqrt(v)
    apart = g.sub(root, other)
    scaled = g.emit("bessel_ie", g.mul(root, other), order=order)
    far = g.mul(g.mul(g.exp(g.mul(g.mul(apart, apart), -0.5)), scaled), g.mul(g.pow(g.div(u, v), 0.5 * order), 0.5))
    return g.select(g.lt(x, 0.0), 0.0, g.select(quick, near, far))


@register
@dataclass(frozen=True)
class NormalMean(Tail, RealElementwise, Binary):
    """The mean of s^power times the normal density at t s - nc, of s^2 as a chi-squared number over its degrees df."""

    df: float
    power: int

    name = "normal_mean"
    function = "normal_mean"
    points = ((0.5, -3.0, 2.5, 0.0), (0.4, 2.0, 2.5, 1.0))

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return partial(super().chosen(xp), df=self.df, power=self.power)

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """(nc times the mean of one power more, less t times that of two) dt; (t times one more, less nc y) dnc."""
        t, nc = operands
        more, most = (g.apply(replace(self, power=self.power + n), [t, nc])[0] for n in (1, 2))
        slope = g.sub(g.mul(nc, more), g.mul(t, most)) if k == 0 else g.sub(g.mul(t, more), g.mul(nc, y))
        return g.mul(slope, dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Some degrees and powers; scalars, nothing."""
        t, nc = (np.array(column) for column in cls.points)
        for df, power in ((3.0, 0), (0.7, 1), (40.0, 2)):
            yield Sample(cls(df, power), (t, nc))
        yield Sample(cls(3.0, 1), (t[0], nc[0]))
        yield Sample(cls(3.0, 0), (np.zeros((2, 0)), np.zeros((2, 0))))
