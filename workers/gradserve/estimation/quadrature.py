"""Traces of functions of a symmetric matrix from Gauss quadratures of random signs, with intervals.

For signs v the form <v, f(A) v> has the mean tr f(A) and the variance 2 (|f(A)|_F^2 - sum f(A)_ii^2), which is at most
2 (tr f(A)^2 - (tr f(A))^2 / n): the spread of f over the spectrum. That is estimated from the same quadratures, and far
better than the variance of few samples that may be skewed; the larger of the two makes the interval.

Deviations are squared: of functions whose values are too small or too large for that, a multiple by a power of two is.

Two errors more are in it. What too few steps leave out is taken for what half of the steps make different: quadratures
by Gauss converge faster than that. And nodes are right to the rounding of the matrix, which moves f by a little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gradserve.estimation.lanczos import rule
from gradserve.estimation.running import LOST, widening
from gradserve.ir.types import Array

Values: TypeAlias = Callable[[Array], Array]
"""Values of functions at nodes: a row for each function."""

_ROUNDING = 8.0
"""The rounding error of a node, in spacings of the largest."""


@dataclass(frozen=True)
class Rule:
    """The quadrature of one probe."""

    nodes: Array
    weights: Array
    errors: Array
    coarse_nodes: Array
    """The quadrature of half of the steps."""
    coarse_weights: Array

    @staticmethod
    def of(diagonal: Array, off: Array, damping: float) -> Rule:
        """From the tridiagonal matrix of a recurrence, with a multiple of the identity added."""
        shifted = diagonal + damping
        nodes, weights, errors = rule(shifted, off, len(shifted))
        # What ends early has left nothing out.
        half = len(shifted) if not off[-1] else -(-len(shifted) // 2)
        coarse_nodes, coarse_weights, _ = rule(shifted, off, half)
        return Rule(nodes, weights, errors, coarse_nodes, coarse_weights)


@dataclass(frozen=True)
class Means:
    """Means of tr f(A) / n over probes, and half their intervals; a row for each function."""

    values: Array
    half_widths: Array
    quadrature: Array
    """The part of the half widths that stands for too few steps."""


@np.errstate(all="ignore")
def means(rules: Sequence[Rule], function: Values, size: int, error_probability: float, epsilon: float) -> Means:
    """The means of tr f(A) / n, each with an interval that misses it with `error_probability`; n is `size`."""
    count, scale = len(rules), max(float(np.max(np.abs(each.nodes))) for each in rules)
    step = _ROUNDING * epsilon * scale
    plain = [function(each.nodes) for each in rules]
    powers = _powers(plain)
    at = [np.ldexp(values, -powers) for values in plain]
    samples = np.array([values @ each.weights for values, each in zip(at, rules, strict=True)])
    value = np.mean(samples, axis=0)
    squares = [(values - value[:, None]) ** 2 @ each.weights for values, each in zip(at, rules, strict=True)]
    spread = np.sqrt(2 * np.mean(squares, axis=0) / size)
    found = [np.ldexp(function(each.coarse_nodes), -powers) @ each.coarse_weights for each in rules]
    quadrature = np.abs(np.mean(found, axis=0) - value)
    moved = [np.abs(function(each.nodes + step) - function(each.nodes - step)) for each in rules]
    moves = [np.ldexp(values, -powers) @ each.weights for values, each in zip(moved, rules, strict=True)]
    rounding = np.mean(moves, axis=0) / 2 + _ROUNDING * epsilon * np.abs(value)
    half_widths = np.full_like(value, np.inf)
    if count > 1:
        deviation = np.hypot(np.maximum(spread, np.std(samples, axis=0, ddof=1)), LOST if scale else 0.0)
        half_widths = widening(error_probability, count) * deviation / np.sqrt(count) + quadrature + rounding
    return Means(*(np.ldexp(each, powers[:, 0]) for each in (value, half_widths, quadrature)))


def _powers(values: Sequence[Array]) -> Array:
    """By function, the power of two above its largest value; 0 where one is no number."""
    largest = np.max([np.max(np.abs(each), axis=1, keepdims=True) for each in values], axis=0)
    return np.where(np.isfinite(largest), np.frexp(largest)[1], 0)
