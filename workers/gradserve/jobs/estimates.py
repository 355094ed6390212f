"""Estimates from random probes: samples from a sweep, looked at again and again until they say enough.

Probes depend on the seed alone, and samples are folded in the order of probes: the same seed gives the same bits on any
number of workers, and a longer estimate begins with the samples of a shorter one.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gradserve.autodiff import names
from gradserve.autodiff.derivation import added_inputs
from gradserve.estimation import automatic, estimator
from gradserve.estimation.diagonal import DiagonalSoFar
from gradserve.estimation.looks import Target, looks
from gradserve.estimation.recurrence import Space
from gradserve.estimation.trace import TraceSoFar
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.jobs import slopes, traces
from gradserve.jobs.calls import checked, inputs_in_question
from gradserve.jobs.chunks import Lap
from gradserve.jobs.context import Context
from gradserve.jobs.folds import KinkCount, count_nonfinite
from gradserve.jobs.kinks import resolved
from gradserve.jobs.multiplied import CHUNK_PROBES, Products, derivation_of, size_of_chunks
from gradserve.jobs.probes import probes_of
from gradserve.jobs.programs import Axis, Check
from gradserve.jobs.resolved import Resolved
from gradserve.jobs.sweep import Sweep, SweepSchedule, counting
from gradserve.pools.sources import array_of
from gradserve.pools.work import Shared, Signs, Source
from gradserve.questions.call import AtKinks, Call, Reduction, arrays_of
from gradserve.questions.derivations import Derivation
from gradserve.questions.estimates import (
    Estimate,
    EstimateDiagonal,
    EstimateTrace,
    Estimator,
    Matrix,
    Sampler,
    StopReason,
)
from gradserve.questions.report import Report
from gradserve.runtime.control import Control
from gradserve.verification.widen import epsilon_of

ESTIMATORS: Mapping[type[Estimate], type[estimator.Estimator]] = {
    EstimateTrace: TraceSoFar,
    EstimateDiagonal: DiagonalSoFar,
}
"""What answers each question."""
DEFAULT_PROBES = 4096
DEFAULT_CONFIDENCE = 0.95


def schedule(context: Context, question: Estimate, check: Check) -> SweepSchedule:
    """How the probes will be run, if all of them are: chunks of one size, so that bits do not depend on their number.

    Raises:
        InvalidRequest: `wrt`, a tolerance or the confidence do not fit, or the call has a batch.
        NotDifferentiable: there is no Hessian.
        LimitExceeded: more probes, memory or operations than allowed.
    """
    question = replace(question, call=checked(context, question.call, check))
    call, target = question.call, _admitted(context, question)
    if by_products(question, call.graph):
        assert isinstance(question, EstimateTrace)
        return _products(context, question, Control()).schedule(check, target.max_probes)
    derivation = counting(probed(question, call.graph), call.options)
    vectors = frozenset(added_inputs(call.graph, derivation))
    nbytes = sum(argument.nbytes for argument in call.arguments.values())
    sweep = Sweep(call.graph, derivation, call.options, nbytes, Axis(vectors, CHUNK_PROBES), divisible=False)
    size = size_of_chunks(sweep, context, check)
    laps = -(-target.max_probes // size)
    return replace(sweep, axis=Axis(vectors, size), laps=laps).schedule(context, check)


def answers(context: Context, question: Estimate, control: Control) -> Iterator[Any]:
    """Ever better estimates, the last one with a stop reason, and with its gradient if that is wanted.

    They come after numbers of probes that double. With a tolerance, all of their intervals together hold with
    probability `confidence`, so the last one does so whatever made it stop. Without one, each does by itself.

    Raises:
        InvalidRequest, NotDifferentiable, LimitExceeded: as `schedule` does.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    question = replace(question, call=checked(context, question.call, control.check))
    for answer in _estimates(context, question, control):
        if answer.stop_reason is not StopReason.NONE and isinstance(question, EstimateTrace) and question.gradient:
            answer = slopes.with_gradient(context, question, answer, control)
        yield answer


