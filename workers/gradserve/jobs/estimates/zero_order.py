"""Gradients from values alone: difference quotients along random directions, or along every entry.

All directions of a look are chunks of sweeps, in sizes that depend on predicted cost alone. Workers send one number for
each direction; the directions are made again here, where they are weighed with these.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.derivation import TwoPoint
from gradserve.estimation.looks import Target, moments
from gradserve.estimation.recurrence import Space
from gradserve.estimation.two_point import Known, SlopesSoFar, by_row
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.jobs.derivatives.derivative import differentiate
from gradserve.jobs.estimates.estimates import target_of, target_violations
from gradserve.jobs.estimates.probes import probes_of
from gradserve.jobs.sweeps.calls import checked, inputs_in_question
from gradserve.jobs.sweeps.chunks import Lap
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.folds import count_nonfinite
from gradserve.jobs.sweeps.programs import Check
from gradserve.jobs.sweeps.resuming import Resumable
from gradserve.jobs.sweeps.sweep import SweepSchedule
from gradserve.jobs.sweeps.vectors import CHUNK_PROBES, OverVectors, block_of
from gradserve.jobs.verifications.losses import Losses
from gradserve.pools.sources import array_of
from gradserve.pools.work import Normals, OneHots, Shared, Signs, Source
from gradserve.questions.call import Call
from gradserve.questions.derivations import Evaluate
from gradserve.questions.estimates import StopReason
from gradserve.questions.report import Report
from gradserve.questions.resuming import Standing, State, refuse_token
from gradserve.questions.zero_order import Directions, EstimateGradient, GradientEstimate, Scheme
from gradserve.runtime.control import Control
from gradserve.verification.noise import EPSILON
from gradserve.verification.step_size import Choice, Step
from gradserve.verification.widen import widened


def schedule(context: Context, question: EstimateGradient, check: Check) -> SweepSchedule:
    """How all directions will be run, if all of them are; without the values that choose a step.

    Raises:
        InvalidRequest: the question does not fit.
        NotDifferentiable: the graph is no loss.
        LimitExceeded: more directions, memory or operations than allowed.
    """
    return _Slopes(context, question, checked(context, question.call, check), check).schedule()


def answers(context: Context, question: EstimateGradient, control: Control) -> Iterator[GradientEstimate]:
    """Ever better estimates, the last one with a stop reason; of full differences the one answer.

    Raises:
        InvalidRequest, NotDifferentiable, LimitExceeded: as `schedule` does.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    started = time.perf_counter()
    resumable = Resumable(question)
    context, call = resumable.context(context), checked(context, question.call, control.check)
    slopes = _Slopes(context, question, call, control.check)
    slopes.schedule()
    losses = Losses(context, call, slopes.wrt, control)
    step = _step(question, losses, resumable.stood)
    kinks = losses.kinks()
    running = _Running(slopes, losses, step, control, time.perf_counter() - started)
    found = running.full() if question.sampler is Directions.BASIS else running.sampled(resumable)
    for answer in found:
        yield replace(answer, report=replace(answer.report, kinks=kinks))


def two_point(question: EstimateGradient, graph: Graph) -> TwoPoint:
    """What every direction is asked of."""
    central, on_sphere = question.scheme is Scheme.CENTRAL, question.sampler is Directions.SPHERE
    return TwoPoint(inputs_in_question(graph, question.wrt), central, on_sphere)


def _step(question: EstimateGradient, losses: Losses, stood: Standing | None) -> Step:
    """The step that is given, whose error nobody knows, or else the one that suits the loss, or suited it before."""
    if stood is not None:
        losses.evaluations = stood.count("evaluations")
        return Step(stood.number("step", 0.0), stood.number("step_error"))
    if question.step:
        return Step(question.step, float("nan"))
    choice = Choice(losses.layout.pack(losses.arguments), question.scheme is Scheme.CENTRAL, question.seed)
    return choice.made(losses.at(choice.stage))


