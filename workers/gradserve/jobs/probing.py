"""Samples of what is asked of random signs, probe by probe, from chunks of one size."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from gradserve.autodiff import names
from gradserve.autodiff.derivation import Curvature
from gradserve.estimation import estimator
from gradserve.estimation.diagonal import DiagonalSoFar
from gradserve.estimation.trace import TraceSoFar
from gradserve.ir.types import Array
from gradserve.jobs.calls import inputs_in_question
from gradserve.jobs.chunks import Lap
from gradserve.jobs.folds import KinkCount, count_nonfinite
from gradserve.jobs.kinks import resolved
from gradserve.jobs.multiplied import product_of
from gradserve.jobs.probes import probes_of
from gradserve.jobs.resolved import Resolved
from gradserve.jobs.sweep import SweepSchedule
from gradserve.pools.sources import array_of
from gradserve.pools.work import Shared, Signs, Source
from gradserve.questions.call import AtKinks, arrays_of
from gradserve.questions.derivations import Derivation
from gradserve.questions.estimates import Estimate, EstimateDiagonal, EstimateTrace
from gradserve.questions.report import Kinks, Report
from gradserve.questions.resuming import Standing
from gradserve.runtime.control import Control
from gradserve.verification.widen import epsilon_of

ESTIMATORS: Mapping[type[Estimate], type[estimator.Estimator]] = {
    EstimateTrace: TraceSoFar,
    EstimateDiagonal: DiagonalSoFar,
}
"""What answers each question."""


def asked_of(question: Estimate, wrt: tuple[str, ...]) -> Derivation:
    """What every probe, a tangent of the inputs `wrt`, is asked of."""
    return product_of(question, wrt) if isinstance(question, EstimateDiagonal) else Curvature(wrt)


class Probing:
    """Samples, probe by probe, from a pool."""

    def __init__(
        self,
        question: Estimate,
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
        self._size = scheduled.sizes[0]
        types = question.call.graph.input_types
        self._types = {name: types[name] for name in inputs_in_question(question.call.graph, question.wrt)}
        self._left: list[tuple[int, Mapping[str, Array]]] = []
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
        self._chunks_run = found.taken // self._size
        return found

    def samples(self, start: int, stop: int) -> Iterator[Mapping[str, Array]]:
        """Samples `start` to `stop`. Whole chunks are run; what they have beyond `stop` waits for the next look."""
        left, self._left = self._left, []
        for first, samples in left:
            yield self._between(first, samples, start, stop)
        chunks = range(self._chunks_run, -(-stop // self._size))
        if not chunks or start == stop:
            return
        nonfinite = 0
        outputs, reported = self._resolved(chunks) if self._resolves else self._swept(chunks)
        for k, found in zip(chunks, outputs, strict=True):
            samples = self._estimator.samples_of(found, functools.partial(self._probes, k))
            nonfinite += count_nonfinite(samples.values())
            yield self._between(k * self._size, samples, start, stop)
        report = replace(reported(self._planned), nonfinite_outputs=nonfinite)
        if self.report.chunks:
            report = replace(self.report + report, kinks=_both(self.report.kinks, report.kinks))
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
        derivation = asked_of(question, inputs_in_question(self._call.graph, question.wrt))

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


def _both(before: Kinks | None, now: Kinks | None) -> Kinks | None:
    """What is known of kinks: all from the first chunk, but that bounds of limits may grow."""
    if before is None or now is None or now.bound is None:
        return before or now
    return replace(before, bound=max(before.bound or 0.0, now.bound))
