"""scipy.spatial: distances between vectors, and between all pairs of rows; sets of points laid upon each other.

Differences are taken as they are, so that small distances keep their digits. Where two rows are equal, a Euclidean
distance has a kink, and its derivative there is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, promoted, refuse, to_float, to_real
from gradserve.numpy.indexing import getitem
from gradserve.numpy.norms import vector_norm
from gradserve.numpy.probability import rel_entr
from gradserve.numpy.products import matmul
from gradserve.numpy.reductions import max as max_along
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.scipy.matrix_equations import orthogonal_procrustes
from gradserve.numpy.shaping import expand_dims, swapaxes
from gradserve.numpy.statistics import mean
from gradserve.numpy.table import implements_scipy

Metric = Callable[..., Value]
"""Takes the builder and two arrays of vectors along the last axis, which are broadcast together."""


def _euclidean(g: Builder, u: Value, v: Value) -> Value:
    return vector_norm(g.sub(u, v), axis=-1)


def _sqeuclidean(g: Builder, u: Value, v: Value) -> Value:
    difference = g.sub(u, v)
    return sum_along(g.mul(difference, difference), -1)


def _cityblock(g: Builder, u: Value, v: Value) -> Value:
    return sum_along(g.abs(g.sub(u, v)), -1)


def _chebyshev(g: Builder, u: Value, v: Value) -> Value:
    return max_along(g.abs(g.sub(u, v)), -1)


def _minkowski(g: Builder, u: Value, v: Value, p: Any = 2.0) -> Value:
    return vector_norm(g.sub(u, v), axis=-1, ord=float(p))


def _cosine(g: Builder, u: Value, v: Value) -> Value:
    products = sum_along(g.mul(u, v), -1)
    return g.sub(1.0, g.div(products, g.mul(vector_norm(u, axis=-1), vector_norm(v, axis=-1))))


def _correlation(g: Builder, u: Value, v: Value) -> Value:
    centred = (g.sub(x, mean(x, -1, keepdims=True)) for x in (u, v))
    return _cosine(g, *centred)


def _mahalanobis(g: Builder, u: Value, v: Value, VI: Any = None) -> Value:
    if VI is None:
        raise Unsupported("the metric 'mahalanobis' without VI cannot be traced", "give VI=np.linalg.inv(np.cov(X.T))")
    difference, inverse = g.sub(u, v), to_float(g, VI)
    return g.sqrt(sum_along(g.mul(matmul(difference, inverse), difference), -1))


def _seuclidean(g: Builder, u: Value, v: Value, V: Any = None) -> Value:
    if V is None:
        raise Unsupported("the metric 'seuclidean' without V cannot be traced", "give V=np.var(X, axis=0, ddof=1)")
    root = g.sqrt(to_float(g, V))
    return _euclidean(g, g.div(u, root), g.div(v, root))


def _canberra(g: Builder, u: Value, v: Value) -> Value:
    """Terms of two zeros are 0."""
    size = g.add(g.abs(u), g.abs(v))
    nothing = g.eq(size, 0)
    return sum_along(g.select(nothing, 0.0, g.div(g.abs(g.sub(u, v)), g.select(nothing, 1.0, size))), -1)


def _braycurtis(g: Builder, u: Value, v: Value) -> Value:
    return g.div(sum_along(g.abs(g.sub(u, v)), -1), sum_along(g.abs(g.add(u, v)), -1))


def _jensenshannon(g: Builder, u: Value, v: Value) -> Value:
    return _divergence(g, u, v, -1)


def _divergence(g: Builder, u: Value, v: Value, axis: int, keepdims: bool = False) -> Value:
    """The root of the mean entropy of two distributions relative to their mean."""
    p, q = (g.div(x, sum_along(x, axis, keepdims=True)) for x in (u, v))
    middle = g.mul(g.add(p, q), 0.5)
    terms = g.add(rel_entr(p, middle), rel_entr(q, middle))
    found = g.mul(sum_along(terms, axis, keepdims=keepdims), 0.5)
    apart = g.gt(found, 0)
    return g.select(apart, g.sqrt(g.select(apart, found, 1.0)), g.select(g.eq(found, found), 0.0, found))


METRICS: dict[str, Metric] = {
    "braycurtis": _braycurtis,
    "canberra": _canberra,
    "chebyshev": _chebyshev,
    "cityblock": _cityblock,
    "correlation": _correlation,
    "cosine": _cosine,
    "euclidean": _euclidean,
    "jensenshannon": _jensenshannon,
    "mahalanobis": _mahalanobis,
    "minkowski": _minkowski,
    "seuclidean": _seuclidean,
    "sqeuclidean": _sqeuclidean,
}
"""By SciPy's name."""
_WITH_MORE = frozenset({"jensenshannon", "mahalanobis", "minkowski", "seuclidean"})
"""Those that take more than two vectors, or others."""


def _metric(g: Builder, name: Any) -> Metric:
    if not isinstance(name, str) or name not in METRICS:
        raise Unsupported(f"the metric {name!r} cannot be traced", f"those that can are {', '.join(METRICS)}")
    return METRICS[name]


