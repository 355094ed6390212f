"""The spectrum of a Hessian: what is asked, and the current answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions import figures
from gradserve.questions.estimates import through_kinks
from gradserve.questions.matrices import OfMatrices
from gradserve.questions.options import option
from gradserve.questions.report import Report
from gradserve.questions.shown import Shown, Table


@dataclass(frozen=True, slots=True)
class TraceOf:
    """A number that is the trace of a function of the matrix, or made of one, with its interval."""

    name: str
    """Such as `tr A^2 / n` or `log det A`."""
    value: float
    """Not a number if the matrix has eigenvalues at which the function has no value; `remark` tells of it."""
    lower: float
    upper: float
    quadrature: float
    """The part of half the interval that stands for too few steps: 0 where so many are exact."""
    remark: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row of a table."""
        return self.name, f"{self.value:.8g}", f"{self.lower:.8g}", f"{self.upper:.8g}", self.remark


@dataclass(frozen=True, repr=False)
class SpectrumEstimate(Shown):
    """The current estimate of a spectrum, by Gauss quadrature from random vectors. Prints as a table; `.plot()` draws.

    Intervals cover, each with probability `confidence`, what the probes are a sample of; for steps that are too few
    they are widened by what half of the steps would have made different.
    """

    size: int
    """The number of rows of the matrix."""
    points: Array
    """Where density and distribution are given, from below the smallest node to above the largest."""
    density: Array
    """The density of eigenvalues, smoothed by normal densities of deviation `width`; its integral is 1."""
    density_half_widths: Array
    """Half the interval of each."""
    cumulative: Array
    """The share of eigenvalues up to each point, smoothed likewise."""
    cumulative_half_widths: Array
    width: float
    smallest: float
    """The smallest node: there is an eigenvalue within `smallest_error` of it, and none is known below."""
    smallest_error: float
    largest: float
    largest_error: float
    moments: tuple[TraceOf, ...]
    """tr A^p / n for p from 1 to 4."""
    functions: tuple[TraceOf, ...]
    """log det A, tr A^-1, tr exp A and the Frobenius norm of A."""
    nodes: Array
    """The quadrature of all probes together: tr f(A) is about n times the sum of weights times f(nodes)."""
    weights: Array
    steps: int
    probes: int
    done: bool
    """Whether these are all probes that were asked for."""
    seed: int
    confidence: float
    report: Report
    gradient: Mapping[str, Array] = field(default_factory=dict)
    """The gradient of log det A in the inputs, from the same probes; in the last alone, and if it was asked for.

    Not a number where there is no log det."""
    gradient_half_widths: Mapping[str, Array] = field(default_factory=dict)
    """Half the interval of each of its entries, as if samples were normal."""
    gradient_residual: float = 0.0
    """The largest |v - A x| / |v| of the systems that were solved for it: 0 where steps were enough."""
    point: int = 0
    """The point of the batch that it is about."""
    group: str = ""
    """The group of inputs that it is about; empty for all in question."""
    token: bytes = field(default=b"", repr=False)
    """What the same question goes on with from here; see `gradserve.questions.resuming`."""

    @property
    def ended(self) -> bool:
        """Whether nothing better follows about the same."""
        return self.done

    def trace_of(self, function: Callable[[Array], Array]) -> float:
        """The estimate of tr f(A) for any function of real numbers that takes arrays."""
        return float(self.size * np.vdot(self.weights, function(self.nodes)))

    def plot(self, axes: Any = None, logarithmic: bool = True) -> Any:
        """Draws the density, with its intervals, on Matplotlib axes; on new ones if none are given. Answers the axes.

        Raises:
            ImportError: Matplotlib is not installed.
        """
        axes = figures.axes(axes)
        self._draw(axes, logarithmic)
        return axes

    def _draw(self, axes: Any, logarithmic: bool = True) -> None:
        low, high = self.density - self.density_half_widths, self.density + self.density_half_widths
        axes.fill_between(self.points, np.maximum(low, 0.0), high, alpha=0.3, linewidth=0)
        axes.plot(self.points, self.density)
        if logarithmic:
            axes.set_yscale("log")
            axes.set_ylim(bottom=max(float(np.max(self.density)), 1e-300) * 1e-8)
        axes.set_xlabel("eigenvalue")
        axes.set_ylabel("density")

    def _tables(self) -> Iterator[Table]:
        yield Table(self._heading, _COLUMNS, tuple(each.cells for each in self.moments + self.functions))

    @property
    def _heading(self) -> str:
        ends = f"{self.smallest:.6g} ± {self.smallest_error:.1g} to {self.largest:.6g} ± {self.largest_error:.1g}"
        spent = f"{self.probes} probes of {self.steps} steps, {self.confidence:.0%} intervals"
        return f"{self.size} eigenvalues from {ends} ({spent}){through_kinks(self.report)}"


_COLUMNS = ("of the matrix A", "estimate", "lower", "upper", "")


@dataclass(frozen=True)
class EstimateSpectrum(OfMatrices):
    """Asks for the spectrum of the Hessian of a loss: density, distribution, ends, moments and traces of functions.

    By stochastic Lanczos quadrature with full re-orthogonalisation. The stream gives a full answer after 1, 2, 4, ...
    probes; probes depend on the seed alone, so the same seed gives the same bits on any number of workers.
    """

    probes: int = option(0, "random vectors to begin with; 0 for 16")
    steps: int = option(0, "products for each of them; 0 for 64")
    points: int = option(0, "points at which the density is given; 0 for 256")
    width: float = option(0.0, "deviation of the smoothing, as a share of the spectrum's extent; 0 for 0.02")
    damping: float = option(0.0, "a multiple of the identity that is added to the matrix")
    confidence: float = option(0.0, "the probability that an interval covers what is estimated; 0 for 0.95")
    gradient: bool = option(False, "give the gradient of log det A in the inputs as well, from the same probes")

    method = "hessian_spectrum"
    command = "spectrum"
    rpc = "EstimateSpectrum"
    answer = SpectrumEstimate
