"""Traces of functions of a symmetric matrix from Gauss quadratures of random signs, with intervals.

For signs v the form <v, f(A) v> has the mean tr f(A) and the variance 2 (|f(A)|_F^2 - sum f(A)_ii^2), which is at most
2 (tr f(A)^2 - (tr f(A))^2 / n): the spread of f over the spectrum. That is estimated from the same quadratures, and far
better than the variance of few samples that may be skewed; the larger of the two makes the interval.

Deviations are squared: of functions whose values are too small or too large for that, a multiple by a power of two is.

Two errors more are in it. What too few steps leave out is taken for what half of the steps make different: quadratures
by Gauss converge faster than that. Inverse and logarithm are neared from one side, and what a quarter of them makes
different tells whether they converge: if not, nothing bounds what is left out. And nodes are right to the rounding of
the matrix, which moves f by a little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from gradserve.estimation.lanczos import rule
from gradserve.estimation.running import LOST, widening
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array

Values: TypeAlias = Callable[[Array], Array]
"""Values of functions at nodes: a row for each function."""

_SETTLED = 1e-2
"""The share of what sampling leaves open that too few steps may leave open, unseen."""
ROUNDING = 8.0
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
    coarsest_nodes: Array
    """The quadrature of half of these."""
    coarsest_weights: Array

    @staticmethod
    def of(diagonal: Array, off: Array, damping: float) -> Rule:
        """From the tridiagonal matrix of a recurrence, with a multiple of the identity added."""
        shifted = diagonal + damping
        nodes, weights, errors = rule(shifted, off, len(shifted))
        # What ends early has left nothing out.
        half = len(shifted) if not off[-1] else -(-len(shifted) // 2)
        coarse_nodes, coarse_weights, _ = rule(shifted, off, half)
        coarsest_nodes, coarsest_weights, _ = rule(shifted, off, -(-half // 2))
        return Rule(nodes, weights, errors, coarse_nodes, coarse_weights, coarsest_nodes, coarsest_weights)


@dataclass(frozen=True)
class Means:
    """Means of tr f(A) / n over probes, and half their intervals; a row for each function."""

    values: Array
    half_widths: Array
    quadrature: Array
    """The part of the half widths that stands for too few steps."""


@np.errstate(all="ignore")
def means(
    rules: Sequence[Rule],
    function: Values,
    size: int,
    error_probability: float,
    epsilon: float,
    from_one_side: bool = False,
) -> Means:
    """The means of tr f(A) / n, each with an interval that misses it with `error_probability`; n is `size`.

    More steps bring functions `from_one_side` ever nearer to what they are, as those whose derivatives of even order
    have one sign.
    """
    count, scale = len(rules), max(float(np.max(np.abs(each.nodes))) for each in rules)
    step = ROUNDING * epsilon * scale
    plain = [function(each.nodes) for each in rules]
    powers = _powers(plain)
    at = [np.ldexp(values, -powers) for values in plain]
    samples = np.array([values @ each.weights for values, each in zip(at, rules, strict=True)])
    value = np.mean(samples, axis=0)
    squares = [(values - value[:, None]) ** 2 @ each.weights for values, each in zip(at, rules, strict=True)]
    spread = np.sqrt(2 * np.mean(squares, axis=0) / size)
    coarse = np.mean([np.ldexp(function(r.coarse_nodes), -powers) @ r.coarse_weights for r in rules], axis=0)
    quadrature = np.abs(coarse - value)
    moved = [np.abs(function(each.nodes + step) - function(each.nodes - step)) for each in rules]
    moves = [np.ldexp(values, -powers) @ each.weights for values, each in zip(moved, rules, strict=True)]
    rounding = np.mean(moves, axis=0) / 2 + ROUNDING * epsilon * np.abs(value)
    half_widths = np.full_like(value, np.inf)
    if count > 1:
        deviation = np.hypot(np.maximum(spread, np.std(samples, axis=0, ddof=1)), LOST if scale else 0.0)
        sampling = widening(error_probability, count) * deviation / np.sqrt(count)
        if from_one_side:
            coarsest = [np.ldexp(function(r.coarsest_nodes), -powers) @ r.coarsest_weights for r in rules]
            before = np.abs(np.mean(coarsest, axis=0) - coarse)
            unsettled = quadrature > np.maximum(rounding, _SETTLED * sampling)
            quadrature = np.where(unsettled, _left_out(quadrature, before), quadrature)
        half_widths = sampling + quadrature + rounding
    return Means(*(np.ldexp(each, powers[:, 0]) for each in (value, half_widths, quadrature)))


def _left_out(last: Array, before: Array) -> Array:
    """What is left out where steps were doubled twice: as much as the last time changed, or all that would follow.

    That is where changes fall by the same share each time; infinite if they do not. Of a first change nothing is known.
    """
    share = last / before
    return np.where(before == 0, last, last * np.where(share < 1, np.maximum(1.0, share / (1 - share)), np.inf))


def _powers(values: Sequence[Array]) -> Array:
    """By function, the power of two above its largest value; 0 where one is no number."""
    largest = np.max([np.max(np.abs(each), axis=1, keepdims=True) for each in values], axis=0)
    return np.where(np.isfinite(largest), np.frexp(largest)[1], 0)
