"""Checks of derivatives by other means than differences: once more, elsewhere, forward, and in complex numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gradserve.execution import installed
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.jobs.derivatives.kinks import settled
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.verifications.losses import Losses
from gradserve.questions.call import Call
from gradserve.questions.derivations import Gradient, Jvp
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.verdicts import Verdict
from gradserve.questions.verification import CheckReport
from gradserve.runtime.control import Control
from gradserve.verification.complex_step import slope_by_complex_step
from gradserve.verification.directions import spread_directions
from gradserve.verification.finite_differences import remainder_order
from gradserve.verification.measure import Problem, differences_along

_ROUNDING = 4096.0
"""Spacings of the largest entry by which executors may differ: they sum in other orders."""
_LARGEST = 1 << 24
"""Elements of all values of a graph above which complex steps, which no worker takes, are left out."""
_SECOND = 3.0
"""The order of a remainder of which the second-order term is taken away."""
_SHORT = 0.5
"""By how much it may be lower, at steps where higher terms are heard still."""


@dataclass(frozen=True, eq=False)
class Thorough:
    """The checks of what is to be verified; those of our own rules are left out where a client claims the gradient."""

    context: Context
    call: Call
    losses: Losses
    problem: Problem
    wrt: tuple[str, ...]
    control: Control

    def checks(self, claimed: bool, seed: int) -> Iterator[CheckReport]:
        """Every check that can be made."""
        first = self._gradient(self.call)
        (direction,) = spread_directions(self.problem.point, 1, ~seed)
        yield self._determinism(first)
        if not claimed:
            yield from self._executors(first)
            yield self._forward(direction)
            yield self._second_remainder(direction)
        complex_step = self._complex_step(direction)
        if complex_step is not None:
            yield complex_step

    def _gradient(self, call: Call) -> Array:
        answer = settled(self.context, Differentiate(call, Gradient(self.wrt)), self.control)
        return self.losses.layout.pack(answer.arrays["gradient"])

    def _determinism(self, first: Array) -> CheckReport:
        apart = _apart(first, self._gradient(self.call))
        verdict = Verdict.DISAGREES if apart else Verdict.AGREES
        return CheckReport("determinism", verdict, apart, 0.0, f"two gradients differ by {apart:.1e}")

    def _executors(self, first: Array) -> Iterator[CheckReport]:
        """The gradient of every executor against that of the job's own."""
        size = float(np.abs(first).max(initial=0.0))
        bound = _ROUNDING * self.problem.epsilon * size
        for name in installed():
            options = replace(self.call.options, executor=name)
            apart = _apart(first, self._gradient(replace(self.call, options=options)))
            verdict = _verdict(apart, bound, self.problem.relative_tolerance * size)
            yield CheckReport("executors", verdict, apart, bound, f"{name} differs by {apart:.1e}")

    def _forward(self, direction: Array) -> CheckReport:
        """<grad f, v>, accumulated in reverse, against J v, accumulated forward."""
        types = self.call.graph.input_types
        parts = self.losses.layout.unpack(direction)
        tangents = {name: parts[name].astype(types[name].element_type.dtype) for name in self.wrt}
        answer = settled(self.context, Differentiate(self.call, Jvp(self.wrt), tangents), self.control)
        (slope,) = answer.arrays["tangent"].values()
        return self._compared("jvp and vjp", direction, float(slope), "forward")

    def _complex_step(self, direction: Array) -> CheckReport | None:
        """What is to be verified along a direction against the complex step; None if the graph is not analytic."""
        graph, layout = self.losses.graph, self.losses.layout
        if sum(type_.nbytes for type_ in graph.value_types) > _LARGEST * 8:
            return None
        slope = slope_by_complex_step(graph, self.losses.arguments, layout.unpack(direction))
        if slope is None:
            return None
        return self._compared("complex step", direction, slope, "by a complex step")

    def _compared(self, name: str, direction: Array, slope: float, how: str) -> CheckReport:
        claim = self.problem.claim(direction)
        apart = abs(claim.value - slope)
        verdict = _verdict(apart, claim.rounding, self.problem.relative_tolerance * claim.scale)
        text = f"{claim.value:.12g} along a direction, {how} {slope:.12g}"
        return CheckReport(name, verdict, apart, claim.rounding, text)

    def _second_remainder(self, direction: Array) -> CheckReport:
        """The order with which f(x + hv) falls once f, h <grad f, v> and h^2 <v, H v> / 2 are taken away."""
        (product,) = self.losses.products([direction])
        differences = self.losses.answer(differences_along(direction))
        bend = float(direction @ product.value) * differences.steps**2 / 2
        rest = replace(differences, right=differences.right - bend, left=differences.left - bend)
        order = remainder_order(rest, self.problem.claim(direction).value)
        short = max(0.0, _SECOND - order) if np.isfinite(order) else 0.0
        verdict = Verdict.AGREES if short <= _SHORT else Verdict.INCONCLUSIVE
        told = f"falls with the power {order:.2f} of the step" if np.isfinite(order) else "is below rounding"
        return CheckReport("second remainder", verdict, short, _SHORT, f"what H v leaves {told}")


def _apart(first: Array, second: Array) -> float:
    """The largest difference of two arrays; 0 where they are the same to the bit, NaN and all."""
    same = first.view(np.int64) == second.view(np.int64)
    differences = np.where(same, 0.0, np.abs(second - first))
    return float(np.max(np.where(np.isnan(differences), np.inf, differences), initial=0.0))


def _verdict(apart: float, bound: float, allowed: float) -> Verdict:
    if apart <= bound:
        return Verdict.AGREES
    return Verdict.INCONCLUSIVE if apart <= allowed else Verdict.DISAGREES
