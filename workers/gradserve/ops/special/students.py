"""Quantiles of Student's distribution."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.ir.builder import Builder, Value
from gradserve.ir.formulas import formula
from gradserve.ir.records import dataclass
from gradserve.ops.family import Binary, RealElementwise
from gradserve.ops.registry import register
from gradserve.ops.special.gammas import digamma_rise
from gradserve.ops.special.incomplete import beta_by_shape
from gradserve.ops.special.rare import OfScipy

_NEAR = 1e-16


@register
@dataclass(frozen=True)
class Stdtrit(OfScipy, RealElementwise, Binary):
    """The number t that a variable of Student's distribution with df degrees of freedom is below with probability p."""

    name = "stdtrit"
    function = "stdtrit"
    points = ((1.5, 3.0, 7.0, 4.0), (0.2, 0.75, 0.5, 0.9))
    kinks = ((1.0, 3.0, -1.0), (0.0, 1.0, 0.5))

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """dp over the density at t; and with x = df / (df + t^2), where a tail is I_x(df / 2, 1 / 2) / 2, ddf."""
        df, half, square = operands[0], g.mul(operands[0], 0.5), g.mul(y, y)
        density = _density(g, df, y)
        if k == 1:
            return g.div(dx, density)
        x = g.div(df, g.add(df, square))
        by_shape = beta_by_shape(g, 0, half, g.full(half.type, 0.5), x)
        # The density of the beta distribution at x times dx / ddf, in which the square of t cancels.
        moved = g.div(g.mul(g.abs(y), density), df)
        tail = g.mul(g.mul(g.sign(y), g.add(g.mul(by_shape, 0.5), moved)), 0.5)
        # Near t = 0, t times the change of the density there.
        rise = g.sub(g.div(0.5, df), g.mul(digamma_rise(g, half, g.full(half.type, 0.5)), 0.5))
        near = g.lt(square, _NEAR)
        return g.mul(g.select(near, g.mul(g.select(near, y, 0.0), rise), g.div(tail, density)), dx)


@formula
def _density(g: Builder, df: Value, t: Value) -> Value:
    """The density of the distribution at t."""
    size = g.neg(g.add(g.betaln(0.5, g.mul(df, 0.5)), g.mul(g.log(df), 0.5)))
    exponent = g.mul(g.mul(g.add(df, 1.0), -0.5), g.log1p(g.div(g.mul(t, t), df)))
    return g.exp(g.add(size, exponent))
