"""More distributions of vectors and matrices, and of several counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import promoted, refuse, to_real
from gradserve.numpy.matrices import trace
from gradserve.numpy.probability import multigammaln
from gradserve.numpy.products import matmul
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.scipy.bessel_sums import log_sum
from gradserve.numpy.scipy.counts import log_choose
from gradserve.numpy.scipy.multivariate import covariance, deviation, diagonals, log_det, matrices_of, whitened
from gradserve.numpy.shaping import moveaxis, squeeze, swapaxes
from gradserve.numpy.systems import cholesky, solve, solve_triangular
from gradserve.numpy.table import implements_scipy

_LOG_TAU = math.log(2 * math.pi)


@implements_scipy("stats.multivariate_t.logpdf")
def t_logpdf(g: Builder, x: Any, loc: Any = None, shape: Any = 1, df: Any = 1) -> Value:
    """The logarithm of the density of Student's multivariate distribution; of the shape, the lower triangle is read.

    The last axis of x has the components. The shape may be a number, a vector, or a matrix. Infinitely many degrees of
    freedom make it normal.
    """
    away, matrix = deviation(g, x, loc, 1 if shape is None else shape, "multivariate_t")
    squares, logarithm, _ = whitened(g, away, matrix, singular=False)
    dimension, degrees = matrix.shape[-1], to_real(g, df, "multivariate_t")
    finite = g.is_finite(degrees)
    known = g.select(finite, degrees, 1.0)
    half = g.mul(known, 0.5)
    size = g.sub(g.gammaln(g.add(half, 0.5 * dimension)), g.gammaln(half))
    size = g.sub(size, g.mul(g.log(g.mul(known, math.pi)), 0.5 * dimension))
    tail = g.mul(g.add(half, 0.5 * dimension), g.log1p(g.div(squares, known)))
    normal = g.mul(g.add(squares, dimension * _LOG_TAU), -0.5)
    return squeeze(g.sub(g.select(finite, g.sub(size, tail), normal), g.mul(logarithm, 0.5)))


@implements_scipy("stats.multivariate_t.pdf")
def t_pdf(g: Builder, x: Any, loc: Any = None, shape: Any = 1, df: Any = 1) -> Value:
    """The density of Student's multivariate distribution; see its logarithm."""
    return g.exp(t_logpdf(x, loc, shape, df))


@implements_scipy("stats.matrix_normal.logpdf")
def matrix_normal_logpdf(g: Builder, X: Any, mean: Any = None, rowcov: Any = 1, colcov: Any = 1) -> Value:
    """The logarithm of the density of a normal matrix, which are the last two axes of X; lower triangles are read.

    Covariances of rows and of columns may be numbers, vectors of variances, or matrices.
    """
    given = [X, rowcov, colcov] if mean is None else [X, rowcov, colcov, mean]
    point, of_rows, of_columns, *center = (to_real(g, v, "matrix_normal") for v in promoted(g, *given))
    if point.type.rank < 2:
        refuse(g, "matrix_normal", f"{point.type} has no matrices")
    rows, columns = center[0].shape if center else (1, 1)
    first, second = (
        cholesky(covariance(g, cov, n, "matrix_normal")) for cov, n in ((of_rows, rows), (of_columns, columns))
    )
    rows, columns = first.shape[-1], second.shape[-1]
    if point.shape[-2:] != (rows, columns):
        refuse(g, "matrix_normal", f"{point.type} has no matrices of shape {(rows, columns)}")
    away = g.sub(point, center[0]) if center else point
    white = matmul(matmul(_inverse(g, first), away), swapaxes(_inverse(g, second), 0, 1))
    logarithm = g.add(g.mul(log_det(g, first), float(columns)), g.mul(log_det(g, second), float(rows)))
    squares = sum_along(g.mul(white, white), (-2, -1))
    return squeeze(g.mul(g.add(g.add(squares, logarithm), rows * columns * _LOG_TAU), -0.5))


@implements_scipy("stats.matrix_normal.pdf")
def matrix_normal_pdf(g: Builder, X: Any, mean: Any = None, rowcov: Any = 1, colcov: Any = 1) -> Value:
    """The density of a normal matrix; see its logarithm."""
    return g.exp(matrix_normal_logpdf(X, mean, rowcov, colcov))


def _inverse(g: Builder, factor: Value) -> Value:
    return solve_triangular(factor, g.constant(np.eye(factor.shape[-1]), factor.type.element_type), lower=True)


@implements_scipy("stats.invwishart.logpdf")
def inverse_wishart_logpdf(g: Builder, x: Any, df: Any, scale: Any) -> Value:
    """The logarithm of the density of the inverse of Wishart's matrix; several matrices lie along the last axis.

    Of x and scale, the lower triangles are read.
    """
    matrix, spread = matrices_of(g, x, scale, "invwishart")
    degrees, p = to_real(g, df, "invwishart"), spread.shape[-1]
    matrix = moveaxis(matrix, 2, 0) if matrix.type.rank == 3 else matrix
    factor, root = cholesky(matrix), cholesky(spread)
    log_x = g.mul(sum_along(g.log(diagonals(g, factor)), -1), 2.0)
    whole = matmul(root, swapaxes(root, 0, 1))
    inner = g.mul(trace(solve(matmul(factor, swapaxes(factor, -1, -2)), whole), axis1=-2, axis2=-1), 0.5)
    size = g.mul(g.mul(degrees, 0.5), g.sub(log_det(g, root), p * math.log(2)))
    power = g.mul(g.mul(g.add(degrees, p + 1.0), 0.5), log_x)
    return squeeze(g.sub(g.sub(g.sub(size, inner), power), multigammaln(g.mul(degrees, 0.5), p)))