def _rows(g: Builder, x: Any, function: str) -> Value:
    value = to_real(g, x, function)
    if value.type.rank != 2:
        refuse(g, function, f"{value.type} is no matrix of rows")
    return value


@implements_scipy("spatial.distance.cdist")
def cdist(g: Builder, /, XA: Any, XB: Any, metric: str = "euclidean", **named: Any) -> Value:
    """The distances between all rows of XA and all of XB, by most of SciPy's metrics."""
    rows, others = (_rows(g, x, "cdist") for x in promoted(g, XA, XB))
    return _metric(g, metric)(g, expand_dims(rows, 1), expand_dims(others, 0), **named)


@implements_scipy("spatial.distance_matrix")
def distance_matrix(g: Builder, x: Any, y: Any, p: Any = 2, threshold: Any = None) -> Value:
    """The distances between all rows of x and all of y, roots of sums of powers p of differences."""
    return cdist(x, y, "minkowski", p=p)


@implements_scipy("spatial.distance.pdist")
def pdist(g: Builder, /, X: Any, metric: str = "euclidean", **named: Any) -> Value:
    """The distances between all pairs of rows, each pair once, as the upper triangle holds them."""
    rows = _rows(g, X, "pdist")
    first, second = np.triu_indices(rows.shape[0], 1)
    return _metric(g, metric)(g, getitem(g, rows, first), getitem(g, rows, second), **named)


@implements_scipy("spatial.distance.squareform")
def squareform(g: Builder, X: Any) -> Value:
    """The symmetric matrix of the distances of pairs, or these of that."""
    x = to_float(g, X)
    if x.type.rank == 2:
        return getitem(g, x, np.triu_indices(x.shape[0], 1))
    n = math.isqrt(2 * x.type.size) + 1
    if n * (n - 1) // 2 != x.type.size:
        raise ValueError(
            "Incompatible vector size. It must be a binomial coefficient n choose 2 for some integer n >= 2."
        )
    i, j = np.indices((n, n))
    low, high = np.minimum(i, j), np.maximum(i, j)
    place = np.where(i == j, 0, n * low - low * (low + 1) // 2 + high - low - 1)
    return g.select(g.constant(i == j), 0.0, getitem(g, x, place))


def _of_two(name: str, metric: Metric) -> None:
    def distance(g: Builder, u: Any, v: Any, w: Any = None) -> Value:
        if w is not None:
            raise Unsupported(f"scipy.spatial.distance.{name} with w= cannot be traced", "scale the vectors beforehand")
        return metric(g, *(to_float(g, x) for x in promoted(g, u, v)))

    distance.__doc__ = f"The distance '{name}' of two vectors."
    implements_scipy(f"spatial.distance.{name}")(distance)


for _name, _each in METRICS.items():
    if _name not in _WITH_MORE:
        _of_two(_name, _each)


@implements_scipy("spatial.distance.minkowski")
def minkowski(g: Builder, u: Any, v: Any, p: Any = 2) -> Value:
    """The norm of order p of the difference of two vectors."""
    x, y = promoted(g, u, v)
    return _minkowski(g, to_float(g, x), to_float(g, y), p)


@implements_scipy("spatial.distance.mahalanobis")
def mahalanobis(g: Builder, u: Any, v: Any, VI: Any) -> Value:
    """The distance of two vectors in the metric VI."""
    x, y = promoted(g, u, v)
    return _mahalanobis(g, to_float(g, x), to_float(g, y), VI)


@implements_scipy("spatial.distance.jensenshannon")
def jensenshannon(g: Builder, p: Any, q: Any, base: Any = None, *, axis: int = 0, keepdims: bool = False) -> Value:
    """The distance of Jensen and Shannon of two distributions along an axis, by logarithms of a base."""
    x, y = g.align([to_float(g, each) for each in promoted(g, p, q)])
    found = _divergence(g, x, y, axis, keepdims)
    return found if base is None else g.div(found, g.sqrt(g.log(to_float(g, base))))


@implements_scipy("spatial.procrustes")
def procrustes(g: Builder, data1: Any, data2: Any) -> tuple[Value, Value, Value]:
    """Two sets of points, moved and scaled to size 1, the second turned upon the first, and the square that is left."""
    one, two = (_standard(g, data) for data in (data1, data2))
    if one.type.shape != two.type.shape:
        raise ValueError("Input matrices must be of same shape")
    turn, scale = orthogonal_procrustes(one, two)
    turned = g.mul(matmul(two, swapaxes(turn, 0, 1)), scale)
    apart = g.sub(one, turned)
    return one, turned, g.emit("reduce_sum", g.mul(apart, apart), axes=(0, 1))


def _standard(g: Builder, data: Any) -> Value:
    """Points around 0, with 1 for the sum of their squares."""
    x = to_float(g, data)
    if x.type.rank != 2:
        raise ValueError("Input matrices must be two-dimensional")
    centred = g.sub(x, g.div(g.emit("reduce_sum", x, axes=(0,)), float(x.shape[0])))
    return g.div(centred, g.sqrt(g.emit("reduce_sum", g.mul(centred, centred), axes=(0, 1))))
