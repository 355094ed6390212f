"""scipy.stats: means of several kinds, spreads and moments of samples, and powers that make them normal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import special
from gradserve.numpy.arguments import Unsupported, integer, refuse, to_real, with_dtype
from gradserve.numpy.joining import concatenate
from gradserve.numpy.ordering import sort
from gradserve.numpy.quantiles import percentile
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.scipy.summaries import centered
from gradserve.numpy.shaping import part, ravel
from gradserve.numpy.statistics import average, mean, root, std, var
from gradserve.numpy.table import implements_scipy


def _weighted(g: Builder, a: Any, axis: Any, weights: Any) -> Value:
    return mean(a, axis) if weights is None else average(a, axis, to_real(g, weights, "stats"))


@implements_scipy("stats.gmean")
def gmean(g: Builder, a: Any, axis: Any = 0, dtype: Any = None, weights: Any = None) -> Value:
    """The geometric mean: exp of the mean of logarithms."""
    return g.exp(_weighted(g, g.log(with_dtype(g, to_real(g, a, "gmean"), dtype)), axis, weights))


@implements_scipy("stats.hmean")
def hmean(g: Builder, a: Any, axis: Any = 0, dtype: Any = None, *, weights: Any = None) -> Value:
    """The harmonic mean: the reciprocal of the mean of reciprocals; NaN where an element is negative."""
    x = _not_negative(g, with_dtype(g, to_real(g, a, "hmean"), dtype))
    return g.div(1.0, _weighted(g, g.div(1.0, x), axis, weights))


@implements_scipy("stats.pmean")
def pmean(g: Builder, a: Any, p: float, *, axis: Any = 0, weights: Any = None) -> Value:
    """The mean of powers, brought back; of p = 0, the geometric mean; NaN where an element is negative."""
    if isinstance(p, Value):
        raise Unsupported("the p of scipy.stats.pmean is traced", "write np.mean(x**p) ** (1 / p)")
    if p == 0:
        return gmean(to_real(g, a, "pmean"), axis, weights=weights)
    x = _not_negative(g, to_real(g, a, "pmean"))
    return g.pow(_weighted(g, g.pow(x, float(p)), axis, weights), 1.0 / p)


def _not_negative(g: Builder, x: Value) -> Value:
    return g.select(g.ge(x, 0), x, math.nan)


@implements_scipy("stats.sem")
def sem(g: Builder, a: Any, axis: Any = 0, ddof: int = 1) -> Value:
    """The standard error of the mean."""
    apart, along = centered(g, a, axis, "sem")
    n = apart.shape[along or 0]
    return g.mul(root(g.div(sum_along(g.mul(apart, apart), along), float(n - ddof))), 1 / math.sqrt(n))


@implements_scipy("stats.variation")
def variation(g: Builder, a: Any, axis: Any = 0, *, ddof: int = 0) -> Value:
    """The standard deviation by the mean."""
    x = to_real(g, a, "variation")
    return g.div(std(x, axis, ddof=ddof), mean(x, axis))


@implements_scipy("stats.moment")
def moment(g: Builder, a: Any, order: int = 1, axis: Any = 0, *, center: Any = None) -> Value:
    """The mean of powers of what elements are from the mean, or from a center."""
    power = integer(order, "the order of a moment")
    x = to_real(g, a, "moment")
    x, axis = (ravel(x), 0) if axis is None else (x, axis)
    if power < 0 or (power == 1 and center is None):
        return g.full(mean(x, axis).type, math.nan if power < 0 else 0.0)
    apart = g.sub(x, mean(x, axis, keepdims=True) if center is None else to_real(g, center, "moment"))
    return mean(g.pow(apart, float(power)), axis)


@implements_scipy("stats.kstat")
def kstat(g: Builder, data: Any, n: int = 2, *, axis: Any = None) -> Value:
    """What is expected to be the n-th cumulant, of n up to 4, by sums of powers from the mean."""
    order = integer(n, "the order of a cumulant")
    if not 1 <= order <= 4:
        raise ValueError("k-statistics only supported for 1<=n<=4")
    x = to_real(g, data, "kstat")
    if order == 1:
        return mean(x, axis)
    apart, along = centered(g, x, axis, "kstat")
    count = float(apart.shape[along or 0])
    sums = {k: sum_along(g.pow(apart, float(k)), along) for k in (2, order)}
    if order == 2:
        return g.div(sums[2], count - 1)
    if order == 3:
        return g.mul(sums[3], count / ((count - 1) * (count - 2)))
    found = g.sub(g.mul(sums[4], count * (count + 1)), g.mul(g.mul(sums[2], sums[2]), 3 * (count - 1)))
    return g.div(found, (count - 1) * (count - 2) * (count - 3))


@implements_scipy("stats.trim_mean")
def trim_mean(g: Builder, a: Any, proportiontocut: float, axis: Any = 0) -> Value:
    """The mean without the least and the greatest elements, the same part of each."""
    x = to_real(g, a, "trim_mean")
    x, axis = (ravel(x), 0) if axis is None else (x, axis)
    count = x.shape[axis]
    cut = int(proportiontocut * count)
    if cut > count - cut:
        raise ValueError("Proportion too big.")
    return mean(part(sort(x, axis), axis % x.type.rank, cut, count - cut), axis)


@implements_scipy("stats.iqr")
def iqr(
    g: Builder, x: Any, axis: Any = None, rng: Any = (25, 75), scale: Any = 1.0, *, interpolation: str = "linear"
) -> Value:
    """How far two quantiles are apart, by a scale; 'normal' makes it a standard deviation."""
    value, size = to_real(g, x, "iqr"), scale
    if isinstance(scale, str):
        if scale.lower() != "normal":
            raise ValueError(f"{scale} not a valid scale for `iqr`")
        size = 1.3489795003921634  # twice the upper quartile of a standard normal number
    low, high = (percentile(value, q, axis, method=interpolation) for q in sorted(rng))
    return g.div(g.sub(high, low), size)


@implements_scipy("stats.boxcox")
def boxcox(g: Builder, x: Any, lmbda: Any = None) -> Value:
    """(x^lmbda - 1) / lmbda; the lmbda must be given."""
    return special.boxcox(*_with_power(g, x, lmbda, "boxcox"))


@implements_scipy("stats.boxcox_llf")
def boxcox_llf(g: Builder, lmb: Any, data: Any, *, axis: Any = 0) -> Value:
    """The logarithm of the likelihood of the transformed sample, were it normal."""
    x, power = _with_power(g, data, lmb, "boxcox_llf")
    slope = g.mul(g.sub(power, 1.0), sum_along(g.log(x), axis))
    return g.sub(slope, _half_log_variance(g, special.boxcox(x, power), axis))


@implements_scipy("stats.yeojohnson")
def yeojohnson(g: Builder, x: Any, lmbda: Any = None) -> Value:
    """The transformation of Yeo and Johnson, which is one of numbers below 0 as well; the lmbda must be given."""
    value, power = _with_power(g, x, lmbda, "yeojohnson")
    positive = g.ge(value, 0)
    above = special.boxcox1p(g.select(positive, value, 0.0), power)
    below = special.boxcox1p(g.select(positive, 0.0, g.neg(value)), g.sub(2.0, power))
    return g.select(positive, above, g.neg(below))


@implements_scipy("stats.yeojohnson_llf")
def yeojohnson_llf(g: Builder, lmb: Any, data: Any, *, axis: Any = 0) -> Value:
    """The logarithm of the likelihood of the transformed sample, were it normal."""
    x, power = _with_power(g, data, lmb, "yeojohnson_llf")
    size = g.log1p(g.abs(x))
    slope = g.mul(g.sub(power, 1.0), sum_along(g.select(g.ge(x, 0), size, g.neg(size)), axis))
    return g.sub(slope, _half_log_variance(g, yeojohnson(x, power), axis))


def _half_log_variance(g: Builder, x: Value, axis: Any) -> Value:
    """Half of the logarithm of the variance, for each element."""
    count = x.type.size if axis is None else x.shape[axis]
    return g.mul(g.log(var(x, axis)), 0.5 * count)


def _with_power(g: Builder, x: Any, power: Any, function: str) -> tuple[Value, Value]:
    if power is None:
        raise Unsupported(
            f"the lmbda that scipy.stats.{function} finds by a search cannot be traced",
            f"give one, or write gradserve.client.functions.minimize of -scipy.stats.{function}_llf(lmbda, x) first",
        )
    value, exponent = g.promote([to_real(g, v, function) for v in (x, power)])
    return value, exponent


@implements_scipy("stats.wasserstein_distance")
def wasserstein_distance(g: Builder, u_values: Any, v_values: Any) -> Value:
    """The mean distance by which one sample must be moved to become the other, without weights."""
    shares, gaps = _apart(g, u_values, v_values, "wasserstein_distance")
    return sum_along(g.mul(g.abs(shares), gaps))


@implements_scipy("stats.energy_distance")
def energy_distance(g: Builder, u_values: Any, v_values: Any) -> Value:
    """The root of twice the integral of the squared difference of two samples' shares, without weights."""
    shares, gaps = _apart(g, u_values, v_values, "energy_distance")
    return root(g.mul(sum_along(g.mul(g.mul(shares, shares), gaps)), 2.0))


def _apart(g: Builder, u: Any, v: Any, function: str) -> tuple[Value, Value]:
    """Between neighbours of both samples, the difference of the shares of what is below, and the gap."""
    first, second = g.promote([to_real(g, x, function) for x in (u, v)])
    if first.type.rank != 1 or second.type.rank != 1 or not first.type.size or not second.type.size:
        refuse(g, function, f"{first.type} and {second.type} are no two samples of numbers")
    n, m = first.type.size, second.type.size
    both = concatenate([first, second])
    order = g.emit("argsort", both, axis=0)
    steps = g.constant(np.concatenate([np.full(n, 1.0 / n), np.full(m, -1.0 / m)]), both.type.element_type)
    ordered, moved = g.emit("gather", both, order, axis=0), g.emit("gather", steps, order, axis=0)
    below = g.emit("cumsum", moved, axis=0)
    return part(below, 0, 0, n + m - 1), g.sub(part(ordered, 0, 1, n + m), part(ordered, 0, 0, n + m - 1))