@implements_scipy("stats.invwishart.pdf")
def inverse_wishart_pdf(g: Builder, x: Any, df: Any, scale: Any) -> Value:
    """The density of the inverse of Wishart's matrix; see its logarithm."""
    return g.exp(inverse_wishart_logpdf(x, df, scale))


@implements_scipy("stats.vonmises_fisher.logpdf")
def vonmises_fisher_logpdf(g: Builder, x: Any, mu: Any = None, kappa: Any = 1) -> Value:
    """The logarithm of the density of the distribution of von Mises and Fisher; unit vectors lie along the last axis.

    SciPy refuses vectors of other lengths; here they are the author's to keep.
    """
    if mu is None:
        raise ValueError("'mu' must be a unit vector: there is no direction without it.")
    point, center = (to_real(g, v, "vonmises_fisher") for v in promoted(g, x, mu))
    if center.type.rank != 1 or point.shape[-1:] != center.shape:
        refuse(g, "vonmises_fisher", f"{point.type} and {center.type} have no vectors of one length")
    rate, half = to_real(g, kappa, "vonmises_fisher"), 0.5 * center.shape[0]
    size = log_sum(g, g.full(rate.type, half), g.mul(g.mul(rate, rate), 0.25))
    along = g.mul(rate, sum_along(g.mul(point, center), -1))
    return g.sub(along, g.add(size, half * _LOG_TAU - (half - 1.0) * math.log(2.0)))


@implements_scipy("stats.vonmises_fisher.pdf")
def vonmises_fisher_pdf(g: Builder, x: Any, mu: Any = None, kappa: Any = 1) -> Value:
    """The density of the distribution of von Mises and Fisher; see its logarithm."""
    return g.exp(vonmises_fisher_logpdf(x, mu, kappa))


@implements_scipy("stats.dirichlet_multinomial.logpmf")
def dirichlet_multinomial_logpmf(g: Builder, x: Any, alpha: Any, n: Any) -> Value:
    """The logarithm of the probability of counts with Dirichlet's shares, along the last axis; -inf unless of sum n.

    SciPy refuses an alpha that is not above 0; here it gives NaN.
    """
    counts, power = (to_real(g, v, "dirichlet_multinomial") for v in promoted(g, x, alpha))
    total = to_real(g, n, "dirichlet_multinomial")
    fits = g.logical_and(g.eq(sum_along(counts, -1), total), _are_counts(g, counts))
    known = g.select(g.gt(power, 0), power, math.nan)
    safe = g.select(g.ge(counts, 0), counts, 0.0)
    weight = sum_along(known, -1)
    terms = g.sub(g.gammaln(g.add(safe, known)), g.add(g.gammaln(known), g.gammaln(g.add(safe, 1.0))))
    size = g.sub(g.add(g.gammaln(weight), g.gammaln(g.add(total, 1.0))), g.gammaln(g.add(total, weight)))
    return g.select(fits, g.add(size, sum_along(terms, -1)), -math.inf)


def _are_counts(g: Builder, counts: Value) -> Value:
    whole = g.logical_and(g.ge(counts, 0), g.eq(g.floor(counts), counts))
    return g.emit("reduce_all", whole, axes=(counts.type.rank - 1,))


@implements_scipy("stats.dirichlet_multinomial.pmf")
def dirichlet_multinomial_pmf(g: Builder, x: Any, alpha: Any, n: Any) -> Value:
    """The probability of counts with Dirichlet's shares; see its logarithm."""
    return g.exp(dirichlet_multinomial_logpmf(x, alpha, n))


@implements_scipy("stats.multivariate_hypergeom.logpmf")
def hypergeometric_logpmf(g: Builder, x: Any, m: Any, n: Any) -> Value:
    """The logarithm of the probability of counts drawn without return, along the last axis; -inf if they cannot be."""
    counts, there = (to_real(g, v, "multivariate_hypergeom") for v in promoted(g, x, m))
    total = to_real(g, n, "multivariate_hypergeom")
    fits = g.logical_and(g.eq(sum_along(counts, -1), total), _are_counts(g, counts))
    fits = g.logical_and(fits, _are_counts(g, g.sub(there, counts)))
    counts = g.maximum(g.minimum(counts, there), 0.0)
    ways = sum_along(log_choose(g, there, counts), -1)
    return g.select(fits, g.sub(ways, log_choose(g, sum_along(there, -1), total)), -math.inf)


@implements_scipy("stats.multivariate_hypergeom.pmf")
def hypergeometric_pmf(g: Builder, x: Any, m: Any, n: Any) -> Value:
    """The probability of counts drawn without return; see its logarithm."""
    return g.exp(hypergeometric_logpmf(x, m, n))
