"""The losses that verifications want, along directions, evaluated on a pool."""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gradserve.autodiff import Along, Gradient, Hvp, names
from gradserve.execution import Plan
from gradserve.ir.errors import LimitExceeded, NumericalFailure
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.jobs.call import Call
from gradserve.jobs.context import Context
from gradserve.jobs.cut import CHUNK_BYTES, CHUNK_SECONDS, Piece
from gradserve.jobs.derivative import differentiate
from gradserve.jobs.plans import Batching
from gradserve.jobs.report import Report
from gradserve.pools.pool import Pool
from gradserve.pools.work import Chunk, Rows, Shared, Source, Work
from gradserve.runtime.control import Control
from gradserve.verification.directions import Layout
from gradserve.verification.measure import Stage
from gradserve.verification.widen import is_single, widen

BLOCK = 16
"""Steps of one direction that make a chunk, if they do not cost too much: one plan then serves every stage."""


class Losses:
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

    def products(self, vectors: Sequence[Array]) -> list[Array]:
        """H v for each vector, with the Hessian that Hvp answers."""
        started = time.perf_counter()
        inputs = [names.tangent(name) for name in self._wrt]
        batching = Batching(frozenset(inputs), len(vectors))
        derivation = Hvp(self._wrt, product_only=True)
        pieces, hit = self._context.pieces(self._call.graph, derivation, batching, self._control.check)
        types = self._call.graph.input_types
        tangents = {
            names.tangent(name): np.stack(parts).astype(types[name].element_type.dtype)
            for name, parts in _by_input([self.layout.unpack(vector) for vector in vectors]).items()
        }
        data = {**self._call.arguments, **tangents}
        pool, _ = self._context.place(pieces, sum(a.nbytes for a in data.values()), self._call.options)
        chunks = tuple(
            Chunk(p.plan.digest, {n: Rows(n, p.start, p.stop) if n in tangents else Shared(n) for n in data})
            for p in pieces
        )
        work = Work({p.plan.digest: p.plan for p in pieces}, data, chunks, self.report.executor)
        ready = time.perf_counter()
        found = []
        for piece, result in zip(pieces, self._context.run(pool, work, self._control), strict=True):
            self.report = self.report.with_result(result)
            products = {name: result.outputs[names.product(name)] for name in self._wrt}
            found += [self.layout.pack({n: a[k] for n, a in products.items()}) for k in range(piece.stop - piece.start)]
        self._account([(0, piece) for piece in pieces], pool, ready - started, time.perf_counter() - ready)
        self.report = replace(self.report, plan_cache_hit=self.report.plan_cache_hit and hit)
        return found

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


def _by_input(parts: Sequence[Mapping[str, Array]]) -> dict[str, list[Array]]:
    return {name: [part[name] for part in parts] for name in parts[0]}