def _estimates(context: Context, question: Estimate, control: Control) -> Iterator[Any]:
    started = time.perf_counter()
    if by_products(question, question.call.graph):
        assert isinstance(question, EstimateTrace)
        products, target = _products(context, question, control), _admitted(context, question)
        yield from traces.answers(products, question, target, control, started)
        return
    target, taken = target_of(question), 0
    scheduled = schedule(context, question, control.check)
    probing = _Probing(question, scheduled, control, time.perf_counter() - started)
    found = ESTIMATORS[type(question)](question.seed, epsilon_of(question.call.graph))
    for look, probes in enumerate(looks(target), start=1):
        for samples in probing.samples(taken, probes):
            found = found.with_samples(samples)
        taken = probes
        answer = found.answer(target, look, probing.report)
        yield answer
        if answer.stop_reason is not StopReason.NONE:
            return


def by_products(question: Estimate, graph: Graph) -> bool:
    """Whether the estimator holds products; else it is made of quadratic forms, of which workers send numbers alone.

    Those are for signs alone, where they are asked for, where the rows of one chunk would fill the memory, or where a
    gradient is wanted: a basis would move with the inputs.
    """
    if not isinstance(question, EstimateTrace):
        return False
    forms = question.matrix is Matrix.HESSIAN and not (question.call.batch or question.diagonal)
    if question.estimator is Estimator.HUTCHINSON and question.sampler is not Sampler.SPHERE and forms:
        return False
    size = _space(question, graph).size
    if question.gradient and question.estimator is Estimator.AUTO:
        return automatic.all_columns(size, target_of(question))
    return not (forms and question.estimator is Estimator.AUTO and traces.capacity(size) < CHUNK_PROBES)


def _space(question: Estimate, graph: Graph) -> Space:
    return Space.of(graph.input_types, inputs_in_question(graph, question.wrt))


def _products(context: Context, question: EstimateTrace, control: Control) -> Products:
    return Products(context, question, inputs_in_question(question.call.graph, question.wrt), control)


def probed(question: Estimate, graph: Graph) -> Derivation:
    """What every probe is asked of."""
    if by_products(question, graph):
        assert isinstance(question, EstimateTrace)
        return derivation_of(question, inputs_in_question(graph, question.wrt))
    return ESTIMATORS[type(question)].derivation(inputs_in_question(graph, question.wrt))


def target_of(question: Estimate) -> Target:
    """How good an estimate is wanted, defaults filled in."""
    return Target(
        question.max_probes or DEFAULT_PROBES,
        question.relative_tolerance,
        question.absolute_tolerance,
        question.confidence or DEFAULT_CONFIDENCE,
    )


