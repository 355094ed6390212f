"""Distributions of vectors and matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import special
from gradserve.numpy.arguments import as_operand, promoted, refuse, to_real
from gradserve.numpy.decompositions import eigh, pinv
from gradserve.numpy.joining import concatenate
from gradserve.numpy.matrices import diag, diagonal, trace
from gradserve.numpy.probability import multigammaln
from gradserve.numpy.products import matmul
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.shaping import moveaxis, squeeze, swapaxes
from gradserve.numpy.systems import cholesky, solve, solve_triangular
from gradserve.numpy.table import implements_scipy

_NORMAL = "stats.multivariate_normal"


@implements_scipy(f"{_NORMAL}.logpdf")
def normal_logpdf(g: Builder, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Value:
    """The logarithm of the density of the multivariate normal distribution; of cov, the lower triangle is read.

    The last axis of x has the components. A covariance may be a number, a vector of variances, or a matrix. If it may
    be singular, the density is that within its range.
    """
    away, matrix = deviation(g, x, mean, cov, "multivariate_normal")
    size, logarithm, rank = whitened(g, away, matrix, allow_singular)
    constant = g.mul(g.add(logarithm, g.mul(rank, math.log(2 * math.pi))), -0.5)
    return squeeze(g.sub(constant, g.mul(size, 0.5)))


@implements_scipy(f"{_NORMAL}.pdf")
def normal_pdf(g: Builder, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Value:
    """The density of the multivariate normal distribution; see its logarithm."""
    return g.exp(normal_logpdf(x, mean, cov, allow_singular))


@implements_scipy(f"{_NORMAL}.entropy")
def normal_entropy(g: Builder, mean: Any = None, cov: Any = 1) -> Value:
    """The entropy of the multivariate normal distribution."""
    matrix = covariance(g, cov, None, "multivariate_normal")
    dimension = matrix.shape[-1]
    return g.mul(g.add(log_det(g, cholesky(matrix)), dimension * (math.log(2 * math.pi) + 1)), 0.5)


def covariance(g: Builder, cov: Any, dimension: int | None, function: str) -> Value:
    """The matrix of a number, of a vector of variances, or the matrix given."""
    value = to_real(g, cov, function)
    if value.type.rank == 0:
        n = dimension or 1
        return g.mul(g.constant(np.eye(n, dtype=value.type.element_type.dtype)), value)
    return diag(value) if value.type.rank == 1 else value


def deviation(g: Builder, x: Any, mean: Any, cov: Any, function: str) -> tuple[Value, Value]:
    """Points less the mean, with components along the last axis, and the matrix of their covariance."""
    point, variance = (to_real(g, v, function) for v in promoted(g, x, cov))
    if variance.type.rank > 2:
        refuse(g, function, f"{variance.type} is no covariance")
    means = None if mean is None else to_real(g, as_operand(g, mean), function)
    if variance.type.rank:
        dimension = variance.shape[-1]
    else:
        dimension = means.shape[-1] if means is not None and means.type.rank else 1
    # Numbers along the only axis of x are points of one dimension, or one point of several.
    if point.type.rank == 0 or (dimension == 1 and point.type.rank == 1):
        point = g.reshape(point, (*point.type.shape, 1))
    if point.shape[-1] != dimension:
        refuse(g, function, f"{point.type} has no vectors of length {dimension}")
    return point if means is None else g.sub(point, means), covariance(g, variance, dimension, function)


def whitened(g: Builder, away: Value, cov: Value, singular: bool) -> tuple[Value, Value, Any]:
    """Squared lengths in units of the covariance, the logarithm of its determinant, and its rank."""
    if singular:
        inverse = pinv(cov, hermitian=True)
        values = eigh(cov).eigenvalues
        eps = float(np.finfo(values.type.element_type.dtype).eps) * 1e6
        counted = g.gt(values, g.mul(g.emit("reduce_max", g.abs(values), axes=(0,)), eps))
        logarithm = sum_along(g.log(g.select(counted, values, 1.0)))
        squares = g.mul(away, matmul(away, inverse))
        return sum_along(squares, -1), logarithm, g.convert(sum_along(counted), values.type.element_type)
    factor = cholesky(cov)
    n = cov.shape[-1]
    rows = g.reshape(away, (away.type.size // max(n, 1), n))
    white = solve_triangular(factor, swapaxes(rows, 0, 1), lower=True)
    squares = g.reshape(sum_along(g.mul(white, white), 0), away.type.shape[:-1])
    return squares, log_det(g, factor), float(n)


def log_det(g: Builder, factor: Value) -> Value:
    """The logarithm of the determinant of what a Cholesky factor is of."""
    return g.mul(sum_along(g.log(diag(factor))), 2.0)


@implements_scipy("stats.dirichlet.logpdf")
def dirichlet_logpdf(g: Builder, x: Any, alpha: Any) -> Value:
    """The logarithm of the density of Dirichlet's distribution; shares lie along the first axis, the last may lack.

    SciPy refuses shares that do not sum to 1; here they are the author's to keep.
    """
    shares, power = (to_real(g, v, "dirichlet") for v in promoted(g, x, alpha))
    if shares.shape[0] == power.shape[0] - 1:
        rest = g.sub(1.0, sum_along(shares, 0, keepdims=True))
        shares = concatenate([shares, rest])
    if shares.shape[0] != power.shape[0]:
        refuse(g, "dirichlet", f"{shares.type} are no shares for {power.type}")
    size = g.sub(sum_along(g.gammaln(power)), g.gammaln(sum_along(power)))
    along = g.reshape(g.sub(power, 1), (power.shape[0], *(1,) * (shares.type.rank - 1)))
    return squeeze(g.sub(sum_along(special.xlogy(along, shares), 0), size))


@implements_scipy("stats.dirichlet.pdf")
def dirichlet_pdf(g: Builder, x: Any, alpha: Any) -> Value:
    """The density of Dirichlet's distribution; see its logarithm."""
    return g.exp(dirichlet_logpdf(x, alpha))


