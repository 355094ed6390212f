"""Samples of what is asked of random signs, probe by probe, from chunks of one size."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from gradserve.autodiff import names
from gradserve.autodiff.derivation import Curvature, Form, added_inputs
from gradserve.estimation import estimator
from gradserve.estimation.diagonal import DiagonalSoFar
from gradserve.estimation.trace import TraceSoFar
from gradserve.ir.types import Array
from gradserve.jobs.derivatives.kinks import resolved
from gradserve.jobs.derivatives.resolved import Resolved
from gradserve.jobs.estimates.multiplied import not_finite, product_of
from gradserve.jobs.estimates.probes import probes_of
from gradserve.jobs.sweeps.calls import inputs_in_question
from gradserve.jobs.sweeps.chunks import Lap
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.counted import counting
from gradserve.jobs.sweeps.cut import Part
from gradserve.jobs.sweeps.folds import KinkCount, count_nonfinite
from gradserve.jobs.sweeps.programs import Check
from gradserve.jobs.sweeps.sweep import Sweep, SweepSchedule
from gradserve.jobs.sweeps.vectors import CHUNK_PROBES, OverVectors
from gradserve.pools.sources import array_of
from gradserve.pools.work import Shared, Signs, Source
from gradserve.questions.call import AtKinks, arrays_of
from gradserve.questions.derivations import Derivation
from gradserve.questions.estimates import Estimate, EstimateDiagonal, EstimateTrace, MatrixEstimate
from gradserve.questions.report import Kinks, Report
from gradserve.questions.resuming import Standing
from gradserve.runtime.control import Control
from gradserve.verification.widen import epsilon_of

ESTIMATORS: Mapping[type[Estimate], type[estimator.Estimator]] = {
    EstimateTrace: TraceSoFar,
    EstimateDiagonal: DiagonalSoFar,
}
"""What answers each question."""


WITH_SHARES, IN_ALL = 8, 64
"""Of so many probes of a trace the first ones tell the shares that single entries have in their forms, from which the
interval comes; the others tell their forms alone, which takes half."""


def sweep_of(context: Context, question: MatrixEstimate, count: int, points: int, check: Check) -> Sweep:
    """The sweep over so many probes of a checked question at each of its points, or over a few more."""
    call, wrt = question.call, inputs_in_question(question.call.graph, question.wrt)
    asked = asked_of(question, wrt)
    derivation, vectors = counting(asked, call.options), frozenset(added_inputs(call.graph, asked))
    nbytes = sum(argument.nbytes for argument in call.arguments.values())
    alike = not isinstance(asked, Curvature) or call.options.kinks is AtKinks.RESOLVE
    over = OverVectors(call, derivation, vectors, nbytes, CHUNK_PROBES if alike else WITH_SHARES)
    if alike or count <= WITH_SHARES:
        whole = over.whole(count, context, check)
        return replace(whole, laps=points * whole.laps)
    span = min(IN_ALL, 1 << (count - 1).bit_length())
    forms = OverVectors(call, Form(wrt), vectors, nbytes).size(context, check)
    parts = (
        Part(derivation, WITH_SHARES, over.size(context, check)),
        Part(Form(wrt), span - WITH_SHARES, forms),
    )
    return replace(over.sweep(span, points * -(-count // span)), parts=parts)


def asked_of(question: MatrixEstimate, wrt: tuple[str, ...]) -> Derivation:
    """What every probe, a tangent of the inputs `wrt`, is asked of."""
    return product_of(question, wrt) if isinstance(question, EstimateDiagonal) else Curvature(wrt)


class Probing:
    """Samples, probe by probe, from a pool."""

    def __init__(
        self,
        question: MatrixEstimate,
        scheduled: SweepSchedule,
        control: Control,
        planned: float,
        stood: Standing | None = None,
    ) -> None:
        """Of a question whose call is checked; `stood` is where it stood."""
        self._stood = stood
        self._question, self._call, self._seed = question, question.call, question.seed
        self._estimator = ESTIMATORS[type(question)]
        self._scheduled, self._control, self._planned = scheduled, control, planned
        self._pieces, self._span = scheduled.pieces, scheduled.sweep.at_once
        types = question.call.graph.input_types
        self._types = {name: types[name] for name in inputs_in_question(question.call.graph, question.wrt)}
        self._left: list[tuple[range, Mapping[str, Array]]] = []
        self._chunks_run = 0
        self._kinks = KinkCount(scheduled.sweep.derivation)
        self._resolves = question.call.options.kinks is AtKinks.RESOLVE
        self._limits: Resolved | None = None
        self.report = Report() if stood is None else stood.report

    def beginning(self) -> estimator.Estimator:
        """The estimate before the first sample, or where it stood. Of a chunk half used the rest is run again."""
        found = self._estimator(self._seed, epsilon_of(self._call.graph))
        if self._stood is None:
            return found
        program = self._scheduled.pieces[0].instance.program
        outputs = {name: type_.with_shape(type_.shape[1:]) for name, type_ in program.graph.output_types.items()}
        found = found.standing(self._stood, outputs)
        self._chunks_run = self._chunks_within(found.taken)
        return found

    def samples(self, start: int, stop: int) -> Iterator[Mapping[str, Array]]:
        """Samples `start` to `stop`. Whole chunks are run; what they have beyond `stop` waits for the next look.

        Raises:
            NumericalFailure: one is infinite or not a number.
        """
        left, self._left = self._left, []
        for bounds, samples in left:
            yield self._between(bounds, samples, start, stop)
        chunks = range(self._chunks_run, self._chunks_up_to(stop))
        if not chunks or start == stop:
            return
        outputs, reported = self._resolved(chunks) if self._resolves else self._swept(chunks)
        for k, found in zip(chunks, outputs, strict=True):
            samples = self._estimator.samples_of(found, functools.partial(self._probes, k))
            if count_nonfinite(samples.values()):
                raise not_finite(self._question)
            yield self._between(self._bounds(k), samples, start, stop)
        report = reported(self._planned)
        if self.report.chunks:
            report = replace(self.report + report, kinks=_both(self.report.kinks, report.kinks))
        self.report = replace(report, batch_size=self._bounds(chunks.stop - 1).stop)
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
        derivation = asked_of(question, inputs_in_question(self._call.graph, question.wrt))

        def outputs() -> Iterator[Mapping[str, Array]]:
            for k in chunks:
                found = limits.products(derivation, {name: self._probes(k, name) for name in self._types})
                yield {f"{role}:{name}": array for role, named in found.items() for name, array in named.items()}

        return outputs(), lambda planned: replace(limits.spent(), plan=planned)

    def _between(self, bounds: range, samples: Mapping[str, Array], start: int, stop: int) -> Mapping[str, Array]:
        """The part of a chunk between two probes; keeps the chunk if there is more of it."""
        if bounds.stop > stop:
            self._left.append((bounds, samples))
        low, high = max(start - bounds.start, 0), stop - bounds.start
        return {name: array[low:high] for name, array in samples.items()}

    def _lap(self, k: int) -> Lap:
        """Where the arguments of all chunks of lap `k` come from."""
        shared = {name: Shared(name) for name in self._call.arguments}
        probes = range(k * self._span, (k + 1) * self._span)
        return {**shared, **{names.tangent(name): self._signs(probes, name) for name in self._types}}

    def _signs(self, probes: range, name: str) -> Source:
        return probes_of(Signs, self._seed, name, self._types[name], probes.start, probes.stop)

    def _probes(self, k: int, name: str) -> Array:
        """The probes of chunk `k` in an input, made again where they are looked at."""
        return array_of(self._signs(self._bounds(k), name), {}, {})

    def _bounds(self, k: int) -> range:
        """The probes of chunk `k`."""
        lap, within = divmod(k, len(self._pieces))
        piece = self._pieces[within]
        return range(lap * self._span + piece.start, lap * self._span + piece.stop)

    def _chunks_within(self, probes: int) -> int:
        """The chunks that end within so many probes."""
        laps, rest = divmod(probes, self._span)
        return laps * len(self._pieces) + sum(piece.stop <= rest for piece in self._pieces)

    def _chunks_up_to(self, probes: int) -> int:
        """The chunks that have so many probes among them."""
        laps, rest = divmod(probes, self._span)
        return laps * len(self._pieces) + sum(piece.start < rest for piece in self._pieces)


def _both(before: Kinks | None, now: Kinks | None) -> Kinks | None:
    """What is known of kinks: all from the first chunk, but that bounds of limits may grow."""
    if before is None or now is None or now.bound is None:
        return before or now
    return replace(before, bound=max(before.bound or 0.0, now.bound))
