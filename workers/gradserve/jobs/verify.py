"""A gradient compared with finite differences of its loss."""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradserve.autodiff import Along, Gradient, names
from gradserve.execution import Plan
from gradserve.ir.errors import InvalidRequest, LimitExceeded, NumericalFailure, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.jobs.call import Call, type_violations
from gradserve.jobs.context import Context
from gradserve.jobs.cut import CHUNK_BYTES, CHUNK_SECONDS, Piece
from gradserve.jobs.derivative import differentiate
from gradserve.jobs.plans import Batching
from gradserve.jobs.report import Report
from gradserve.verification.directions import Layout
from gradserve.verification.gradient import verify
from gradserve.verification.measure import Problem, Stage
from gradserve.verification.report import VerificationReport
from gradserve.verification.widen import is_single, widen
from gradserve.workers.control import Control
from gradserve.workers.pool import Pool
from gradserve.workers.work import Chunk, Rows, Shared, Source, Work

BLOCK = 16
"""Steps of one direction that make a chunk, if they do not cost too much: one plan then serves every stage."""
DEFAULT_DIRECTIONS = 8
DEFAULT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification is; the last one carries the report."""

    stage: str
    evaluations: int
    """Evaluations of the loss so far."""
    execution: Report
    report: VerificationReport | None = None


def verify_gradient(
    context: Context,
    call: Call,
    wrt: Sequence[str],
    *,
    claimed: Mapping[str, Array] | None,
    directions: int,
    seed: int,
    relative_tolerance: float,
    control: Control,
) -> Iterator[Progress]:
    """Progress stage by stage, and at the end the report on the claimed gradient, or on the one that Gradient answers.

    0 directions and 0 tolerance mean the defaults. All evaluations of a stage are one job, cut into chunks by cost; the
    report does not depend on how many workers there are.

    Losses in single precision are evaluated in double (see `widen`): their own differences would keep three digits at
    best. What Gradient answers in single precision is still what is verified. Its rounding error is allowed for: 64
    spacings of the numbers, and twice the difference from the same gradient in double precision. If that is more than
    `relative_tolerance` of the derivative, the verdict is INCONCLUSIVE.

    Raises:
        InvalidRequest: `wrt`, `claimed` or the tolerance do not fit, or the call has a batch.
        NotDifferentiable: the graph is no loss, or an op in it has no derivative.
        LimitExceeded: more directions, memory or operations than allowed.
        NumericalFailure: the gradient cannot be computed at the point itself.
        Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    directions, tolerance = directions or DEFAULT_DIRECTIONS, relative_tolerance or DEFAULT_TOLERANCE
    _check(context, call, wrt, claimed, directions, tolerance)
    context.plans.derived(call.graph, Gradient(tuple(wrt)), control.check)  # refuses what is no loss
    losses = _Losses(context, call, tuple(wrt), control)
    problem = _problem(losses, call.graph, claimed, tolerance)
    dialogue = verify(problem, directions, seed)
    try:
        stage = next(dialogue)
        while True:
            values = losses.at(stage)
            yield Progress(stage.name, losses.evaluations, losses.report)
            stage = dialogue.send(values)
    except StopIteration as ended:
        report: VerificationReport = replace(ended.value, evaluations=losses.evaluations)
        yield Progress("done", losses.evaluations, losses.report, report)


def _problem(losses: _Losses, graph: Graph, claimed: Mapping[str, Array] | None, tolerance: float) -> Problem:
    layout, point = losses.layout, losses.layout.pack(losses.arguments)
    single = is_single(graph)
    own = layout.pack(losses.gradient(graph)) if single or claimed is None else np.empty(0)
    gradient = own if claimed is None else layout.pack(claimed)
    if not single:
        return Problem(layout, point, gradient, np.zeros(layout.size), float(np.finfo(np.float64).eps), tolerance)
    residue = own - layout.pack(losses.gradient(losses.graph))
    residue[~np.isfinite(residue)] = 0
    return Problem(layout, point, gradient, residue, float(np.finfo(np.float32).eps), tolerance)