class _Slopes:
    """Difference quotients along directions: what is run, and how it is cut."""

    def __init__(self, context: Context, question: EstimateGradient, call: Call, check: Check) -> None:
        """`call` is checked; the question is seen to fit it."""
        self.context, self.question, self.check = context, question, check
        self.wrt = inputs_in_question(call.graph, question.wrt)
        self.derivation = two_point(question, call.graph)
        context.programs.derived(call.graph, self.derivation, check)  # refuses what is no loss
        self.graph = widened(call.graph)
        self.space = Space.of(self.graph.input_types, self.wrt)
        self.target = self._target(call)
        nbytes = sum(argument.nbytes for argument in call.arguments.values())
        directions = frozenset(names.direction(name) for name in self.wrt)
        most, wide = min(CHUNK_PROBES, self.target.max_probes), replace(call, graph=self.graph)
        self._cut = OverVectors(wide, self.derivation, directions, nbytes, most)

    def schedule(self) -> SweepSchedule:
        """How all directions will be run."""
        return self._cut.whole(self.target.max_probes, self.context, self.check).schedule(self.context, self.check)

    def chunks(self, start: int, stop: int) -> Iterator[tuple[SweepSchedule, int]]:
        """The sweeps that run directions `start` to `stop`, and the first direction of each."""
        for sweep, first in self._cut.pieces(start, stop, self.context, self.check):
            yield sweep.schedule(self.context, self.check), first

    def source(self, name: str, start: int, stop: int) -> Source:
        """Where directions come from in an input."""
        type_ = self.space.types[name]
        if self.question.sampler is Directions.BASIS:
            return OneHots(start, stop, self.space.slices()[name].start, type_.lengths, type_.element_type)
        kind: type[Signs] | type[Normals] = Signs if self.question.sampler is Directions.SIGNS else Normals
        return probes_of(kind, self.question.seed, name, type_, start, stop)

    def _target(self, call: Call) -> Target:
        """How good an estimate is wanted.

        Raises:
            InvalidRequest: it names all that does not fit.
            LimitExceeded: more directions or nodes than allowed.
        """
        question, target = self.question, target_of(self.question)
        violations = target_violations(target)
        if call.batch:
            violations.append(Violation("call.batch", "E1", "an estimate is made at one point; leave the batch out"))
        if not 0 <= question.step < np.inf:
            violations.append(Violation("step", "E8", f"{question.step} is no step; 0 chooses one by measuring"))
        if question.sampler is Directions.BASIS:
            violations += self._basis_violations(target)
            target = replace(target, max_probes=self.space.size)
        if violations:
            raise InvalidRequest("the request does not fit", violations)
        self.context.limits.check_count("probes", target.max_probes)
        self.context.limits.check_graph(call.graph)
        return target

    def _basis_violations(self, target: Target) -> list[Violation]:
        size, most, found = self.space.size, self.question.max_probes, []
        if most and most < size:
            text = f"there are {size} entries, and {most} directions are allowed; allow more, or take random ones"
            found.append(Violation("max_probes", "E4", text))
        if target.stops_early:
            text = "full differences take every entry; leave tolerances out, or take random directions"
            found.append(Violation("sampler", "E9", text))
        return found


