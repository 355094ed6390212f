"""Distributions of unbounded numbers, whose densities are elementary or made of a special function: densities alone."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import special
from gradserve.numpy.probability import log_ndtr
from gradserve.numpy.scipy.continuous import normal, positive
from gradserve.numpy.scipy.distributions import Distribution, Formula, at, between, enter
from gradserve.numpy.scipy.families import curved
from gradserve.numpy.scipy.intervals import within

_FROM_0 = between(0.0, math.inf)
_ONE = at(1.0)
_LOG_TAU = math.log(2 * math.pi)


def _alpha(g: Builder, y: Value, a: Value) -> Value:
    return g.sub(g.sub(normal(g, g.sub(a, g.div(1.0, y))), g.mul(g.log(y), 2.0)), log_ndtr(a))


def _softplus(g: Builder, x: Value) -> Value:
    return g.logaddexp(0.0, x)


def _burr(g: Builder, y: Value, c: Value, d: Value) -> Value:
    """Dagum's: in powers of y, which are all small near 0."""
    power = g.mul(c, g.log(y))
    rise = g.sub(g.mul(d, power), g.mul(g.add(d, 1.0), _softplus(g, power)))
    return g.add(g.sub(rise, g.log(y)), g.log(g.mul(c, d)))


def _crystal_ball(g: Builder, y: Value, beta: Value, m: Value) -> Value:
    bell, ratio = g.mul(g.mul(beta, beta), -0.5), g.div(m, beta)
    tail = g.mul(g.div(ratio, g.sub(m, 1.0)), g.exp(bell))
    size = g.log(g.add(tail, g.mul(g.emit("ndtr", beta), math.sqrt(2 * math.pi))))
    low = g.le(y, g.neg(beta))
    away = g.sub(g.sub(ratio, beta), g.select(low, y, 0.0))
    below = g.sub(bell, g.mul(m, g.log(g.div(g.select(low, away, 1.0), ratio))))
    return g.sub(g.select(low, below, g.mul(g.mul(y, y), -0.5)), size)


def _mills(g: Builder, z: Value) -> Value:
    """The logarithm of Mills' ratio."""
    return g.sub(log_ndtr(g.neg(z)), normal(g, z))


def _double_pareto(g: Builder, y: Value, u: Value, s: Value, a: Value, b: Value) -> Value:
    logarithm = g.log(y)
    z = g.div(g.sub(logarithm, u), s)
    size = g.sub(g.log(g.div(g.mul(a, b), g.add(a, b))), logarithm)
    sides = g.logaddexp(_mills(g, g.sub(g.mul(a, s), z)), _mills(g, g.add(g.mul(b, s), z)))
    return g.add(g.add(size, normal(g, z)), sides)


def _exponential_power(g: Builder, y: Value, b: Value) -> Value:
    power = g.pow(y, b)
    return g.sub(g.add(g.add(g.log(b), special.xlogy(g.sub(b, 1.0), y)), power), g.expm1(power))


def _exponentiated(g: Builder, y: Value, a: Value, c: Value) -> Value:
    power = g.pow(y, c)
    below = g.neg(g.expm1(g.neg(power)))
    powers = g.add(special.xlogy(g.sub(a, 1.0), below), special.xlogy(g.sub(c, 1.0), y))
    return g.sub(g.add(g.log(g.mul(a, c)), powers), power)


def _folded_cauchy(g: Builder, y: Value, c: Value) -> Value:
    near, far = (g.neg(g.log1p(g.mul(each, each))) for each in (g.sub(y, c), g.add(y, c)))
    return g.sub(g.logaddexp(near, far), math.log(math.pi))


def _general_exponential(g: Builder, y: Value, a: Value, b: Value, c: Value) -> Value:
    share = g.neg(g.expm1(g.neg(g.mul(c, y))))
    late = g.sub(g.mul(b, g.div(share, c)), g.mul(g.add(a, b), y))
    return g.add(g.log(g.add(a, g.mul(b, share))), late)


def _half_general_normal(g: Builder, y: Value, beta: Value) -> Value:
    return g.sub(g.sub(g.log(beta), g.gammaln(g.div(1.0, beta))), g.pow(y, beta))


