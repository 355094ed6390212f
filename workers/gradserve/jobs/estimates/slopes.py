"""Gradients of forms <u, H v> in the inputs in question, and of estimates that are means or sums of them.

With u and v fixed the gradient of <u, H v> is the derivative of H v along u, so each costs about two products. Signs
are those of the estimate: the mean of the gradients is the gradient of the mean.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.derivation import Slope, added_inputs
from gradserve.estimation.entries import Means
from gradserve.estimation.recurrence import Space
from gradserve.estimation.running import ROUNDING, widening
from gradserve.ir.errors import Violation
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.jobs.estimates.probes import probes_of
from gradserve.jobs.sweeps.calls import inputs_in_question
from gradserve.jobs.sweeps.chunks import Lap
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.folds import count_nonfinite
from gradserve.jobs.sweeps.programs import Check
from gradserve.jobs.sweeps.sweep import SweepSchedule
from gradserve.jobs.sweeps.vectors import OverVectors
from gradserve.pools.work import OneHots, Rows, Shared, Signs, Source
from gradserve.questions.call import AtKinks, Call, Reduction, arrays_of
from gradserve.questions.estimates import EstimateTrace, Estimator, Sampler, StopReason, TraceEstimate
from gradserve.questions.matrices import Matrix
from gradserve.questions.report import Report
from gradserve.questions.spectrum import EstimateSpectrum, SpectrumEstimate
from gradserve.runtime.control import Control
from gradserve.verification.widen import epsilon_of

Pair: TypeAlias = Callable[[str, TensorType, int, int], tuple[Source, Source]]
"""Where u and v come from: by the input, its type, the first of them and the one after the last."""


@dataclass(frozen=True)
class Gradient:
    """The gradient of an estimate, by input."""

    values: Mapping[str, Array]
    half_widths: Mapping[str, Array]
    """Half the interval of each entry."""
    report: Report


def violations(question: EstimateTrace) -> list[Violation]:
    """Why an estimate has no gradient here."""
    found = []
    if question.matrix is not Matrix.HESSIAN or question.call.reduction is not Reduction.NONE:
        text = "gradients are of the trace of one Hessian; put a mean over examples into the loss"
        found.append(Violation("gradient", "E8", text))
    if question.estimator not in (Estimator.AUTO, Estimator.HUTCHINSON, Estimator.EXACT):
        text = f"the basis of {question.estimator} moves with the inputs; ask for auto, hutchinson or exact"
        found.append(Violation("estimator", "E8", text))
    if question.sampler is Sampler.SPHERE or question.diagonal:
        text = "gradients are of the trace from signs alone; leave sampler and diagonal out"
        found.append(Violation("gradient", "E8", text))
    if question.call.options.kinks is AtKinks.RESOLVE:
        text = "kinks are not resolved in third derivatives; ask for the gradient without it"
        found.append(Violation("call.options.kinks", "E8", text))
    return found


def with_gradient(context: Context, question: EstimateTrace, answer: TraceEstimate, control: Control) -> TraceEstimate:
    """An estimate with its gradient, from its own vectors."""
    slopes = Slopes(context, question.call, question.wrt, control)
    if answer.stop_reason is StopReason.EXACT:
        found = slopes.total()
    else:
        found = slopes.mean(answer.probes, functools.partial(_twice, question.seed), {}, answer.confidence)
    report = replace(answer.report + found.report, kinks=answer.report.kinks, batch_size=answer.report.batch_size)
    return replace(answer, gradient=found.values, gradient_half_widths=found.half_widths, report=report)


def schedules(
    context: Context, question: EstimateTrace | EstimateSpectrum, count: int, check: Check
) -> list[SweepSchedule]:
    """How the gradient of an estimate from so many vectors will be run: chunks of one size after others.

    Raises:
        InvalidRequest, NotDifferentiable, LimitExceeded: it cannot be.
    """
    return Slopes(context, question.call, question.wrt, Control()).schedules(count, check)


class Slopes:
    """Runs the gradients of forms at one point."""

    def __init__(self, context: Context, call: Call, wrt: tuple[str, ...], control: Control) -> None:
        """`call` is checked."""
        self._context, self._call, self._control = context, call, control
        wrt = inputs_in_question(call.graph, wrt)
        derivation, self.space = Slope(wrt), Space.of(call.graph.input_types, wrt)
        nbytes = sum(argument.nbytes for argument in call.arguments.values())
        self._cut = OverVectors(call, derivation, frozenset(added_inputs(call.graph, derivation)), nbytes)
        self._epsilon = epsilon_of(call.graph)
        self._report = Report()

    def schedules(self, count: int, check: Check) -> list[SweepSchedule]:
        """How the gradients of so many pairs will be run: chunks of one size after others.

        Raises:
            InvalidRequest, NotDifferentiable, LimitExceeded: they cannot be.
        """
        pieces = self._cut.pieces(0, count, self._context, check)
        return [sweep.schedule(self._context, check) for sweep, _ in pieces]

    def mean(self, count: int, pair: Pair, data: Mapping[str, Array], confidence: float) -> Gradient:
        """The mean over so many pairs, each entry with an interval as long as that of normal samples."""
        means = Means()
        for rows in self._rows(count, pair, data):
            means = means.with_samples(rows)
        wide = widening(1 - confidence, count) / np.sqrt(count) if count > 1 else np.inf
        half_widths = {}
        for name, each in means.entries.items():
            deviation = np.hypot(np.sqrt(each.squares / max(count - 1, 1)), each.lost)
            sampling = wide * deviation if count > 1 else np.full_like(deviation, np.inf)
            half_widths[name] = np.asarray(sampling + ROUNDING * self._epsilon * each.largest)
        return Gradient(means.values, half_widths, self._report)

    def total(self) -> Gradient:
        """The sum over all unit vectors, each with itself: the gradient of the trace."""
        total, sizes = (dict.fromkeys(self.space.types, np.zeros(())) for _ in range(2))
        for rows in self._rows(self.space.size, self._units, {}):
            total = {name: total[name] + array.sum(axis=0, dtype=np.float64) for name, array in rows.items()}
            sizes = {name: sizes[name] + np.abs(array).sum(axis=0, dtype=np.float64) for name, array in rows.items()}
        rounding = {name: np.asarray(ROUNDING * self._epsilon * array) for name, array in sizes.items()}
        return Gradient({name: np.asarray(array) for name, array in total.items()}, rounding, self._report)

    def _rows(self, count: int, pair: Pair, data: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
        """The gradients of pairs 0 to `count`, some at a time, by input."""
        check, given = self._control.check, {**arrays_of(self._call.arguments), **data}
        nbytes = sum(array.nbytes for array in data.values())
        for sweep, first in self._cut.pieces(0, count, self._context, check, nbytes):
            lap = functools.partial(self._lap, pair, first, sweep.at_once)
            running = sweep.schedule(self._context, check).run(lap, given, self._control)
            nonfinite = 0
            for result in running:
                rows = {name: result.outputs[names.slope(name)] for name in self.space.types}
                nonfinite += count_nonfinite(rows.values())
                yield rows
            self._report += running.report(0.0, nonfinite_outputs=nonfinite)

    def _lap(self, pair: Pair, first: int, size: int, k: int) -> Lap:
        low = first + k * size
        sources: dict[str, Source] = {name: Shared(name) for name in self._call.arguments}
        for name, type_ in self.space.inputs:
            u, v = pair(name, type_, low, low + size)
            sources |= {names.direction(name): u, names.tangent(name): v}
        return sources

    def _units(self, name: str, type_: TensorType, start: int, stop: int) -> tuple[Source, Source]:
        units = OneHots(start, stop, self.space.slices()[name].start, type_.lengths, type_.element_type)
        return units, units


def _twice(seed: int, name: str, type_: TensorType, start: int, stop: int) -> tuple[Source, Source]:
    """Signs, each with itself."""
    signs = probes_of(Signs, seed, name, type_, start, stop)
    return signs, signs


class Solved:
    """The gradient of log det (A + damping I), from what Lanczos' recurrence has solved for each probe v.

    It is the mean of that of <u, A v> with u = (A + damping I)^-1 v held fixed.
    """

    def __init__(self, context: Context, question: EstimateSpectrum, control: Control) -> None:
        """`question` has its call checked and its inputs named."""
        self._context, self._question, self._control = context, question, control

    def with_gradient(self, answer: SpectrumEstimate, rows: Sequence[Mapping[str, Array]]) -> SpectrumEstimate:
        """The spectrum with the gradient, from what the recurrence gave for each probe.

        Not a number where the matrix has no log det.
        """
        question = self._question
        slopes = Slopes(self._context, question.call, question.wrt, self._control)
        if any(each.name == "log det A" and each.remark for each in answer.functions):
            nothing = {name: np.full(type_.lengths, np.nan) for name, type_ in slopes.space.inputs}
            return replace(answer, gradient=nothing, gradient_half_widths=nothing, gradient_residual=np.nan)
        solutions = slopes.space.typed(np.stack([row["solution"] for row in rows]))
        data = {_solution(name): array for name, array in solutions.items()}
        found = slopes.mean(len(rows), functools.partial(_solved, question.seed), data, answer.confidence)
        report = replace(answer.report + found.report, kinks=answer.report.kinks)
        return replace(
            answer,
            gradient=found.values,
            gradient_half_widths=found.half_widths,
            gradient_residual=max(float(row["residual"]) for row in rows),
            report=report,
        )


def _solution(name: str) -> str:
    return f"solution:{name}"


def _solved(seed: int, name: str, type_: TensorType, start: int, stop: int) -> tuple[Source, Source]:
    """Solutions of systems, each with the signs that are its right-hand side."""
    return Rows(_solution(name), start, stop), probes_of(Signs, seed, name, type_, start, stop)
