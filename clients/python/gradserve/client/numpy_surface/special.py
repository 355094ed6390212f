"""Ufuncs of scipy.special."""

from __future__ import annotations

from gradserve.client.numpy_surface.table import implements_special
from gradserve.client.numpy_surface.ufuncs import cbrt, exp2
from gradserve.ir.builder import Builder, Value

implements_special("cbrt")(cbrt)
implements_special("exp2")(exp2)


@implements_special("erf")
def erf(g: Builder, x: Value) -> Value:
    """The error function."""
    return g.erf(x)


@implements_special("expit")
def expit(g: Builder, x: Value) -> Value:
    """1 / (1 + exp(-x))."""
    return g.logistic(x)


@implements_special("log_expit")
def log_expit(g: Builder, x: Value) -> Value:
    """The logarithm of expit, without underflow."""
    return g.neg(g.logaddexp(0, g.neg(x)))


@implements_special("logit")
def logit(g: Builder, x: Value) -> Value:
    """The inverse of expit."""
    return g.sub(g.log(x), g.log1p(g.neg(x)))


@implements_special("log1p")
def log1p(g: Builder, x: Value) -> Value:
    """The logarithm of 1 + x."""
    return g.log1p(x)


@implements_special("expm1")
def expm1(g: Builder, x: Value) -> Value:
    """exp(x) - 1."""
    return g.expm1(x)


@implements_special("exp10")
def exp10(g: Builder, x: Value) -> Value:
    """10 to the power of x."""
    return g.pow(10, x)


@implements_special("xlogy")
def xlogy(g: Builder, x: Value, y: Value) -> Value:
    """x log(y), and 0 at x = 0 with any number y; its derivatives at x = y = 0 are taken as 0."""
    vanishes = g.logical_and(g.eq(x, 0), g.le(y, 0))
    return g.mul(x, g.log(g.select(vanishes, 1, y)))


@implements_special("xlog1py")
def xlog1py(g: Builder, x: Value, y: Value) -> Value:
    """x log(1 + y), and 0 at x = 0 with any number y; its derivatives at x = 0, y = -1 are taken as 0."""
    vanishes = g.logical_and(g.eq(x, 0), g.le(y, -1))
    return g.mul(x, g.log1p(g.select(vanishes, 0, y)))
