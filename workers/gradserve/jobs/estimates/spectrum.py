"""The spectrum of a matrix: each probe is a chunk of its own, a run of Lanczos' recurrence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from gradserve.estimation.lanczos import Lanczos, LanczosSolve
from gradserve.estimation.recurrence import state
from gradserve.estimation.spectrum import SpectrumSoFar
from gradserve.ir.errors import Violation
from gradserve.ir.types import Array
from gradserve.jobs.estimates import slopes
from gradserve.jobs.estimates.points import at
from gradserve.jobs.estimates.probes import probes_of
from gradserve.jobs.estimates.slopes import Solved
from gradserve.jobs.estimates.visits import (
    at_most,
    each_group,
    in_groups,
    positive,
    prepared,
    refuse,
    schedule_of,
    space_of,
    visits_of,
)
from gradserve.jobs.sweeps.chunks import Lap
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.programs import Check
from gradserve.jobs.sweeps.resuming import Resumable
from gradserve.jobs.sweeps.sweep import SweepSchedule
from gradserve.pools.work import Shared, Signs
from gradserve.questions.matrices import Matrix
from gradserve.questions.resuming import Standing, State, refuse_token
from gradserve.questions.spectrum import EstimateSpectrum, SpectrumEstimate
from gradserve.runtime.control import Control
from gradserve.verification.widen import epsilon_of

PROBE_SECONDS = 1.0
"""Predicted seconds of a probe above which one looks after each."""
DEFAULT_PROBES, DEFAULT_STEPS, DEFAULT_POINTS = 16, 64, 256
DEFAULT_WIDTH, DEFAULT_CONFIDENCE = 0.02, 0.95
MOST_STEPS, MOST_POINTS = 1000, 10_000
"""Beyond these the answer itself would take long."""


def schedules(context: Context, question: EstimateSpectrum, check: Check) -> list[SweepSchedule]:
    """How all probes will be run, of each group at all points.

    Raises:
        InvalidRequest: the call or an option does not fit.
        NotDifferentiable: there is no such matrix.
        LimitExceeded: more probes, memory or operations than allowed.
    """
    named = prepared(context, question, check)
    points, call = named.call.points, at(named.call, 0)
    return [_schedule(context, replace(each, call=call), check, points) for each in each_group(named)]


def gradient_schedules(context: Context, question: EstimateSpectrum, check: Check) -> list[SweepSchedule]:
    """How the gradient of log det, which can be scheduled, will be run at a point."""
    named = prepared(context, question, check)
    asked = [replace(each, call=at(named.call, 0)) for each in each_group(named)]
    return [each for one in asked for each in slopes.schedules(context, one, named.probes or DEFAULT_PROBES, check)]


def answers(context: Context, question: EstimateSpectrum, control: Control) -> Iterator[SpectrumEstimate]:
    """The spectrum after 1, 2, 4, ... probes, or after each where they take long, and after all.

    Of several groups or points one after the other.

    Raises:
        InvalidRequest, NotDifferentiable, LimitExceeded: as `schedules` does.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    return in_groups(context, question, control, schedules, _answers)


def _answers(
    context: Context, named: EstimateSpectrum, control: Control, resumable: Resumable
) -> Iterator[SpectrumEstimate]:
    """The answers about one matrix."""
    scheduled = _schedule(context, named, control.check)
    visits = visits_of(context, named, _recurrence(context, named), scheduled, control, resumable.stood)
    found = _nothing(named)
    probes, solved = named.probes or DEFAULT_PROBES, Solved(context, named, control)
    looks = [*_looks(probes, scheduled.seconds / probes > PROBE_SECONDS)]
    rows = _rows(resumable.stood, looks, named)
    for row in rows:
        found = found.with_probe(row)

    def answer() -> SpectrumEstimate:
        report, done = visits.report(sum(len(row["diagonal"]) for row in rows)), len(rows) == probes
        told = resumable.marked(found.answer(done, report), _state(rows), report)
        return solved.with_gradient(told, rows) if done and named.gradient else told

    if rows:
        yield answer()
    for outputs in visits.each(lambda k: _lap(named, k), range(len(rows), probes)):
        rows, found = [*rows, outputs], found.with_probe(outputs)
        if len(rows) in looks:
            yield answer()