class _Losses:
    """The loss of a call, in double precision, along directions; evaluated on a pool."""

    def __init__(self, context: Context, call: Call, wrt: tuple[str, ...], control: Control) -> None:
        self._context, self._call, self._wrt, self._control = context, call, wrt, control
        self.graph = widen(call.graph) if is_single(call.graph) else call.graph
        types = self.graph.input_types
        self.arguments = {n: a.astype(types[n].element_type.dtype, copy=False) for n, a in call.arguments.items()}
        self.layout = Layout({name: types[name].lengths for name in wrt})
        self.evaluations = 0
        (loss,) = self.graph.outputs
        self._loss = names.value(loss.name)
        self.report = Report(executor=context.executor(call.options), plan_cache_hit=True)

    def gradient(self, graph: Graph) -> dict[str, Array]:
        """The gradient that Gradient answers, of the loss in single or in double precision."""
        arguments = self._call.arguments if graph is self._call.graph else self.arguments
        call = replace(self._call, graph=graph, arguments=arguments)
        found = differentiate(self._context, call, Gradient(self._wrt), {}, self._control)
        spent = found.report
        self.report = replace(
            self.report,
            plan=self.report.plan + spent.plan,
            execute=self.report.execute + spent.execute,
            plan_cache_hit=self.report.plan_cache_hit and spent.plan_cache_hit,
            flops=self.report.flops + spent.flops,
            peak_bytes=max(self.report.peak_bytes, spent.peak_bytes),
        )
        return {name: found.outputs[names.gradient(name)] for name in self._wrt}

    def at(self, stage: Stage) -> list[Array]:
        """The losses that a stage wants; NaN where the loss cannot be computed, as a Cholesky out of its domain."""
        started = time.perf_counter()
        padded = [np.concatenate([steps, np.zeros(-len(steps) % BLOCK)]) for steps in stage.steps]
        pieces = [(k, piece) for k, steps in enumerate(padded) for piece in self._pieces(len(steps))]
        self._check_flops(pieces)
        data = self._data(stage.vectors, padded)
        nbytes = sum(a.nbytes for a in data.values())
        pool, _ = self._context.place(tuple(piece for _, piece in pieces), nbytes, self._call.options)
        values = [np.full(len(steps), np.nan) for steps in padded]
        ready = time.perf_counter()
        self._run(pool, data, pieces, values)
        self.evaluations += sum(len(steps) for steps in padded)
        self._account(pieces, pool, ready - started, time.perf_counter() - ready)
        return [v[: len(steps)] for v, steps in zip(values, stage.steps, strict=True)]

    def _data(self, vectors: Sequence[Array], steps: Sequence[Array]) -> dict[str, Array]:
        """The arguments, and the direction and the steps of every vector under its number."""
        data = dict(self.arguments)
        for k, vector in enumerate(vectors):
            data |= {f"{names.direction(name)}:{k}": part for name, part in self.layout.unpack(vector).items()}
            data[f"{names.STEP}:{k}"] = steps[k]
        return data

    def _pieces(self, count: int) -> list[Piece]:
        """The pieces of `count` steps, a multiple of BLOCK, all blocks alike."""
        return [
            replace(piece, start=first + piece.start, stop=first + piece.stop)
            for first in range(0, count, BLOCK)
            for piece in self._block
        ]

    @functools.cached_property
    def _block(self) -> tuple[Piece, ...]:
        """The pieces of one block: a single one, unless it would cost more than a chunk should."""
        plan, hit = self._plan(BLOCK)
        self.report = replace(self.report, plan_cache_hit=self.report.plan_cache_hit and hit)
        if plan.seconds <= CHUNK_SECONDS and plan.peak_bytes <= CHUNK_BYTES:
            self._context.limits.check_plans([plan])
            return (Piece(plan, 0, BLOCK),)
        return self._context.pieces(self.graph, Along(self._wrt), Batching(frozenset({names.STEP}), BLOCK))[0]

    def _plan(self, count: int) -> tuple[Plan, bool]:
        self._context.limits.check_graph(self.graph)
        return self._context.plans.plan(self.graph, Along(self._wrt), Batching(frozenset({names.STEP}), count))

    def _run(
        self, pool: Pool, data: Mapping[str, Array], pieces: Sequence[tuple[int, Piece]], values: Sequence[Array]
    ) -> None:
        """Fills in the values of all pieces. A piece that fails is run again point by point."""
        waiting = deque(pieces)
        waited = []
        while waiting:
            batch = tuple(waiting)
            work = Work(
                plans={piece.plan.digest: piece.plan for _, piece in batch},
                data=data,
                chunks=tuple(self._chunk(k, piece) for k, piece in batch),
                executor=self.report.executor,
            )
            try:
                for result in self._context.run(pool, work, self._control):
                    k, piece = waiting.popleft()
                    values[k][piece.start : piece.stop] = result.outputs[self._loss]
                    self.report = self.report.with_result(result)
                    waited.append(result.waited)
            except NumericalFailure:
                k, piece = waiting.popleft()
                if piece.stop - piece.start > 1:
                    single, _ = self._plan(1)
                    points = reversed(range(piece.start, piece.stop))
                    waiting.extendleft((k, Piece(single, point, point + 1)) for point in points)
        self.report = replace(self.report, queue=self.report.queue + min(waited, default=0.0))

    def _chunk(self, k: int, piece: Piece) -> Chunk:
        sources: dict[str, Source] = {name: Shared(name) for name in self.arguments}
        sources |= {names.direction(n): Shared(f"{names.direction(n)}:{k}") for n in self._wrt}
        sources[names.STEP] = Rows(f"{names.STEP}:{k}", piece.start, piece.stop)
        return Chunk(piece.plan.digest, sources)

    def _check_flops(self, pieces: Sequence[tuple[int, Piece]]) -> None:
        flops = self.report.flops + sum(piece.plan.flops for _, piece in pieces)
        limit = self._context.limits.flops
        if flops > limit:
            text = f"the verification takes {flops:.3g} floating-point operations and the limit flops is {limit:.3g}"
            raise LimitExceeded("flops", text)

    def _account(self, pieces: Sequence[tuple[int, Piece]], pool: Pool, planned: float, run: float) -> None:
        self.report = replace(
            self.report,
            plan=self.report.plan + planned,
            execute=self.report.execute + run,
            placement=pool.name,
            batch_size=self.evaluations,
            flops=self.report.flops + sum(piece.plan.flops for _, piece in pieces),
            peak_bytes=max(self.report.peak_bytes, *(piece.plan.peak_bytes for _, piece in pieces)),
        )


