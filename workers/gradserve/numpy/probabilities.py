"""Probabilities of laws as scipy.special has them: incomplete gamma and beta functions of their parameters."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.probability import ndtri
from gradserve.numpy.table import implements_special


def _half(g: Builder, x: Value) -> Value:
    return g.mul(x, 0.5)


def _counted(g: Builder, k: Value) -> Value:
    """One more than the whole number in k."""
    return g.add(g.floor(k), 1.0)


def _where(g: Builder, known: Value, found: Value) -> Value:
    """NaN but where all parameters are some that a law has."""
    return g.select(known, found, math.nan)


@implements_special("chdtr")
def chdtr(g: Builder, v: Value, x: Value) -> Value:
    """The probability that a chi-squared number with v degrees of freedom is below x."""
    return g.emit("gammainc", _half(g, v), _half(g, x))


@implements_special("chdtrc")
def chdtrc(g: Builder, v: Value, x: Value) -> Value:
    """The probability that a chi-squared number with v degrees of freedom is above x."""
    return g.emit("gammaincc", _half(g, v), _half(g, x))


@implements_special("chdtri")
def chdtri(g: Builder, v: Value, p: Value) -> Value:
    """The number that a chi-squared one with v degrees of freedom is above with probability p."""
    return g.mul(g.emit("gammainccinv", _half(g, v), p), 2.0)


@implements_special("gdtr")
def gdtr(g: Builder, a: Value, b: Value, x: Value) -> Value:
    """The probability that a number of the gamma distribution of rate a and shape b is below x."""
    return _where(g, g.ge(x, 0), g.emit("gammainc", b, g.mul(a, x)))


@implements_special("gdtrc")
def gdtrc(g: Builder, a: Value, b: Value, x: Value) -> Value:
    """The probability that a number of the gamma distribution of rate a and shape b is above x."""
    return _where(g, g.ge(x, 0), g.emit("gammaincc", b, g.mul(a, x)))


@implements_special("gdtrix")
def gdtrix(g: Builder, a: Value, b: Value, p: Value) -> Value:
    """The number that one of the gamma distribution of rate a and shape b is below with probability p."""
    return g.div(g.emit("gammaincinv", b, p), a)


def _of_fisher(g: Builder, dfn: Value, dfd: Value, x: Value) -> tuple[Value, Value, Value]:
    """The shares of both sides in dfn x + dfd, and whether there is such a law."""
    size = g.mul(dfn, x)
    whole = g.add(size, dfd)
    known = g.logical_and(g.logical_and(g.ge(x, 0), g.is_finite(dfn)), g.logical_and(g.gt(dfn, 0), g.gt(dfd, 0)))
    return g.div(size, whole), g.div(dfd, whole), known


@implements_special("fdtr")
def fdtr(g: Builder, dfn: Value, dfd: Value, x: Value) -> Value:
    """The probability that a number of Fisher's distribution F is below x."""
    share, _, known = _of_fisher(g, dfn, dfd, x)
    return _where(g, known, g.emit("betainc", _half(g, dfn), _half(g, dfd), share))


@implements_special("fdtrc")
def fdtrc(g: Builder, dfn: Value, dfd: Value, x: Value) -> Value:
    """The probability that a number of Fisher's distribution F is above x."""
    _, share, known = _of_fisher(g, dfn, dfd, x)
    return _where(g, known, g.emit("betainc", _half(g, dfd), _half(g, dfn), share))


@implements_special("pdtr")
def pdtr(g: Builder, k: Value, m: Value) -> Value:
    """The probability of at most k events where m are expected."""
    return g.emit("gammaincc", _counted(g, k), m)


@implements_special("pdtrc")
def pdtrc(g: Builder, k: Value, m: Value) -> Value:
    """The probability of more than k events where m are expected."""
    return g.emit("gammainc", _counted(g, k), m)


@implements_special("nrdtrimn")
def nrdtrimn(g: Builder, p: Value, std: Value, x: Value) -> Value:
    """The mean with which a normal number of a standard deviation is below x with probability p."""
    known = g.logical_and(g.logical_and(g.gt(p, 0), g.lt(p, 1)), g.gt(std, 0))
    return _where(g, known, g.sub(x, g.mul(std, ndtri(p))))
