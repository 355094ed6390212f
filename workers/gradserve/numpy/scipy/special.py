"""scipy.special: functions that are no ufuncs."""

from __future__ import annotations

from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, to_float
from gradserve.numpy.table import OWN, SCIPY, implements_scipy

for _name in ("log_softmax", "logsumexp", "multigammaln", "polygamma", "softmax"):
    SCIPY[f"scipy.special.{_name}"] = OWN[_name]


@implements_scipy("special.comb")
def comb(g: Builder, N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Value:
    """The number of ways to choose k of N; 0 where there is none."""
    if exact or repetition:
        raise Unsupported("scipy.special.comb with exact or repetition cannot be traced", "leave them out")
    n, count = g.align([to_float(g, v) for v in g.promote([to_float(g, N), to_float(g, k)])])
    some = g.logical_and(g.logical_and(g.le(count, n), g.ge(n, 0)), g.ge(count, 0))
    n, count = g.select(some, n, 1.0), g.select(some, count, 1.0)
    ways = g.div(1.0, g.mul(g.add(n, 1), g.beta(g.add(g.sub(n, count), 1), g.add(count, 1))))
    return g.select(some, ways, 0.0)


@implements_scipy("special.factorial")
def factorial(g: Builder, n: Any, exact: bool = False) -> Value:
    """n!, by the gamma function; 0 below 0."""
    if exact:
        raise Unsupported("scipy.special.factorial with exact=True cannot be traced", "leave it out")
    x = to_float(g, n)
    some = g.ge(x, 0)
    return g.select(some, g.gamma(g.add(g.select(some, x, 0.0), 1)), 0.0)