def _skewed_t(g: Builder, y: Value, a: Value, b: Value) -> Value:
    """Of Jones and Faddy: 1 + s and 1 - s of a share s of the distance, each by the other where it is small."""
    whole = g.add(a, b)
    rest = g.div(whole, g.add(whole, g.mul(y, y)))
    share = g.div(y, g.sqrt(g.add(whole, g.mul(y, y))))
    wide = g.log1p(g.abs(share))
    narrow = g.sub(g.log(rest), wide)
    right = g.ge(y, 0)
    powers = g.add(
        g.mul(g.add(a, 0.5), g.select(right, wide, narrow)), g.mul(g.add(b, 0.5), g.select(right, narrow, wide))
    )
    size = g.add(g.mul(g.sub(whole, 1.0), math.log(2.0)), g.add(g.betaln(a, b), g.mul(g.log(whole), 0.5)))
    return g.sub(powers, size)


def _kappa3(g: Builder, y: Value, a: Value) -> Value:
    return g.sub(g.log(a), g.mul(g.add(g.div(1.0, a), 1.0), g.log(g.add(a, g.pow(y, a)))))


def _kappa4(g: Builder, y: Value, h: Value, k: Value) -> Value:
    logarithm = curved(g, y, k)
    return g.add(g.mul(g.sub(1.0, k), logarithm), g.mul(g.sub(1.0, h), curved(g, g.exp(logarithm), h)))


def _of_kappa4(g: Builder, h: Value, k: Value) -> tuple[Value, Value]:
    """The support, which begins where the density does with h above 0."""
    end = g.div(1.0, g.select(g.eq(k, 0), 1.0, k))
    size = g.log(g.select(g.gt(h, 0), h, 1.0))
    begin = g.mul(size, special.exprel(g.neg(g.mul(k, size))))
    low = g.select(g.gt(h, 0), begin, g.select(g.lt(k, 0), end, -math.inf))
    return low, g.select(g.gt(k, 0), end, math.inf)


def _inside_kappa4(g: Builder, h: Value, k: Value) -> Value:
    """Where u, whose double logarithm the number is, is half of the greatest there is."""
    high = g.select(g.gt(h, 0), g.div(0.5, g.select(g.gt(h, 0), h, 1.0)), 0.5)
    size = g.log(high)
    return g.neg(g.mul(size, special.exprel(g.mul(k, size))))


def _levy(g: Builder, y: Value) -> Value:
    return g.sub(g.sub(-0.5 * _LOG_TAU, g.mul(g.log(g.neg(y)), 1.5)), g.div(-0.5, y))


def _log_laplace(g: Builder, y: Value, c: Value) -> Value:
    logarithm = g.log(y)
    return g.sub(g.log(g.mul(c, 0.5)), g.add(logarithm, g.mul(c, g.abs(logarithm))))


def _mielke(g: Builder, y: Value, k: Value, s: Value) -> Value:
    logarithm = g.log(y)
    late = g.mul(g.add(g.div(k, s), 1.0), _softplus(g, g.mul(s, logarithm)))
    return g.sub(g.add(g.log(k), g.mul(g.sub(k, 1.0), logarithm)), late)


def _normal_inverse_gauss(g: Builder, y: Value, a: Value, b: Value) -> Value:
    """By a Bessel function without its fall, exp(-a sqrt(1 + y^2))."""
    root = g.emit("hypot", *g.align([y, g.full(y.type, 1.0)]))
    size = g.mul(a, root)
    scaled = g.log(g.div(g.mul(a, g.emit("bessel_ke", size, order=1.0)), g.mul(root, math.pi)))
    rest = g.sqrt(g.mul(g.sub(a, b), g.add(a, b)))
    return g.add(g.sub(scaled, size), g.add(rest, g.mul(b, y)))


def _power_log_normal(g: Builder, y: Value, c: Value, s: Value) -> Value:
    logarithm = g.log(y)
    found = _power_normal(g, g.div(logarithm, s), c)
    return g.sub(found, g.add(g.log(s), logarithm))


def _power_normal(g: Builder, y: Value, c: Value) -> Value:
    return g.add(g.add(g.log(c), normal(g, y)), g.mul(g.sub(c, 1.0), log_ndtr(g.neg(y))))


def _reciprocal_inverse_gauss(g: Builder, y: Value, mu: Value) -> Value:
    apart = g.div(g.sub(1.0, g.mul(mu, y)), mu)
    square = g.div(g.mul(apart, apart), y)
    return g.mul(g.add(g.add(g.log(y), _LOG_TAU), square), -0.5)


def _breit_wigner(g: Builder, y: Value, rho: Value) -> Value:
    root = g.sqrt(g.add(g.div(1.0, g.mul(rho, rho)), 1.0))
    size = g.add(g.mul(g.sub(g.log(g.mul(root, root)), g.log1p(root)), 0.5), 1.5 * math.log(2.0) - math.log(math.pi))
    apart = g.mul(g.sub(y, rho), g.div(g.add(y, rho), rho))
    return g.sub(size, g.log1p(g.mul(apart, apart)))