@implements_scipy("stats.multinomial.logpmf")
def multinomial_logpmf(g: Builder, x: Any, n: Any, p: Any) -> Value:
    """The logarithm of the probability of counts along the last axis; -inf where they do not sum to n."""
    counts, shares = (to_real(g, v, "multinomial") for v in promoted(g, x, p))
    total = to_real(g, n, "multinomial")
    fits = g.eq(sum_along(counts, -1), total)
    whole = g.logical_and(g.ge(counts, 0), g.eq(g.floor(counts), counts))
    fits = g.logical_and(fits, g.emit("reduce_all", whole, axes=(counts.type.rank - 1,)))
    terms = g.sub(special.xlogy(counts, shares), g.gammaln(g.add(g.select(whole, counts, 0), 1)))
    return g.select(fits, g.add(g.gammaln(g.add(total, 1)), sum_along(terms, -1)), -math.inf)


@implements_scipy("stats.multinomial.pmf")
def multinomial_pmf(g: Builder, x: Any, n: Any, p: Any) -> Value:
    """The probability of counts along the last axis; see its logarithm."""
    return g.exp(multinomial_logpmf(x, n, p))


@implements_scipy("stats.wishart.logpdf")
def wishart_logpdf(g: Builder, x: Any, df: Any, scale: Any) -> Value:
    """The logarithm of the density of Wishart's distribution; several matrices lie along the last axis.

    Of x and scale, the lower triangles are read.
    """
    matrix, spread = matrices_of(g, x, scale, "wishart")
    degrees, p = to_real(g, df, "wishart"), spread.shape[-1]
    several = matrix.type.rank == 3
    matrix = moveaxis(matrix, 2, 0) if several else matrix
    log_x = g.mul(sum_along(g.log(diagonals(g, cholesky(matrix))), -1), 2.0)
    log_scale = log_det(g, cholesky(spread))
    power = g.mul(g.mul(g.sub(degrees, p + 1.0), 0.5), log_x)
    inner = g.mul(trace(solve(spread, matrix), axis1=-2, axis2=-1), 0.5)
    size = g.add(g.mul(degrees, 0.5 * p * math.log(2)), g.mul(g.mul(degrees, 0.5), log_scale))
    return squeeze(g.sub(g.sub(power, inner), g.add(size, multigammaln(g.mul(degrees, 0.5), p))))


@implements_scipy("stats.wishart.pdf")
def wishart_pdf(g: Builder, x: Any, df: Any, scale: Any) -> Value:
    """The density of Wishart's distribution; see its logarithm."""
    return g.exp(wishart_logpdf(x, df, scale))


def matrices_of(g: Builder, x: Any, scale: Any, function: str) -> tuple[Value, Value]:
    """Matrices, or numbers as such of one row, and a scale: of a vector, the matrix with that as its diagonal."""
    point, spread = (to_real(g, v, function) for v in promoted(g, x, scale))
    if point.type.rank < 2:
        point = g.reshape(point, (1, 1, *point.type.shape))
    return point, covariance(g, spread, None, function)


def diagonals(_g: Builder, x: Value) -> Value:
    """Of each matrix."""
    return diagonal(x, axis1=-2, axis2=-1)
