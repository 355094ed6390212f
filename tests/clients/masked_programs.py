"""Random programs with masks, choices, holes and overflows, at points where partials are infinite or NaN."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client.functions import cond, scan
from gradserve.ir.types import Array

POINTS = (-1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 40.0, 800.0, -800.0, 1e-6, np.nan, np.inf)
WEIGHTS = (0.3, 0.3, 1.0, 0.3, 1.0, 1.0, 1.0, 1.0, 0.3, 0.3, 0.3, 0.1, 0.1, 0.1)
UNARY: tuple[Callable[[Any], Any], ...] = (
    np.log,
    np.sqrt,
    np.exp,
    np.log1p,
    np.arcsin,
    np.arctanh,
    np.cbrt,
    np.sin,
    np.tanh,
    np.square,
    lambda x: 1.0 / x,
    lambda x: x**1.5,
    lambda x: x**-2.0,
    lambda x: np.exp(-1.0 / x),
    lambda x: 1.0 / (1.0 + np.exp(-x)),
    lambda x: x * np.log(x),
    lambda x: np.sqrt(x * x),
    lambda x: np.cumsum(x) / 3.0,
)
JOINED: tuple[Callable[[Any, Any], Any], ...] = (
    np.add,
    np.multiply,
    np.divide,
    np.hypot,
    np.arctan2,
    np.logaddexp,
    np.fmax,
    np.fmin,
    np.maximum,
    np.minimum,
)


def joined(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A function of two arrays, one turned around and scaled: partials that cancel exactly do so in one mode alone."""
    return lambda x, y: function(x, 0.75 * y[::-1])


def cleaned(rng: np.random.Generator) -> Callable[[Any, Any], Any]:
    """A way to choose from two arrays, or to leave out what is not a number."""
    threshold, mask = rng.choice([-0.25, 0.1, 0.75, 1.5]), rng.random(4) < 0.5
    kept = np.flatnonzero(rng.random(4) < 0.6)
    chosen = [
        lambda x, y: np.where(x > threshold, x, y),
        lambda x, y: np.where(mask, x, 0.0) + np.where(mask, 0.0, y),
        lambda x, y: np.where(np.isfinite(x), x, 0.5 * y),
        lambda x, y: np.where(np.isnan(x), 0.0, x) * y,
        lambda x, y: np.clip(x, -threshold, 2.0) + y,
        lambda x, y: np.minimum(x, 5.0) * np.maximum(y, threshold),
        lambda x, y: np.nan_to_num(x) + y,
        lambda x, y: np.select([x > 1.0, y > threshold], [x, y * x], 0.125),
        lambda x, y: np.concatenate([x[kept], np.zeros(4 - len(kept))]) + y,
        lambda x, y: np.nansum(x) + y,
        lambda x, y: np.where(mask, x, np.nanmax(y)),
        lambda x, y: y * scan(lambda c, r: (np.where(r > threshold, c + np.log(r), c), c), 0.5, x)[0],
        lambda x, y: cond(
            np.sum(np.where(np.isnan(x), 0.0, x)) > 1.0, lambda: np.where(x > 0, np.sqrt(x), y), lambda: y
        ),
    ]
    return chosen[rng.integers(len(chosen))]


def mixed(rng: np.random.Generator) -> Callable[[Any], Any]:
    """A product with a matrix, some of which is no number; no two of its numbers cancel."""
    matrix = rng.choice([-1.0, 0.5, 2.0], (4, 4)) * np.linspace(0.9, 1.1, 16).reshape(4, 4)
    if rng.random() < 0.5:
        matrix[rng.integers(4)] = rng.choice([np.nan, np.inf])
    return lambda x: matrix @ x


def program(seed: int) -> tuple[Callable[[Any], Any], Array]:
    """A function of four numbers with as many results, and a point."""
    rng = np.random.default_rng(seed)
    steps: list[tuple[str, Callable[..., Any], int, int]] = []
    for k in range(int(rng.integers(3, 8))):
        i, j = int(rng.integers(k + 1)), int(rng.integers(k + 1))
        kind = rng.choice(["unary", "joined", "cleaned", "mixed"], p=[0.4, 0.15, 0.35, 0.1])
        match kind:
            case "unary":
                steps.append((kind, UNARY[rng.integers(len(UNARY))], k, k))
            case "joined":
                steps.append((kind, joined(JOINED[rng.integers(len(JOINED))]), i, k))
            case "cleaned":
                steps.append((kind, cleaned(rng), k, j))
            case "mixed":
                steps.append((kind, mixed(rng), k, k))

    def function(w: Any) -> Any:
        values = [w]
        for kind, step, i, j in steps:
            values.append(step(values[i]) if kind in ("unary", "mixed") else step(values[i], values[j]))
        return values[-1]

    weights = np.array(WEIGHTS) / sum(WEIGHTS)
    return function, rng.choice(POINTS, 4, p=weights)