def _skewed_cauchy(g: Builder, y: Value, a: Value) -> Value:
    ratio = g.div(y, g.select(g.lt(y, 0), g.sub(1.0, a), g.add(1.0, a)))
    return g.neg(g.add(g.log1p(g.mul(ratio, ratio)), math.log(math.pi)))


def _of_0(
    name: str, summary: str, formula: Formula, shapes: tuple[str, ...], lies: tuple[float, ...], open_: bool = True
) -> Distribution:
    """A distribution of positive numbers with positive shape parameters."""
    return Distribution(
        name, summary, within(formula, 0.0) if open_ else formula, shapes, lies, positive, _FROM_0, _ONE
    )


for _law in (
    _of_0("alpha", "the distribution alpha", _alpha, ("a",), (1.0,)),
    _of_0("burr", "the distribution of Burr, type III", _burr, ("c", "d"), (1.0, 1.0)),
    Distribution(
        "crystalball",
        "a bell with a power for its left tail",
        _crystal_ball,
        ("beta", "m"),
        (1.0, 2.0),
        lambda g, beta, m: g.logical_and(g.gt(m, 1), g.gt(beta, 0)),
    ),
    Distribution(
        "dpareto_lognorm",
        "the double Pareto and log-normal distribution",
        within(_double_pareto, 0.0),
        ("u", "s", "a", "b"),
        (0.0, 1.0, 1.0, 1.0),
        lambda g, u, s, a, b: g.logical_and(positive(g, s, a, b), g.eq(u, u)),
        _FROM_0,
        _ONE,
    ),
    _of_0("exponpow", "the exponential power distribution", _exponential_power, ("b",), (1.0,), open_=False),
    _of_0("exponweib", "Weibull's exponentiated distribution", _exponentiated, ("a", "c"), (1.0, 1.0), False),
    Distribution(
        "foldcauchy",
        "the size of a Cauchy number around c",
        _folded_cauchy,
        ("c",),
        (1.0,),
        lambda g, c: g.ge(c, 0),
        _FROM_0,
        _ONE,
    ),
    _of_0(
        *("genexpon", "the generalised exponential distribution", _general_exponential),
        *(("a", "b", "c"), (1.0, 1.0, 1.0)),
        open_=False,
    ),
    _of_0("halfgennorm", "the half of a generalised normal one", _half_general_normal, ("beta",), (1.0,), open_=False),
    Distribution("jf_skew_t", "Jones' and Faddy's skewed distribution t", _skewed_t, ("a", "b"), (1.0, 1.0), positive),
    _of_0("kappa3", "the distribution kappa of one parameter", _kappa3, ("a",), (1.0,), open_=False),
    Distribution(
        "kappa4",
        "the distribution kappa of two parameters",
        _kappa4,
        ("h", "k"),
        (0.0, 0.0),
        lambda g, h, k: g.logical_and(g.eq(h, h), g.eq(k, k)),
        _of_kappa4,
        _inside_kappa4,
    ),
    Distribution(
        "levy_l",
        "the distribution of Levy to the left",
        within(_levy, 0.0),
        support=between(-math.inf, 0.0),
        middle=at(-1.0),
    ),
    _of_0("loglaplace", "Laplace's distribution of logarithms", _log_laplace, ("c",), (1.0,)),
    _of_0("mielke", "the distribution of Mielke", _mielke, ("k", "s"), (1.0, 1.0)),
    Distribution(
        "norminvgauss",
        "the normal inverse Gaussian distribution",
        _normal_inverse_gauss,
        ("a", "b"),
        (1.0, 0.0),
        lambda g, a, b: g.logical_and(g.gt(a, 0), g.lt(g.abs(b), a)),
    ),
    _of_0("powerlognorm", "a power of a log-normal tail", _power_log_normal, ("c", "s"), (1.0, 1.0)),
    Distribution("powernorm", "a power of a normal tail", _power_normal, ("c",), (1.0,), positive),
    _of_0("recipinvgauss", "the reciprocal of an inverse Gaussian number", _reciprocal_inverse_gauss, ("mu",), (1.0,)),
    _of_0("rel_breitwigner", "Breit's and Wigner's relativistic distribution", _breit_wigner, ("rho",), (1.0,), False),
    Distribution(
        "skewcauchy",
        "Cauchy's skewed distribution",
        _skewed_cauchy,
        ("a",),
        (0.0,),
        lambda g, a: g.lt(g.abs(a), 1),
    ),
):
    enter(_law)
