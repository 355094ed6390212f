"""The trace of a loss's Hessian, estimated with an interval."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradserve.autodiff import Curvature, names
from gradserve.estimation.running import Running
from gradserve.estimation.trace import StopReason, Target, interval_at, looks, stop_reason
from gradserve.execution import Plan
from gradserve.ir.errors import InvalidRequest, LimitExceeded, Violation
from gradserve.ir.types import Array, ElementType
from gradserve.jobs.call import Call
from gradserve.jobs.context import Context
from gradserve.jobs.cut import Piece
from gradserve.jobs.plans import Batching
from gradserve.jobs.report import Report
from gradserve.pools.pool import Pool
from gradserve.pools.work import Chunk, Shared, Signs, Source, Work
from gradserve.runtime.control import Control

DEFAULT_PROBES = 4096
DEFAULT_CONFIDENCE = 0.95
CHUNK_PROBES = 64
"""The most probes of a chunk, a power of two; fewer if they cost more than a chunk should."""
_PURPOSE = "trace"


@dataclass(frozen=True, slots=True)
class TraceEstimate:
    """A full current answer."""

    value: float
    """The mean of the samples."""
    standard_error: float
    lower: float
    """The lower end of the interval; what it promises is said in `gradserve.estimation.trace`."""
    upper: float
    probes: int
    stop_reason: StopReason
    """NONE in all but the last."""
    seed: int
    confidence: float
    report: Report


def estimate_trace(
    context: Context,
    call: Call,
    wrt: Sequence[str],
    *,
    seed: int,
    max_probes: int,
    relative_tolerance: float,
    absolute_tolerance: float,
    confidence: float,
    control: Control,
) -> Iterator[TraceEstimate]:
    """Ever better estimates of the trace of the Hessian, the last one with a stop reason.

    Hutchinson's estimator with random signs: the mean of <v, H v>. Estimates come after numbers of probes that double.
    With a tolerance, all of their intervals together cover the trace with probability `confidence`, so the last one
    does so whatever made it stop. Without one, each does by itself. 0 probes and 0 confidence mean the defaults.

    Probes depend on the seed alone, and samples are summed in the order of probes: the same seed gives the same bits on
    any number of workers, and a longer estimate begins with the samples of a shorter one.

    Raises:
        InvalidRequest: `wrt`, a tolerance or the confidence do not fit, or the call has a batch.
        NotDifferentiable: there is no Hessian.
        LimitExceeded: more probes, memory or operations than allowed.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    started = time.perf_counter()
    target = Target(
        max_probes or DEFAULT_PROBES, relative_tolerance, absolute_tolerance, confidence or DEFAULT_CONFIDENCE
    )
    _check(context, call, target)
    probing = _Probing(context, call, tuple(wrt), seed, target, control)
    probing.report = replace(probing.report, plan=time.perf_counter() - started)
    samples = Running()
    for look, probes in enumerate(looks(target), start=1):
        samples = samples.with_samples(probing.samples(samples.count, probes))
        interval = interval_at(samples, target, look, probing.epsilon)
        reason = stop_reason(samples, target, interval)
        yield TraceEstimate(
            value=samples.mean,
            standard_error=samples.standard_error,
            lower=interval.lower,
            upper=interval.upper,
            probes=samples.count,
            stop_reason=reason,
            seed=seed,
            confidence=target.confidence,
            report=probing.report,
        )
        if reason is not StopReason.NONE:
            return


