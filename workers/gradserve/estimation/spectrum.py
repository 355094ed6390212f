"""Stochastic Lanczos quadrature: the spectrum of a symmetric matrix from random signs.

A probe v of n signs and m steps of Lanczos' recurrence give nodes and weights for which n times the sum of weights
times f(nodes) is <v, f(A) v>, exactly for polynomials up to the degree 2 m - 1 (G. H. Golub, J. H. Welsch, 1969); its
mean over probes is tr f(A) (S. Ubaru, J. Chen, Y. Saad, 2017).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gradserve.estimation.quadrature import ROUNDING, Means, Rule, Values, means
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.report import Report
from gradserve.questions.spectrum import SpectrumEstimate, TraceOf

POWERS = ("A", "A^2", "A^3", "A^4")
_MARGIN = 4.0
"""How far the grid reaches beyond the nodes, in deviations of the smoothing."""
_TINY = 1e-3
"""The extent of a spectrum of one point, as a share of its size."""


@dataclass(frozen=True)
class SpectrumSoFar:
    """The quadratures of the probes so far."""

    size: int
    epsilon: float
    seed: int
    steps: int
    damping: float
    confidence: float
    points: int
    width: float
    rules: tuple[Rule, ...] = ()

    def with_probe(self, found: Mapping[str, Array]) -> SpectrumSoFar:
        """The estimate after one more probe, of which this is the tridiagonal matrix."""
        made = Rule.of(found["diagonal"], found["off_diagonal"], self.damping)
        return replace(self, rules=(*self.rules, made))

    def answer(self, done: bool, report: Report) -> SpectrumEstimate:
        """The full current answer."""
        nodes = np.concatenate([each.nodes for each in self.rules])
        errors = np.concatenate([each.errors for each in self.rules])
        low, high = int(np.argmin(nodes)), int(np.argmax(nodes))
        smallest, largest = float(nodes[low]), float(nodes[high])
        rounding = ROUNDING * self.epsilon * max(abs(smallest), abs(largest))
        width = self.width * (max(largest - smallest, _TINY * max(abs(smallest), abs(largest))) or 1.0)
        points = np.linspace(smallest - _MARGIN * width, largest + _MARGIN * width, self.points)
        density = self._means(lambda x: _normal((points[:, None] - x) / width) / width)
        cumulative = self._means(lambda x: _distribution((points[:, None] - x) / width))
        moments = self._means(lambda x: x ** np.arange(1, len(POWERS) + 1)[:, None])
        return SpectrumEstimate(
            size=self.size,
            points=points,
            density=density.values,
            density_half_widths=density.half_widths,
            cumulative=cumulative.values,
            cumulative_half_widths=cumulative.half_widths,
            width=width,
            smallest=smallest,
            smallest_error=float(errors[low]) + rounding,
            largest=largest,
            largest_error=float(errors[high]) + rounding,
            moments=tuple(
                _trace(f"tr {name} / n", moments, p, 1.0, (-math.inf, 0.0)[p % 2]) for p, name in enumerate(POWERS)
            ),
            functions=self._functions(smallest, largest),
            nodes=nodes,
            weights=np.concatenate([each.weights for each in self.rules]) / len(self.rules),
            steps=self.steps,
            probes=len(self.rules),
            done=done,
            seed=self.seed,
            confidence=self.confidence,
            report=report,
        )

    def _means(self, function: Values, from_one_side: bool = False) -> Means:
        return means(self.rules, function, self.size, 1 - self.confidence, self.epsilon, from_one_side)

    def _functions(self, smallest: float, largest: float) -> tuple[TraceOf, ...]:
        n, positive = self.size, self._outside(smallest, largest)
        overflows = "" if largest < math.log(np.finfo(np.float64).max / n) else f"it overflows at {largest:.3g}"
        power = math.frexp(max(abs(smallest), abs(largest)))[1]  # squares of multiples are numbers where others are not
        squares = self._means(lambda x: np.square(np.ldexp(x, -power))[None])
        return (
            _unless(positive, _trace("log det A", self._means(lambda x: np.log(x)[None], True), 0, n)),
            _unless(positive, _trace("tr A^-1", self._means(lambda x: 1 / x[None], True), 0, n, 0.0)),
            _unless(overflows, _trace("tr exp A", self._means(lambda x: np.exp(x)[None]), 0, n, 0.0)),
            _root(_trace("|A|_F", squares, 0, n), power),
        )

    def _outside(self, smallest: float, largest: float) -> str:
        """Why there is neither a logarithm nor an inverse that means something; empty if there is."""
        if smallest > 16 * self.epsilon * max(abs(smallest), abs(largest)):
            return ""
        return f"an eigenvalue near {smallest:.3g} is not above 0; give a damping"


def _trace(name: str, found: Means, row: int, factor: float, least: float = -math.inf) -> TraceOf:
    """A row of means as a trace; what it is at `least` is known without it."""
    value, half = factor * float(found.values[row]), factor * float(found.half_widths[row])
    quadrature = factor * float(found.quadrature[row])
    remark = "so few steps do not resolve it; take more, or a damping" if math.isinf(quadrature) else ""
    return TraceOf(name, value, max(value - half, least), value + half, quadrature, remark)


def _unless(reason: str, found: TraceOf) -> TraceOf:
    return TraceOf(found.name, math.nan, math.nan, math.nan, math.nan, reason) if reason else found


def _root(square: TraceOf, power: int) -> TraceOf:
    """The square root of a number that is not negative, times a power of two."""
    value, low, high = (math.sqrt(max(x, 0.0)) for x in (square.value, square.lower, square.upper))
    quadrature = math.sqrt(max(square.value, 0.0) + square.quadrature) - value
    with np.errstate(over="ignore"):
        found = np.ldexp([value, low, high, quadrature], power).tolist()
    return TraceOf(square.name, *found)


def _normal(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


def _distribution(x: Array) -> Array:
    # Imported where needed: a light client has no SciPy and makes no estimates.
    from scipy.special import ndtr

    return np.asarray(ndtr(x))