class _Running:
    """Difference quotients at a point, from a pool, and what they say of the gradient."""

    def __init__(self, slopes: _Slopes, losses: Losses, step: Step, control: Control, planned: float) -> None:
        self._slopes, self._losses, self._step, self._control = slopes, losses, step, control
        self._question = slopes.question
        self._planned, self._probes, self._nonfinite = planned, 0, 0
        self._origins = 0
        self._report = losses.report
        self._data: Mapping[str, Array] = {**losses.arguments, names.STEP: np.asarray(step.size)}
        if self._question.scheme is Scheme.FORWARD:
            self._data = {**self._data, names.ORIGIN: self._origin()}

    def sampled(self, resumable: Resumable) -> Iterator[GradientEstimate]:
        """Estimates from random directions."""
        target, error = self._slopes.target, self._step.error
        found = self._beginning(resumable.stood)
        told = [*moments(target, block_of(self._slopes.schedule()))]
        if found.means.count not in (0, *(probes for _, probes, _ in told)):
            refuse_token("the number of directions")
        for look, probes, ends in told:
            if probes < found.means.count:
                continue
            for slopes, factors, sources in self._between(found.means.count, probes):
                found = found.with_samples(slopes, self._directions(sources, factors))
            known = found.known(target, look, EPSILON, 0.0 if np.isnan(error) else error)
            known = known if ends else replace(known, reason=StopReason.NONE)
            answer = self._answer(known)
            yield resumable.marked(answer, {**found.state(), **self._state()}, answer.report)
            if known.reason is not StopReason.NONE:
                return

    def _beginning(self, stood: Standing | None) -> SlopesSoFar:
        """No samples, or those that were there where the work stood."""
        found = SlopesSoFar(self._question.sampler, self._slopes.space.size)
        if stood is None:
            return found
        found = found.standing(stood, {name: type_.lengths for name, type_ in self._slopes.space.types.items()})
        self._probes, self._nonfinite = found.means.count, stood.count("nonfinite")
        self._report = stood.report
        return found

    def _state(self) -> State:
        """What was found beside the samples."""
        step = {"step": np.asarray(self._step.size), "step_error": np.asarray(self._step.error)}
        counts = {"evaluations": self._losses.evaluations, "nonfinite": self._nonfinite}
        return {**step, **{name: np.asarray(count) for name, count in counts.items()}}

    def full(self) -> Iterator[GradientEstimate]:
        """The gradient from differences along every entry."""
        space, error = self._slopes.space, self._step.error
        slopes = [slopes for slopes, *_ in self._between(0, space.size)]
        values = space.split(np.concatenate(slopes) if slopes else np.zeros(0))
        errors = {name: np.zeros_like(array) for name, array in values.items()}
        widths = {name: np.full_like(array, error) for name, array in values.items()}
        yield self._answer(Known(values, errors, widths, 0.0, StopReason.EXACT))

    def _between(self, start: int, stop: int) -> Iterator[tuple[Array, Array, Lap]]:
        """The slopes along directions `start` to `stop` by chunks, what brought these to the sphere, and arguments."""
        for scheduled, first in self._slopes.chunks(start, stop):
            yield from self._run(scheduled, first)

    def _run(self, scheduled: SweepSchedule, first: int) -> Iterator[tuple[Array, Array, Lap]]:
        """Those of the chunks of a sweep, which begins with direction `first`."""
        size, types = scheduled.sizes[0], self._slopes.space.types

        def lap(k: int) -> Lap:
            low = first + k * size
            shared = {name: Shared(name) for name in self._data}
            return {**shared, **{names.direction(n): self._slopes.source(n, low, low + size) for n in types}}

        running = scheduled.run(lap, self._data, self._control)
        for k, result in enumerate(running):
            self._probes += size
            slopes = np.asarray(result.outputs[names.SLOPE])
            self._nonfinite += count_nonfinite([slopes])
            yield slopes, np.asarray(result.outputs.get(names.FACTOR, np.ones(size))), lap(k)
        self._note(running.report(self._planned))
        self._planned = 0.0

    def _directions(self, sources: Lap, factors: Array) -> dict[str, Array]:
        """Those of a chunk, made again."""
        drawn = {n: array_of(sources[names.direction(n)], {}, {}) for n in self._slopes.space.types}
        return {n: by_row(factors, array) * array for n, array in drawn.items()}

    def _origin(self) -> Array:
        """The loss at the point itself."""
        call = replace(self._question.call, graph=self._losses.graph, arguments=self._losses.arguments)
        outputs, spent = differentiate(self._slopes.context, call, Evaluate(), {}, self._control)
        self._note(spent)
        self._origins = 1
        (loss,) = outputs.values()
        return np.asarray(loss, np.float64)

    def _note(self, spent: Report) -> None:
        self._report = self._report + spent if self._report.executor else spent

    def _answer(self, known: Known) -> GradientEstimate:
        each = 2 if self._question.scheme is Scheme.CENTRAL else 1
        return GradientEstimate(
            values=known.values,
            standard_errors=known.standard_errors,
            half_widths=known.half_widths,
            widest=known.widest,
            variance=known.variance,
            probes=self._probes,
            evaluations=self._losses.evaluations + self._origins + each * self._probes,
            step=self._step.size,
            step_error=self._step.error,
            stop_reason=known.reason,
            seed=self._question.seed,
            confidence=self._slopes.target.confidence,
            report=replace(self._report, batch_size=self._probes, nonfinite_outputs=self._nonfinite),
        )