def _state(rows: Sequence[Mapping[str, Array]]) -> State:
    """What the recurrences of the probes so far gave: tridiagonal matrices of any size, and perhaps solutions."""
    parts = {name: [row[name] for row in rows] for name in rows[0]}
    found = {name: (np.concatenate if name in Lanczos.gives else np.stack)(each) for name, each in parts.items()}
    return {"steps": np.array([len(row["diagonal"]) for row in rows]), **found}


def _rows(stood: Standing | None, looks: Sequence[int], question: EstimateSpectrum) -> list[Mapping[str, Array]]:
    """Those of a token; none without one."""
    if stood is None:
        return []
    steps = stood.counts("steps", 1, _steps(question))
    if len(steps) not in looks:
        refuse_token("the number of probes")
    cuts = np.cumsum(steps)[:-1]
    parts: dict[str, Sequence[Array]] = {part: np.split(stood.array(part, sum(steps)), cuts) for part in Lanczos.gives}
    if question.gradient:
        parts["solution"] = [*stood.array("solution", len(steps), space_of(question).size)]
        parts["residual"] = [*stood.array("residual", len(steps))]
    return [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]


def _looks(probes: int, each: bool) -> Iterator[int]:
    """The numbers of probes after which one looks."""
    look = 1
    while look < probes:
        yield look
        look = look + 1 if each else 2 * look
    yield probes


def _schedule(context: Context, question: EstimateSpectrum, check: Check, points: int = 1) -> SweepSchedule:
    refuse(_violations(question))
    probes = question.probes or DEFAULT_PROBES
    context.limits.check_count("probes", probes)
    context.limits.check_held(_steps(question), space_of(question).size)
    schedule_of(context, question, None, check=check)  # refuses what there is no matrix of
    return schedule_of(context, question, _recurrence(context, question), points * probes, check)


def _recurrence(context: Context, question: EstimateSpectrum) -> Lanczos:
    """What every probe begins."""
    given = space_of(question), _steps(question), epsilon_of(question.call.graph), context.limits.held_memory_bytes
    return LanczosSolve(*given, question.damping) if question.gradient else Lanczos(*given)


def _violations(question: EstimateSpectrum) -> list[Violation]:
    violations = at_most("steps", question.steps, MOST_STEPS, "there are at most")
    violations += at_most("points", question.points, MOST_POINTS, "there are at most")
    violations += positive("width", question.width) + positive("damping", question.damping)
    if not 0 <= question.confidence < 1:
        violations.append(Violation("confidence", "K5", f"{question.confidence} is not between 0 and 1"))
    if question.gradient and question.matrix is not Matrix.HESSIAN:
        text = "the gradient is that of the Hessian's log det; leave the matrix out"
        violations.append(Violation("gradient", "K10", text))
    if question.gradient and question.call.batch:
        text = "the gradient is that of one Hessian; put the sum over examples into the loss"
        violations.append(Violation("gradient", "K10", text))
    return violations


def _steps(question: EstimateSpectrum) -> int:
    """More steps than there are dimensions find nothing more."""
    return min(question.steps or DEFAULT_STEPS, space_of(question).size)


def _nothing(question: EstimateSpectrum) -> SpectrumSoFar:
    """The estimate before the first probe."""
    return SpectrumSoFar(
        size=space_of(question).size,
        epsilon=epsilon_of(question.call.graph),
        seed=question.seed,
        steps=_steps(question),
        damping=question.damping,
        confidence=question.confidence or DEFAULT_CONFIDENCE,
        points=question.points or DEFAULT_POINTS,
        width=question.width or DEFAULT_WIDTH,
    )


def _lap(question: EstimateSpectrum, k: int) -> Lap:
    """Probe `k`: the signs that estimates of traces begin with as well."""
    types = question.call.graph.input_types
    signs = {state(name): probes_of(Signs, question.seed, name, types[name], k, k + 1) for name in question.wrt}
    return {**{name: Shared(name) for name in question.call.arguments}, **signs}