class _Probing:
    """Samples, probe by probe, from a pool."""

    def __init__(self, question: Estimate, scheduled: SweepSchedule, control: Control, planned: float) -> None:
        self._question, self._call, self._seed = question, question.call, question.seed
        self._estimator = ESTIMATORS[type(question)]
        self._scheduled, self._control, self._planned = scheduled, control, planned
        self._size = scheduled.sizes[0]
        types = question.call.graph.input_types
        self._types = {name: types[name] for name in inputs_in_question(question.call.graph, question.wrt)}
        self._left: list[tuple[int, Mapping[str, Array]]] = []
        self._chunks_run = 0
        self._kinks = KinkCount(scheduled.sweep.derivation)
        self._resolves = question.call.options.kinks is AtKinks.RESOLVE
        self._limits: Resolved | None = None
        self.report = Report()

    def samples(self, start: int, stop: int) -> Iterator[Mapping[str, Array]]:
        """Samples `start` to `stop`. Whole chunks are run; what they have beyond `stop` waits for the next look."""
        left, self._left = self._left, []
        for first, samples in left:
            yield self._between(first, samples, start, stop)
        chunks = range(self._chunks_run, max(self._chunks_run, -(-stop // self._size)))
        if not chunks:
            return
        nonfinite = 0
        outputs, reported = self._resolved(chunks) if self._resolves else self._swept(chunks)
        for k, found in zip(chunks, outputs, strict=True):
            samples = self._estimator.samples_of(found, functools.partial(self._probes, k))
            nonfinite += count_nonfinite(samples.values())
            yield self._between(k * self._size, samples, start, stop)
        report = replace(reported(self._planned), nonfinite_outputs=nonfinite)
        report = replace(self.report + report, kinks=report.kinks) if self._chunks_run else report
        self.report = replace(report, batch_size=chunks.stop * self._size)
        self._chunks_run, self._planned = chunks.stop, 0.0

    def _swept(self, chunks: range) -> tuple[Iterator[Mapping[str, Array]], Callable[[float], Report]]:
        """The outputs of chunks, and what tells of them."""
        running = self._scheduled.run(self._lap, arrays_of(self._call.arguments), self._control, chunks)

        def outputs() -> Iterator[Mapping[str, Array]]:
            for k, result in zip(chunks, running, strict=True):
                if not k:
                    self._kinks.add(result.outputs, one_point=True)
                yield result.outputs

        return outputs(), lambda planned: running.report(planned, kinks=self._kinks.done())

    def _resolved(self, chunks: range) -> tuple[Iterator[Mapping[str, Array]], Callable[[float], Report]]:
        """The outputs of chunks as limits, at a point on kinks, and what tells of them."""
        context, question = self._scheduled.context, self._question
        limits = self._limits = self._limits or resolved(context, self._call, question.wrt, self._control)
        derivation = probed(question, self._call.graph)

        def outputs() -> Iterator[Mapping[str, Array]]:
            for k in chunks:
                found = limits.products(derivation, {name: self._probes(k, name) for name in self._types})
                yield {f"{role}:{name}": array for role, named in found.items() for name, array in named.items()}

        return outputs(), lambda planned: replace(limits.spent(), plan=planned)

    def _between(self, first: int, samples: Mapping[str, Array], start: int, stop: int) -> Mapping[str, Array]:
        """The part of a chunk between two probes; keeps the chunk if there is more of it."""
        if first + self._size > stop:
            self._left.append((first, samples))
        low, high = max(start - first, 0), stop - first
        return {name: array[low:high] for name, array in samples.items()}

    def _lap(self, k: int) -> Lap:
        """Where the arguments of chunk `k` come from."""
        shared = {name: Shared(name) for name in self._call.arguments}
        return {**shared, **{names.tangent(name): self._signs(k, name) for name in self._types}}

    def _signs(self, k: int, name: str) -> Source:
        first = k * self._size
        return probes_of(Signs, self._seed, name, self._types[name], first, first + self._size)

    def _probes(self, k: int, name: str) -> Array:
        """The probes of chunk `k` in an input, made again where they are looked at."""
        return array_of(self._signs(k, name), {}, {})


def _admitted(context: Context, question: Estimate) -> Target:
    """How good an estimate is wanted, of a question that has a meaning and asks for no more than is allowed.

    Raises:
        InvalidRequest: it names all that does not fit.
        LimitExceeded: more probes or nodes than allowed.
    """
    target = target_of(question)
    violations = _violations(question, question.call, target)
    if violations:
        raise InvalidRequest("the request does not fit", violations)
    context.limits.check_count("probes", target.max_probes)
    context.limits.check_graph(question.call.graph)
    return target


def _violations(question: Estimate, call: Call, target: Target) -> list[Violation]:
    violations = []
    if call.batch and not (isinstance(question, EstimateTrace) and call.reduction is not Reduction.NONE):
        text = "an estimate is made at one point; leave the batch out"
        if isinstance(question, EstimateTrace):
            text = "an estimate is about one matrix; take the sum or the mean over the batch, or leave it out"
        violations.append(Violation("call.batch", "E1", text))
    if isinstance(question, EstimateTrace):
        size = _space(question, call.graph).size
        violations += traces.violations(question, target, size) if by_products(question, call.graph) else []
        violations += slopes.violations(question) if question.gradient else []
    if not 0 < target.confidence < 1:
        violations.append(Violation("confidence", "E2", f"{target.confidence} is not between 0 and 1"))
    for name in ("relative_tolerance", "absolute_tolerance"):
        tolerance = getattr(target, name)
        if not tolerance >= 0:
            violations.append(Violation(name, "E3", f"{tolerance} is no tolerance; 0 means none"))
    return violations