class _Probing:
    """Samples of <v, H v>, probe by probe, from a pool."""

    def __init__(
        self, context: Context, call: Call, wrt: tuple[str, ...], seed: int, target: Target, control: Control
    ) -> None:
        self._context, self._call, self._wrt, self._seed, self._control = context, call, wrt, seed, control
        self._executor = context.executor(call.options)
        self._known = np.empty(0)
        self._plan, hit = self._chunk_plan()
        self._pool = self._place(target)
        types = [t.element_type for t in call.graph.value_types]
        self.epsilon = float(np.finfo(np.float32 if ElementType.FLOAT32 in types else np.float64).eps)
        self.report = Report(
            plan_cache_hit=hit,
            executor=self._executor,
            placement=self._pool.name,
            peak_bytes=self._plan.peak_bytes,
        )

    def _chunk_plan(self) -> tuple[Plan, bool]:
        """One plan for all chunks, so that a sample's bits do not depend on how many are wanted."""
        derivation = Curvature(self._wrt)
        inputs = frozenset(names.tangent(name) for name in self._wrt)
        pieces, _ = self._context.pieces(
            self._call.graph, derivation, Batching(inputs, CHUNK_PROBES), self._control.check
        )
        self._size = 1 << ((pieces[0].stop - pieces[0].start).bit_length() - 1)
        return self._context.plans.plan(self._call.graph, derivation, Batching(inputs, self._size))

    def _place(self, target: Target) -> Pool:
        count = -(-target.max_probes // self._size)
        flops = count * self._plan.flops
        if flops > self._context.limits.flops:
            limit = self._context.limits.flops
            text = f"{target.max_probes} probes take {flops:.3g} floating-point operations and the limit flops is"
            raise LimitExceeded("flops", f"{text} {limit:.3g}; ask for fewer probes")
        nbytes = sum(a.nbytes for a in self._call.arguments.values())
        piece = Piece(self._plan, 0, self._size)
        return self._context.place((piece,) * count, nbytes, self._call.options)[0]

    def samples(self, start: int, stop: int) -> Array:
        """Samples `start` to `stop`. Whole chunks are run; what they have beyond `stop` waits for the next look."""
        chunks = tuple(self._chunk(k) for k in range(len(self._known), stop, self._size))
        if chunks:
            self._run(Work({self._plan.digest: self._plan}, self._call.arguments, chunks, self._executor))
        return self._known[start:stop]

    def _run(self, work: Work) -> None:
        started = time.perf_counter()
        parts, waited = [self._known], []
        for result in self._context.run(self._pool, work, self._control):
            parts.append(result.outputs[names.value("curvature")])
            waited.append(result.waited)
            self.report = self.report.with_result(result)
        self._known = np.concatenate(parts)
        spent, queue = time.perf_counter() - started, min(waited)
        self.report = replace(
            self.report,
            queue=self.report.queue + queue,
            execute=self.report.execute + max(0.0, spent - queue),
            batch_size=len(self._known),
            flops=self.report.flops + len(work.chunks) * self._plan.flops,
            nonfinite_outputs=int(np.count_nonzero(~np.isfinite(self._known))),
        )

    def _chunk(self, start: int) -> Chunk:
        sources: dict[str, Source] = {name: Shared(name) for name in self._call.arguments}
        for name in self._wrt:
            type_ = self._call.graph.input_types[name]
            sources[names.tangent(name)] = Signs(
                self._seed, f"{_PURPOSE}:{name}", start, start + self._size, type_.lengths, type_.element_type
            )
        return Chunk(self._plan.digest, sources)


def _check(context: Context, call: Call, target: Target) -> None:
    violations = []
    if call.batch:
        violations.append(Violation("call.batch", "E1", "a trace is estimated at one point; leave the batch out"))
    if not 0 < target.confidence < 1:
        violations.append(Violation("confidence", "E2", f"{target.confidence} is not between 0 and 1"))
    for name in ("relative_tolerance", "absolute_tolerance"):
        tolerance = getattr(target, name)
        if not tolerance >= 0:
            violations.append(Violation(name, "E3", f"{tolerance} is no tolerance; 0 means none"))
    if violations:
        raise InvalidRequest("the request does not fit", violations)
    if target.max_probes > context.limits.probes:
        limit = context.limits.probes
        raise LimitExceeded("probes", f"{target.max_probes} probes are asked for and the limit probes is {limit}")