def _check(
    context: Context,
    call: Call,
    wrt: Sequence[str],
    claimed: Mapping[str, Array] | None,
    directions: int,
    tolerance: float,
) -> None:
    violations = []
    if call.batch:
        violations.append(Violation("call.batch", "V1", "a gradient is verified at one point; leave the batch out"))
    if not tolerance > 0:
        violations.append(Violation("relative_tolerance", "V2", f"{tolerance} is no tolerance; 0 means the default"))
    for name in () if claimed is None else wrt:
        type_ = call.graph.input_types.get(name)
        if name not in claimed:  # type: ignore[operator]
            violations.append(Violation(f'claimed["{name}"]', "V3", "the claimed gradient in this input is missing"))
        elif type_ is not None:
            violations += type_violations(f'claimed["{name}"]', claimed[name], type_, batched=False)  # type: ignore[index]
    for name in claimed or ():
        if name not in wrt:
            text = f"{name!r} is not among the inputs to verify: {', '.join(wrt)}"
            violations.append(Violation(f'claimed["{name}"]', "V4", text))
    if violations:
        raise InvalidRequest("the request does not fit", violations)
    if directions > context.limits.directions:
        limit = context.limits.directions
        raise LimitExceeded("directions", f"{directions} directions are asked for and the limit directions is {limit}")
