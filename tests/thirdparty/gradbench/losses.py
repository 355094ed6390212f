"""The functions of the evaluations that are a few lines long, each for whichever library differentiates it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.types import Array
from tests.thirdparty.gradbench.library import Library


def square(library: Library) -> Callable[[Any], Any]:
    """hello: a number times itself."""
    return lambda x: x * x


def log_sum_exp(library: Library) -> Callable[[Any], Any]:
    """lse: by way of the largest."""
    xp = library.np

    def loss(x: Any) -> Any:
        largest = xp.max(x)
        return xp.log(xp.sum(xp.exp(x - largest))) + largest

    return loss


def least_squares(library: Library, n: int, m: int) -> Callable[[Any], Any]:
    """llsq: half the squares of what a polynomial lacks of the sign, at n places between -1 and 1."""
    places = -1.0 + np.arange(n) * 2.0 / (n - 1.0)
    signs, powers = np.sign(places), np.vander(places, m, increasing=True)
    xp = library.np

    def loss(x: Any) -> Any:
        missing = signs - xp.dot(powers, x)
        return 0.5 * xp.sum(missing * missing)

    return loss


def determinant(library: Library, n: int) -> Callable[[Any], Any]:
    """det: expanded by minors, each once; those of the last rows first, all of one size at a time."""
    levels = [_expansion(n, size) for size in range(2, n + 1)]
    xp = library.np

    def loss(entries: Any) -> Any:
        rows = xp.reshape(entries, (n, n))
        minors = rows[n - 1]
        for size, (columns, without, signs) in enumerate(levels, start=2):
            minors = xp.sum(signs * rows[n - size][columns] * minors[without], axis=1)
        return minors[0]

    return loss


def _expansion(n: int, size: int) -> tuple[Array, Array, Array]:
    """Of every choice of so many columns: the columns, the smaller minor without each, the signs."""
    smaller = {chosen: k for k, chosen in enumerate(itertools.combinations(range(n), size - 1))}
    choices = list(itertools.combinations(range(n), size))
    without = [[smaller[chosen[:k] + chosen[k + 1 :]] for k in range(size)] for chosen in choices]
    return np.array(choices), np.array(without), (-1.0) ** np.arange(size)


def runge_kutta(library: Library, steps: int) -> Callable[[Any], Any]:
    """ode: y_0' = x_0 and y_i' = x_i y_(i-1) from 0, after a time of 2, by the classical method."""
    xp, h = library.np, 2.0 / steps

    def solution(x: Any) -> Any:
        def slope(y: Any) -> Any:
            return x * xp.concatenate([np.ones(1), y[:-1]])

        def step(y: Any, _: Any) -> tuple[Any, None]:
            k1 = slope(y)
            k2 = slope(y + h / 2 * k1)
            k3 = slope(y + h / 2 * k2)
            k4 = slope(y + h * k3)
            return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        return library.scan(step, xp.zeros_like(x), None, steps)[0]

    return solution


def last_of_runge_kutta(library: Library, steps: int) -> Callable[[Any], Any]:
    """ode: what its gradient is taken of."""
    solution = runge_kutta(library, steps)
    return lambda x: solution(x)[-1]


def nearest_distances(library: Library, points: Array) -> Callable[[Any], Any]:
    """kmeans: the squared distances of all points to the nearest centroid, added up."""
    xp, squares = library.np, np.sum(points**2, axis=1)

    def cost(centroids: Any) -> Any:
        distances = xp.sum(centroids**2, axis=1) - 2.0 * xp.dot(points, centroids.T)
        return xp.sum(squares + xp.min(distances, axis=1))

    return cost


def mixture(library: Library, points: Array, m: int, gamma: float) -> Callable[..., Any]:
    """gmm: the logarithm of the posterior density of a Gaussian mixture with a Wishart prior."""
    xp, (n, d) = library.np, points.shape
    freedom = d + m + 1
    log_gamma = 0.25 * d * (d - 1) * math.log(math.pi) + sum(math.lgamma(0.5 * (freedom - j)) for j in range(d))
    constant = freedom * d * math.log(gamma / math.sqrt(2.0)) - log_gamma
    place = np.zeros((d, d), int)  # in the strictly lower part, column by column; 0 is a zero put before it
    place.T[np.triu_indices(d, 1)] = 1 + np.arange(d * (d - 1) // 2)

    def log_sum_exp(scores: Any) -> Any:
        top = xp.max(scores, axis=-1, keepdims=True)
        return xp.log(xp.sum(xp.exp(scores - top), axis=-1)) + top[..., 0]

    def loss(alpha: Any, mu: Any, q: Any, l: Any) -> Any:  # noqa: E741
        k, sums, diagonal = len(mu), xp.sum(q, axis=1), xp.exp(q)
        lower = xp.concatenate([np.zeros((k, 1)), l], axis=1)[:, place]
        centred = points[:, None, :] - mu[None, :, :]
        scaled = diagonal * centred + xp.einsum("kij,nkj->nki", lower, centred)
        scores = alpha + sums - 0.5 * xp.sum(scaled * scaled, axis=2)
        likelihood = xp.sum(log_sum_exp(scores)) - n * (0.5 * d * math.log(2 * math.pi) + log_sum_exp(alpha))
        prior = m * xp.sum(sums) - 0.5 * gamma**2 * (xp.sum(diagonal * diagonal) + xp.sum(l * l))
        return likelihood + prior + k * constant

    return loss


def recurrent(library: Library, state: Array, sequence: Array) -> Callable[[Any, Any], Any]:
    """lstm: the mean cross-entropy of each row of the sequence, predicted from those before it.

    Weights act element by element, and 2 is added to the sum of exponentials: both are the benchmark's.
    """
    xp, layers = library.np, len(state) // 2

    def sigmoid(z: Any) -> Any:
        return 1.0 / (1.0 + xp.exp(-z))

    def cell(weight: Any, offset: Any, hidden: Any, memory: Any, x: Any) -> tuple[Any, Any]:
        forget, enter = sigmoid(x * weight[0] + offset[0]), sigmoid(hidden * weight[1] + offset[1])
        leave, change = sigmoid(x * weight[2] + offset[2]), xp.tanh(hidden * weight[3] + offset[3])
        memory = memory * forget + enter * change
        return leave * xp.tanh(memory), memory

    def loss(main: Any, extra: Any) -> Any:
        weights = xp.reshape(main, (layers, 2, 4, state.shape[1]))

        def step(carried: Any, pair: Any) -> tuple[Any, Any]:
            given, following = pair
            x, after = given * extra[0], []
            for layer, (hidden, memory) in enumerate(carried):
                x, memory = cell(weights[layer, 0], weights[layer, 1], hidden, memory, x)
                after.append((x, memory))
            scores = x * extra[1] + extra[2]
            return tuple(after), xp.sum(following * (scores - xp.log(xp.sum(xp.exp(scores)) + 2.0)))

        first = tuple((state[2 * k], state[2 * k + 1]) for k in range(layers))
        gains = library.scan(step, first, (sequence[:-1], sequence[1:]))[1]
        return -xp.sum(gains) / (len(sequence) - 1) / sequence.shape[1]

    return loss
