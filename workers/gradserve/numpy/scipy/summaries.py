"""scipy.stats: what is made of samples, their moments and correlation, entropies, and densities by kernels."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, axis_of, refuse, to_real
from gradserve.numpy.matrices import diag
from gradserve.numpy.probability import entr, rel_entr
from gradserve.numpy.products import matmul
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.shaping import ravel, swapaxes
from gradserve.numpy.statistics import mean
from gradserve.numpy.systems import cholesky, solve_triangular
from gradserve.numpy.table import OWN, implements_scipy


class Correlation(NamedTuple):
    """A correlation, and how likely one as far from 0 is without any."""

    statistic: Value
    pvalue: Value


def centered(g: Builder, a: Any, axis: Any, function: str) -> tuple[Value, int | None]:
    """What elements are from the mean along an axis, which is given as well; all along one for None."""
    x = to_real(g, a, function)
    if axis is None:
        return centered(g, ravel(x), 0, function)[0], 0
    along = axis_of(x, axis, function)
    return g.sub(x, mean(x, along, keepdims=True)), along


@implements_scipy("stats.zscore")
def zscore(g: Builder, a: Any, axis: Any = 0, ddof: int = 0) -> Value:
    """How many standard deviations each element is from the mean."""
    apart, along = centered(g, a, axis, "zscore")
    n = apart.shape[along or 0]
    variance = g.div(sum_along(g.mul(apart, apart), along, keepdims=True), float(n - ddof))
    return g.reshape(g.div(apart, g.sqrt(variance)), to_real(g, a, "zscore").type.shape)


@implements_scipy("stats.skew")
def skew(g: Builder, a: Any, axis: Any = 0, bias: bool = True) -> Value:
    """The third central moment by the cube of the standard deviation, or what is expected of it without bias."""
    apart, along = centered(g, a, axis, "skew")
    n = apart.shape[along or 0]
    variance = mean(g.mul(apart, apart), along)
    found = g.div(mean(g.mul(g.mul(apart, apart), apart), along), g.pow(variance, 1.5))
    return found if bias else g.mul(found, math.sqrt(n * (n - 1)) / (n - 2))


@implements_scipy("stats.kurtosis")
def kurtosis(g: Builder, a: Any, axis: Any = 0, fisher: bool = True, bias: bool = True) -> Value:
    """The fourth central moment by the square of the variance, less 3 for fisher=True."""
    apart, along = centered(g, a, axis, "kurtosis")
    n = apart.shape[along or 0]
    square = g.mul(apart, apart)
    variance = mean(square, along)
    found = g.div(mean(g.mul(square, square), along), g.mul(variance, variance))
    if not bias:
        found = g.add(g.mul(g.sub(g.mul(found, n * n - 1.0), 3.0 * (n - 1) ** 2), 1 / ((n - 2) * (n - 3))), 3.0)
    return g.sub(found, 3.0) if fisher else found


@implements_scipy("stats.pearsonr")
def pearsonr(g: Builder, x: Any, y: Any) -> Correlation:
    """The correlation of two vectors, and its probability if they are independent and normal."""
    u, v = (centered(g, a, 0, "pearsonr")[0] for a in (x, y))
    if u.type.rank != 1 or u.type.shape != v.type.shape:
        refuse(g, "pearsonr", f"{u.type} and {v.type} are no two vectors of one length")
    sizes = g.mul(sum_along(g.mul(u, u)), sum_along(g.mul(v, v)))
    found = g.div(sum_along(g.mul(u, v)), g.sqrt(sizes))
    half = u.type.size / 2 - 1.0
    tail = g.emit("betainc", half, half, g.mul(g.sub(1.0, g.abs(found)), 0.5))
    return Correlation(found, g.mul(tail, 2.0))


@implements_scipy("stats.entropy")
def entropy(g: Builder, pk: Any, qk: Any = None, base: float | None = None, axis: Any = 0) -> Value:
    """The entropy of weights, which are divided by their sum, or the divergence of others from them."""
    p = to_real(g, pk, "entropy")
    shares = g.div(p, sum_along(p, axis, keepdims=True))
    if qk is None:
        found = sum_along(entr(shares), axis)
    else:
        q = to_real(g, qk, "entropy")
        found = sum_along(rel_entr(shares, g.div(q, sum_along(q, axis, keepdims=True))), axis)
    return found if base is None else g.mul(found, 1 / math.log(base))


@implements_scipy("stats.gaussian_kde.__call__", "stats.gaussian_kde.evaluate", "stats.gaussian_kde.pdf")
def kernel_density(g: Builder, x: Any, dataset: Any, bw_method: Any = None, weights: Any = None) -> Value:
    """The mean of normal densities around the points of a sample; see its logarithm."""
    return g.exp(kernel_logpdf(x, dataset, bw_method, weights))


@implements_scipy("stats.gaussian_kde.logpdf")
def kernel_logpdf(g: Builder, x: Any, dataset: Any, bw_method: Any = None, weights: Any = None) -> Value:
    """The logarithm of the mean of normal densities around the points of a sample, which lie along its last axis.

    Their width is a number, or by the rule 'scott' or 'silverman'.
    """
    at, sample = (_points(g, v) for v in (x, dataset))
    d, n = sample.shape
    if at.shape[0] != d:
        if at.shape != (1, d):
            refuse(g, "gaussian_kde", f"{at.type} are no points of {d} dimensions")
        at = g.reshape(at, (d, 1))
    given = g.constant(np.ones(n)) if weights is None else to_real(g, weights, "gaussian_kde")
    shares = g.div(given, sum_along(given))
    squares = sum_along(g.mul(shares, shares))
    apart = g.sub(sample, matmul(sample, g.reshape(shares, (n, 1))))
    spread = g.div(matmul(g.mul(apart, shares), swapaxes(apart, 0, 1)), g.sub(1.0, squares))
    factor = _width(g, bw_method, g.div(1.0, squares), d)
    root = g.mul(cholesky(spread), factor)
    log_size = sum_along(g.log(g.mul(diag(root), math.sqrt(2 * math.pi))))
    white, centers = solve_triangular(root, at, lower=True), solve_triangular(root, sample, lower=True)
    between = g.sub(g.reshape(white, (d, at.shape[1], 1)), g.reshape(centers, (d, 1, n)))
    energies = g.mul(sum_along(g.mul(between, between), 0), -0.5)
    return g.sub(OWN["logsumexp"].call(g, g.add(energies, g.log(shares)), axis=1), log_size)


def _points(g: Builder, x: Any) -> Value:
    value = to_real(g, x, "gaussian_kde")
    return value if value.type.rank == 2 else g.reshape(value, (1, value.type.size))


def _width(g: Builder, method: Any, count: Value, d: int) -> Any:
    if isinstance(method, str) or method is None:
        if method not in (None, "scott", "silverman"):
            raise ValueError("`bw_method` should be 'scott', 'silverman', a scalar or a callable.")
        size = g.mul(count, (d + 2) / 4) if method == "silverman" else count
        return g.pow(size, -1.0 / (d + 4))
    if callable(method):
        raise Unsupported("gaussian_kde with a function as its width cannot be traced", "give a number")
    return to_real(g, method, "gaussian_kde")
