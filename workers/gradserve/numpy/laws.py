"""Probabilities and quantiles of laws of counts, and parameters by probabilities, as scipy.special has them."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.probability import ndtri
from gradserve.numpy.special import by_orders
from gradserve.numpy.table import emitting, implements_special
from gradserve.numpy.ufuncs import trunc
from gradserve.ops.special import empirical

for _name in ("kolmogi", "ndtri_exp", "tklmbda"):
    implements_special(_name)(emitting(_name))


def _all(g: Builder, first: Value, *others: Value) -> Value:
    for other in others:
        first = g.logical_and(first, other)
    return first


def _is_share(g: Builder, p: Value) -> Value:
    return g.logical_and(g.ge(p, 0), g.le(p, 1))


def _where(g: Builder, known: Value, found: Value) -> Value:
    """NaN but where there is such a law."""
    return g.select(known, found, math.nan)


def _of_tries(g: Builder, k: Value, n: Value, p: Value) -> tuple[Value, Value, Value, Value]:
    """One more than the successes and the failures left, some where there are none; whether any are, and the law is."""
    floor = g.floor(k)
    left = g.sub(trunc(n), floor)
    known = _all(g, _is_share(g, p), g.ge(left, 0))
    inside = _all(g, g.ge(floor, 0), g.gt(left, 0))
    return g.select(inside, g.add(floor, 1.0), 1.0), g.select(inside, left, 1.0), inside, known


@implements_special("bdtr")
def bdtr(g: Builder, k: Value, n: Value, p: Value) -> Value:
    """The probability of at most k successes in n tries, each with probability p."""
    counted, left, inside, known = _of_tries(g, k, n, p)
    found = g.emit("betainc", left, counted, g.sub(1.0, p))
    return _where(g, g.logical_and(known, g.ge(k, 0)), g.select(inside, found, 1.0))


@implements_special("bdtrc")
def bdtrc(g: Builder, k: Value, n: Value, p: Value) -> Value:
    """The probability of more than k successes in n tries, each with probability p."""
    counted, left, inside, known = _of_tries(g, k, n, p)
    found = g.emit("betainc", counted, left, p)
    return _where(g, known, g.select(inside, found, g.select(g.lt(k, 0), 1.0, g.zeros(found.type))))


@implements_special("bdtri")
def bdtri(g: Builder, k: Value, n: Value, y: Value) -> Value:
    """The probability of a success with which there are at most k in n tries with probability y."""
    counted, left, inside, known = _of_tries(g, k, n, y)
    counted, left, y = g.align([counted, left, y])
    low = g.emit("betaincinv", counted, left, g.sub(1.0, y))
    high = g.sub(1.0, g.emit("betaincinv", left, counted, y))
    small = g.gt(g.emit("betainc", left, counted, g.full(y.type, 0.5)), 0.5)
    return _where(g, g.logical_and(known, inside), g.select(small, low, high))


@implements_special("nbdtr")
def nbdtr(g: Builder, k: Value, n: Value, p: Value) -> Value:
    """The probability of at most k failures before n successes, each with probability p."""
    counted = g.add(trunc(k), 1.0)
    return _where(g, _all(g, _is_share(g, p), g.gt(counted, 0), g.ge(n, 1)), g.emit("betainc", trunc(n), counted, p))


@implements_special("nbdtrc")
def nbdtrc(g: Builder, k: Value, n: Value, p: Value) -> Value:
    """The probability of more than k failures before n successes, each with probability p."""
    counted, rest = g.add(trunc(k), 1.0), g.sub(1.0, p)
    return _where(g, _all(g, _is_share(g, p), g.gt(counted, 0), g.ge(n, 1)), g.emit("betainc", counted, trunc(n), rest))


@implements_special("nbdtri")
def nbdtri(g: Builder, k: Value, n: Value, y: Value) -> Value:
    """The probability of a success with which there are at most k failures before n of them with probability y."""
    counted = g.add(trunc(k), 1.0)
    known = _all(g, _is_share(g, y), g.gt(counted, 0))
    ends = g.logical_or(g.eq(y, 0), g.eq(y, 1))
    return _where(g, known, g.select(ends, y, g.emit("betaincinv", trunc(n), counted, y)))


@implements_special("pdtri")
def pdtri(g: Builder, k: Value, y: Value) -> Value:
    """The mean with which there are at most k events with probability y."""
    known = _all(g, g.ge(k, 0), g.ge(y, 0), g.lt(y, 1))
    return _where(g, known, g.emit("gammainccinv", g.add(trunc(k), 1.0), y))


@implements_special("gdtria")
def gdtria(g: Builder, p: Value, b: Value, x: Value) -> Value:
    """The rate of the gamma distribution of shape b that is below x with probability p."""
    return _where(g, g.ne(x, 0), g.div(g.emit("gammaincinv", b, p), x))


@implements_special("fdtri")
def fdtri(g: Builder, dfn: Value, dfd: Value, p: Value) -> Value:
    """The number that one of Fisher's distribution F is below with probability p."""
    first, second = g.mul(dfn, 0.5), g.mul(dfd, 0.5)
    known = _all(g, g.gt(dfn, 0), g.gt(dfd, 0), _is_share(g, p))
    first, second, p = g.align([first, second, p])
    rest, below = g.sub(1.0, p), g.emit("betainc", second, first, g.full(p.type, 0.5))
    share = g.emit("betaincinv", second, first, rest)
    other = g.emit("betaincinv", first, second, p)
    high = g.logical_or(g.gt(below, rest), g.lt(rest, 0.001))
    odds = g.select(high, g.div(g.sub(1.0, share), share), g.div(other, g.sub(1.0, other)))
    return _where(g, known, g.mul(g.div(dfd, dfn), odds))


@implements_special("nrdtrisd")
def nrdtrisd(g: Builder, mn: Value, p: Value, x: Value) -> Value:
    """The standard deviation with which a normal number of a mean is below x with probability p; 0 where any is."""
    distance, quantile = g.sub(x, mn), ndtri(p)
    any_is = g.logical_and(g.eq(distance, 0), g.eq(quantile, 0))
    found = g.select(any_is, 0, g.div(distance, g.select(any_is, 1, quantile)))
    return _where(g, _all(g, g.gt(p, 0), g.lt(p, 1)), found)


@implements_special("kolmogorov")
def kolmogorov(g: Builder, y: Value) -> Value:
    """The probability that Kolmogorov's distribution has above y."""
    return empirical.kolmogorov(g, y)


def _of_count(name: str, count: float) -> int:
    if not 1 <= count <= 10_000:
        raise Unsupported(f"scipy.special.{name} of {count} points cannot be traced", "write 1 to 10000")
    return int(count)


@implements_special("smirnov")
def smirnov(g: Builder, n: Value, d: Value) -> Value:
    """The probability that n points are further than d above their law; n must be known while tracing."""
    return by_orders(g, "smirnov", n, [d], lambda each: empirical.smirnov(g, _of_count("smirnov", each), d))


@implements_special("smirnovi")
def smirnovi(g: Builder, n: Value, p: Value) -> Value:
    """The distance above their law that n points exceed with probability p; n must be known while tracing."""
    return by_orders(g, "smirnovi", n, [p], lambda each: g.emit("smirnovi", p, count=_of_count("smirnovi", each)))
