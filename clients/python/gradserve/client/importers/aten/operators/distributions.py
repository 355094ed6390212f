"""Numbers drawn from distributions, each by the inverse of its distribution function at uniform ones.

So those that have a derivative move with the parameters as their probabilities stay, to any order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradserve.client.importers.aten.operators.random import finished_draw, normals, uniforms
from gradserve.client.importers.aten.table import Node, Result, translates
from gradserve.client.importers.lax import special
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.ordering import top_k
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import ufuncs

_DOUBLE = np.dtype(np.float64)
_BITS = 31
"""Of the largest count."""


@translates("normal.Tensor_Tensor", "normal.Tensor_float", "normal.float_Tensor")
def _gaussian(n: Node, mean: Operand | float, std: Operand | float = 1.0, **generator: object) -> Result:
    """Normal numbers of means and standard deviations."""
    drawn = n.g.mul(normals(n, n.shape), n.g.broadcast(n.of(std, _DOUBLE), n.shape))
    return finished_draw(n, n.g.add(drawn, n.g.broadcast(n.of(mean, _DOUBLE), n.shape)))


@translates("log_normal")
def _log_normal(n: Node, x: Operand, mean: float = 1.0, std: float = 2.0, **generator: object) -> Result:
    """Numbers whose logarithms are normal."""
    return finished_draw(n, n.g.exp(n.g.add(n.g.mul(normals(n, n.shape), float(std)), float(mean))))


@translates("cauchy")
def _cauchy(n: Node, x: Operand, median: float = 0.0, sigma: float = 1.0, **generator: object) -> Result:
    """Numbers of Cauchy's distribution."""
    g, u = n.g, uniforms(n, n.shape)
    tail = g.div(1.0, g.tan(g.mul(g.minimum(u, g.sub(1.0, u)), np.pi)))
    return finished_draw(n, g.add(g.mul(g.select(g.lt(u, 0.5), g.neg(tail), tail), float(sigma)), float(median)))


@translates("geometric")
def _geometric(n: Node, x: Operand, p: float, **generator: object) -> Result:
    """How many trials it takes, of this probability."""
    trials = ufuncs.ceil(n.g.div(n.g.log(uniforms(n, n.shape)), float(np.log1p(-p)) if p < 1 else -np.inf))
    return finished_draw(n, n.g.maximum(trials, 1.0))


def _log_gamma(n: Node, shape: Value) -> Value:
    """Logarithms of gamma numbers: those of one more, times powers of uniform numbers, which never underflow."""
    g = n.g
    above = g.emit("gammaincinv", g.add(shape, 1.0), uniforms(n, shape.shape))
    return g.add(g.log(above), g.div(g.log(uniforms(n, shape.shape)), shape))


@translates("_standard_gamma")
def _gamma(n: Node, shape: Operand, **generator: object) -> Result:
    """Gamma numbers of these shapes, with their derivatives."""
    return finished_draw(n, n.g.exp(_log_gamma(n, n.of(shape, _DOUBLE))))


@translates("_standard_gamma_grad")
def _gamma_slope(n: Node, shape: Operand, drawn: Operand) -> Result:
    """How gamma numbers move with their shapes."""
    return special.gamma_draw_by_shape(n.g, n.operand(shape), n.operand(drawn))


@translates("_sample_dirichlet")
def _dirichlet(n: Node, shape: Operand, **generator: object) -> Result:
    """Shares of Dirichlet's distribution along the last axis, with their derivatives."""
    g, logarithms = n.g, _log_gamma(n, n.of(shape, _DOUBLE))
    last = (len(n.shape) - 1,)
    top = g.stop_gradient(g.reduce_max(logarithms, axes=last))
    sizes = g.exp(g.sub(logarithms, g.broadcast(g.reshape(top, (*n.shape[:-1], 1)), n.shape)))
    whole = g.reshape(g.reduce_sum(sizes, axes=last), (*n.shape[:-1], 1))
    return finished_draw(n, g.div(sizes, g.broadcast(whole, n.shape)))


def _counted(n: Node, at_least: Callable[[Value], Value]) -> Value:
    """The largest counts of which it holds that there are at least so many: bit by bit from the highest."""
    g, found = n.g, n.g.full(n.of(0.0, _DOUBLE).type.with_shape(n.shape), 0.0)
    for bit in reversed(range(_BITS)):
        more = g.add(found, float(1 << bit))
        found = g.select(at_least(more), more, found)
    return found


@translates("poisson")
def _poisson(n: Node, rate: Operand, **generator: object) -> Result:
    """Counts of Poisson's distribution; they have no derivative."""
    g, u, mean = n.g, uniforms(n, n.shape), n.g.stop_gradient(n.of(rate, _DOUBLE))
    return finished_draw(n, _counted(n, lambda count: g.le(g.emit("gammaincc", count, mean), u)))


@translates("binomial")
def _binomial(n: Node, count: Operand, prob: Operand, **generator: object) -> Result:
    """How many of so many trials succeed; they have no derivative."""
    g, u = n.g, uniforms(n, n.shape)
    trials, fails = n.of(count, _DOUBLE), g.sub(1.0, g.stop_gradient(n.of(prob, _DOUBLE)))

    def at_least(found: Value) -> Value:
        left = g.add(g.sub(trials, found), 1.0)
        inside = g.gt(left, 0.0)
        below = g.emit("betainc", g.select(inside, left, 1.0), found, fails)
        return g.logical_and(inside, g.le(below, u))

    return finished_draw(n, _counted(n, at_least))


@translates("multinomial")
def _multinomial(n: Node, weights: Operand, count: int, replacement: bool = False, **generator: object) -> Result:
    """Numbers of categories, as often as their weights say; each but once unless they are put back."""
    g, held = n.g, n.of(weights, _DOUBLE)
    *lead, categories = weights.shape
    if not replacement:
        keys = g.div(g.log(uniforms(n, weights.shape)), held)
        return top_k(g, Operand(g.select(g.gt(held, 0), keys, -np.inf), _DOUBLE), count, len(lead))[1]
    ends = g.emit("cumsum", held, axis=len(lead))
    whole = g.reshape(g.reduce_sum(held, axes=(len(lead),)), (*lead, 1))
    places = g.reshape(g.mul(uniforms(n, n.shape), g.broadcast(whole, n.shape)), (*n.shape, 1))
    wide = (*n.shape, categories)
    behind = g.le(g.broadcast(g.reshape(ends, (*lead, 1, categories)), wide), g.broadcast(places, wide))
    passed = g.reduce_sum(g.convert(behind, ElementType.INT64), axes=(len(n.shape),))
    last = g.sub(g.reduce_sum(g.convert(_weighs_to_the_end(n, held), ElementType.INT64), axes=(len(lead),)), 1)
    return g.minimum(passed, g.broadcast(g.reshape(last, (*lead, 1)), n.shape))


def _weighs_to_the_end(n: Node, weights: Value) -> Value:
    """Whether a category or one behind it has a weight: the sums are rounded, and none without may be chosen."""
    axis = weights.type.rank - 1
    backward = n.g.emit("reverse", weights, axes=(axis,))
    return n.g.gt(n.g.emit("reverse", n.g.emit("cumsum", backward, axis=axis), axes=(axis,)), 0.0)
