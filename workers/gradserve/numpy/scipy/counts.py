"""Rarer distributions of whole numbers: probabilities alone."""

from __future__ import annotations

import math

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import special
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.scipy.bessel_sums import log_sum
from gradserve.numpy.scipy.continuous import positive
from gradserve.numpy.scipy.distributions import Distribution, at, between, enter, known_numbers
from gradserve.numpy.zetas import zetac

_FROM_0 = between(0.0, math.inf)
_FROM_1 = between(1.0, math.inf)
_MOST = 100_000
"""Terms of a sum at most."""


def _are_whole(g: Builder, *numbers: Value) -> Value:
    found = g.constant(True)
    for n in numbers:
        found = g.logical_and(found, g.logical_and(g.eq(g.floor(n), n), g.is_finite(n)))
    return found


def log_choose(g: Builder, n: Value, k: Value) -> Value:
    """The logarithm of the number of ways to choose k of n."""
    return g.neg(g.add(g.betaln(g.add(k, 1.0), g.add(g.sub(n, k), 1.0)), g.log(g.add(n, 1.0))))


def _beta_negative_binomial(g: Builder, k: Value, n: Value, a: Value, b: Value) -> Value:
    ways = g.add(g.log(g.add(n, k)), g.betaln(n, g.add(k, 1.0)))
    return g.sub(g.sub(g.betaln(g.add(a, n), g.add(b, k)), g.betaln(a, b)), ways)


def _boltzmann(g: Builder, k: Value, lambda_: Value, n: Value) -> Value:
    size = g.log(g.div(g.expm1(g.neg(lambda_)), g.expm1(g.neg(g.mul(lambda_, n)))))
    return g.sub(size, g.mul(lambda_, k))


def _planck(g: Builder, k: Value, lambda_: Value) -> Value:
    return g.sub(g.log(g.neg(g.expm1(g.neg(lambda_)))), g.mul(lambda_, k))


def _hypergeometric(g: Builder, k: Value, total: Value, n: Value, drawn: Value) -> Value:
    rest = log_choose(g, g.sub(total, n), g.sub(drawn, k))
    return g.sub(g.add(log_choose(g, n, k), rest), log_choose(g, total, drawn))


def _can_be_drawn(g: Builder, total: Value, n: Value, drawn: Value) -> Value:
    fits = g.logical_and(g.logical_and(g.le(n, total), g.le(drawn, total)), g.gt(total, 0))
    known = g.logical_and(g.logical_and(g.ge(n, 0), g.ge(drawn, 0)), _are_whole(g, total, n, drawn))
    return g.logical_and(fits, known)


def _drawn(g: Builder, total: Value, n: Value, drawn: Value) -> tuple[Value, Value]:
    return g.maximum(g.sub(drawn, g.sub(total, n)), 0.0), g.minimum(n, drawn)


def _negative_hypergeometric(g: Builder, k: Value, total: Value, n: Value, r: Value) -> Value:
    """choose(k + r - 1, k) choose(M - r - k, n - k) / choose(M, n); with r = 0, all at 0."""
    none = g.eq(r, 0)
    some = g.select(none, 1.0, r)
    before = g.neg(g.add(g.betaln(g.add(k, 1.0), some), g.log(g.add(k, some))))
    after = log_choose(g, g.sub(g.sub(total, some), k), g.sub(n, k))
    found = g.sub(g.add(before, after), log_choose(g, total, n))
    return g.select(none, g.select(g.eq(k, 0), 0.0, -math.inf), found)


def _can_be_drawn_before(g: Builder, total: Value, n: Value, r: Value) -> Value:
    fits = g.logical_and(g.le(n, total), g.le(r, g.sub(total, n)))
    return g.logical_and(g.logical_and(fits, g.logical_and(g.ge(n, 0), g.ge(r, 0))), _are_whole(g, total, n, r))


def _logarithmic(g: Builder, k: Value, p: Value) -> Value:
    return g.sub(g.sub(g.mul(k, g.log(p)), g.log(k)), g.log(g.neg(g.log1p(g.neg(p)))))


def _is_open_share(g: Builder, p: Value) -> Value:
    return g.logical_and(g.gt(p, 0), g.lt(p, 1))


def _skellam(g: Builder, k: Value, first: Value, second: Value) -> Value:
    """By the sum of (mu1 mu2)^j / (j! (j + |k|)!), of which every term is positive."""
    size = g.abs(k)
    sum_ = log_sum(g, g.add(size, 1.0), g.mul(first, second))
    powers = special.xlogy(size, g.select(g.ge(k, 0), first, second))
    return g.add(g.sub(powers, g.add(first, second)), sum_)


def _zipf(g: Builder, k: Value, a: Value) -> Value:
    return g.neg(g.add(g.mul(a, g.log(k)), g.log1p(zetac(a))))


