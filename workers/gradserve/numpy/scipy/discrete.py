"""Distributions of whole numbers."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import special
from gradserve.numpy.scipy.continuous import positive
from gradserve.numpy.scipy.distributions import Distribution, at, between, enter

_FROM_0 = between(0.0, math.inf)


def _is_share(g: Builder, p: Value) -> Value:
    return g.logical_and(g.ge(p, 0), g.le(p, 1))


def _is_count(g: Builder, n: Value, p: Value) -> Value:
    return g.logical_and(g.logical_and(g.ge(n, 0), g.eq(g.floor(n), n)), _is_share(g, p))


def _choose(g: Builder, n: Value, k: Value) -> Value:
    """The logarithm of the number of ways to choose k of n."""
    return g.sub(g.gammaln(g.add(n, 1)), g.add(g.gammaln(g.add(k, 1)), g.gammaln(g.add(g.sub(n, k), 1))))


def _powers(g: Builder, k: Value, others: Value, p: Value) -> Value:
    return g.add(special.xlogy(k, p), special.xlog1py(others, g.neg(p)))


def _poisson(g: Builder, k: Value, mu: Value) -> Value:
    return g.sub(g.sub(special.xlogy(k, mu), g.gammaln(g.add(k, 1))), mu)


def _binomial(g: Builder, k: Value, n: Value, p: Value) -> Value:
    return g.add(_choose(g, n, k), _powers(g, k, g.sub(n, k), p))


def _negative_binomial(g: Builder, k: Value, n: Value, p: Value) -> Value:
    ways = g.sub(g.sub(g.gammaln(g.add(n, k)), g.gammaln(g.add(k, 1))), g.gammaln(n))
    return g.add(ways, _powers(g, n, k, p))


def _beta_binomial(g: Builder, k: Value, n: Value, a: Value, b: Value) -> Value:
    rest = g.sub(n, k)
    ways = g.add(g.log(g.add(n, 1)), g.betaln(g.add(rest, 1), g.add(k, 1)))
    return g.sub(g.sub(g.betaln(g.add(k, a), g.add(rest, b)), g.betaln(a, b)), ways)


def _is_nonzero_share(g: Builder, p: Value) -> Value:
    return g.logical_and(g.gt(p, 0), g.le(p, 1))


for _law in (
    Distribution(
        "poisson",
        "Poisson's distribution",
        _poisson,
        ("mu",),
        (1.0,),
        lambda g, mu: g.ge(mu, 0),
        _FROM_0,
        cdf=lambda g, k, mu: g.emit("gammaincc", g.add(k, 1), mu),
        sf=lambda g, k, mu: g.emit("gammainc", g.add(k, 1), mu),
        whole=True,
    ),
    Distribution(
        "binom",
        "the binomial distribution",
        _binomial,
        ("n", "p"),
        (1.0, 0.5),
        _is_count,
        lambda _g, n, _p: (0.0, n),
        cdf=lambda g, k, n, p: g.emit("betainc", g.sub(n, k), g.add(k, 1), g.sub(1.0, p)),
        sf=lambda g, k, n, p: g.emit("betainc", g.add(k, 1), g.sub(n, k), p),
        whole=True,
    ),
    Distribution(
        "nbinom",
        "the negative binomial distribution",
        _negative_binomial,
        ("n", "p"),
        (1.0, 0.5),
        lambda g, n, p: g.logical_and(g.gt(n, 0), _is_nonzero_share(g, p)),
        _FROM_0,
        cdf=lambda g, k, n, p: g.emit("betainc", n, g.add(k, 1), p),
        sf=lambda g, k, n, p: g.emit("betainc", g.add(k, 1), n, g.sub(1.0, p)),
        whole=True,
    ),
    Distribution(
        "bernoulli",
        "Bernoulli's distribution",
        lambda g, k, p: _powers(g, k, g.sub(1.0, k), p),
        ("p",),
        (0.5,),
        _is_share,
        between(0.0, 1.0),
        cdf=lambda g, _k, p: g.sub(1.0, p),
        sf=lambda _g, _k, p: p,
        whole=True,
    ),
    Distribution(
        "geom",
        "the geometric distribution",
        lambda g, k, p: g.add(special.xlog1py(g.sub(k, 1), g.neg(p)), g.log(p)),
        ("p",),
        (0.5,),
        _is_nonzero_share,
        between(1.0, math.inf),
        at(1.0),
        cdf=lambda g, k, p: g.neg(g.expm1(special.xlog1py(k, g.neg(p)))),
        logsf=lambda g, k, p: special.xlog1py(k, g.neg(p)),
        sf=lambda g, k, p: g.exp(special.xlog1py(k, g.neg(p))),
        whole=True,
    ),
    Distribution(
        "betabinom",
        "the binomial distribution of a beta distributed share",
        _beta_binomial,
        ("n", "a", "b"),
        (1.0, 1.0, 1.0),
        lambda g, n, a, b: g.logical_and(_is_count(g, n, g.full(n.type, 0.5)), positive(g, a, b)),
        lambda _g, n, _a, _b: (0.0, n),
        whole=True,
    ),
):
    enter(_law)