def _zipf_up_to(g: Builder, k: Value, a: Value, n: Value) -> Value:
    """By the sum over all numbers there are, which are counted while tracing."""
    most = int(np.max(known_numbers(g, n), initial=1.0))
    if not 1 <= most <= _MOST:
        raise Unsupported(f"scipy.stats.zipfian up to {most} cannot be traced", f"write an n from 1 to {_MOST}")
    numbers = g.constant(np.arange(1.0, most + 1.0), a.type.element_type)
    terms = g.mul(g.neg(g.reshape(a, (*a.shape, 1))), g.log(numbers))
    counted = g.le(numbers, g.reshape(n, (*n.shape, 1)))
    size = sum_along(g.select(counted, g.exp(terms), 0.0), -1)
    return g.neg(g.add(g.mul(a, g.log(k)), g.log(size)))


def _yule(g: Builder, k: Value, alpha: Value) -> Value:
    return g.add(g.log(alpha), g.betaln(k, g.add(alpha, 1.0)))


for _law in (
    Distribution(
        "betanbinom",
        "the negative binomial distribution of a beta distributed share",
        _beta_negative_binomial,
        ("n", "a", "b"),
        (1.0, 1.0, 1.0),
        lambda g, n, a, b: g.logical_and(positive(g, a, b), g.logical_and(g.ge(n, 0), _are_whole(g, n))),
        _FROM_0,
        whole=True,
    ),
    Distribution(
        "boltzmann",
        "Boltzmann's distribution",
        _boltzmann,
        ("lambda_", "N"),
        (1.0, 1.0),
        lambda g, lambda_, n: g.logical_and(positive(g, lambda_, n), _are_whole(g, n)),
        lambda g, _lambda, n: (g.zeros(n.type), g.sub(n, 1.0)),
        whole=True,
    ),
    Distribution(
        "dlaplace",
        "Laplace's distribution of whole numbers",
        lambda g, k, a: g.sub(g.log(g.tanh(g.mul(a, 0.5))), g.mul(a, g.abs(k))),
        ("a",),
        (1.0,),
        positive,
        whole=True,
    ),
    Distribution(
        "hypergeom",
        "the hypergeometric distribution",
        _hypergeometric,
        ("M", "n", "N"),
        (2.0, 1.0, 1.0),
        _can_be_drawn,
        _drawn,
        lambda g, total, n, drawn: _drawn(g, total, n, drawn)[0],
        whole=True,
    ),
    Distribution(
        "nhypergeom",
        "the negative hypergeometric distribution",
        _negative_hypergeometric,
        ("M", "n", "r"),
        (2.0, 1.0, 1.0),
        _can_be_drawn_before,
        lambda g, _total, n, _r: (g.zeros(n.type), n),
        whole=True,
    ),
    Distribution(
        "logser",
        "the logarithmic distribution",
        _logarithmic,
        ("p",),
        (0.5,),
        _is_open_share,
        _FROM_1,
        at(1.0),
        whole=True,
    ),
    Distribution("planck", "Planck's distribution", _planck, ("lambda_",), (1.0,), positive, _FROM_0, whole=True),
    Distribution(
        "randint",
        "the uniform distribution from low to below high",
        lambda g, k, low, high: g.sub(g.mul(k, 0.0), g.log(g.sub(high, low))),
        ("low", "high"),
        (0.0, 1.0),
        lambda g, low, high: g.logical_and(g.gt(high, low), _are_whole(g, low, high)),
        lambda g, low, high: (low, g.sub(high, 1.0)),
        lambda _g, low, _high: low,
        whole=True,
    ),
    Distribution(
        "skellam",
        "the difference of two Poisson numbers",
        _skellam,
        ("mu1", "mu2"),
        (1.0, 1.0),
        positive,
        whole=True,
    ),
    Distribution(
        "zipf",
        "the distribution of Zipf",
        _zipf,
        ("a",),
        (2.0,),
        lambda g, a: g.gt(a, 1),
        _FROM_1,
        at(1.0),
        whole=True,
    ),
    Distribution(
        "zipfian",
        "the distribution of Zipf up to n, which must be known while tracing",
        _zipf_up_to,
        ("a", "n"),
        (1.0, 1.0),
        lambda g, a, n: g.logical_and(g.logical_and(g.ge(a, 0), g.ge(n, 1)), _are_whole(g, n)),
        lambda g, _a, n: (g.full(n.type, 1.0), n),
        at(1.0),
        whole=True,
        known=("n",),
    ),
    Distribution(
        "yulesimon",
        "the distribution of Yule and Simon",
        _yule,
        ("alpha",),
        (1.0,),
        positive,
        _FROM_1,
        at(1.0),
        whole=True,
    ),
):
    enter(_law)
