"""Sweeps: one derivation run over an axis of independent chunks. Every job is one sweep or several.

`schedule` says everything that can be known from shapes: programs, chunks, executor, placement, or the refusal. `run`
runs that, so explaining a job and running it cannot disagree.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace

from gradserve.autodiff import names
from gradserve.autodiff.derivation import Careful
from gradserve.estimation.recurrence import Recurrence
from gradserve.execution import Executor, Program, candidates
from gradserve.ir.account import Effort
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass, once
from gradserve.ir.types import Array
from gradserve.jobs.sweeps.careful import Mending
from gradserve.jobs.sweeps.chunks import Chunks, LapOf
from gradserve.jobs.sweeps.compiling import Heat
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.cut import Part, Piece, cut, parted
from gradserve.jobs.sweeps.folds import count_nonfinite
from gradserve.jobs.sweeps.programs import Axis, Check, go_on, weight
from gradserve.pools.pool import Pool
from gradserve.pools.work import ChunkResult, Work, key_of
from gradserve.questions.call import Options
from gradserve.questions.derivations import Derivation
from gradserve.questions.report import Kinks, Report
from gradserve.runtime.control import Control
from gradserve.runtime.planned import Planned


@dataclass(frozen=True)
class Sweep:
    """A derivation of a graph, run over an axis, and that perhaps several times with other arguments."""

    graph: Graph
    derivation: Derivation
    options: Options
    data_bytes: int
    """Bytes of all arrays that chunks draw from."""
    axis: Axis | None = None
    """None for a single example."""
    laps: int = 1
    """How often the axis is run."""
    divisible: bool = True
    """Whether the axis may be cut; chunks depend on predicted cost alone."""
    recurrence: Recurrence | None = None
    """What every chunk does with its program, if it does not run it once."""
    parts: tuple[Part, ...] = ()
    """What is asked of parts of the axis, one after the other, if not all of it is asked the same."""

    @property
    def at_once(self) -> int:
        """The positions of the axis; of vectors at every example of a batch the vectors."""
        axis = self.axis if self.axis is None or self.axis.within is None else self.axis.within
        return 1 if axis is None else axis.size

    @property
    def runs(self) -> int:
        """The most runs of the axis altogether."""
        return self.laps * (self.recurrence.products if self.recurrence else 1)

    def schedule(self, context: Context, check: Check = go_on) -> SweepSchedule:
        """What is run, where and by what. What `check` raises ends the work.

        Raises:
            LimitExceeded: points, memory, operations or time above a limit.
            InvalidRequest: an option asks for what is not there.
            NotDifferentiable: there is no such derivative.
        """
        job = self.laps, self.divisible, self.recurrence, self.options, self.data_bytes, self.parts
        key = (self.graph.digest, self.derivation, self.axis, *job, context.goes_on)
        found = context.schedules.get(key)
        if found is not None:
            context.programs.paid(found.planning, self.graph)
            return found
        candidates(self.options.executor)  # before any limit, so that explaining ends in the same error as running
        context.require_pool(self.options)
        context.limits.check_graph(self.graph)
        if self.axis is not None:
            context.limits.check_points(self.axis.size)
        made = self.unlimited(context, check)
        context.limits.check_chunks([piece.schedule for piece in made.pieces], self.runs)
        context.limits.check_peak(made.peak_bytes, "a chunk", "ask for fewer steps, pairs or inputs")
        context.keep(context.schedules, key, replace(made, known=True), made, made.nbytes)
        return made

    def unlimited(self, context: Context, check: Check = go_on) -> SweepSchedule:
        """The schedule, whether it is over a limit or not; but making it stays within what may be spent on that."""
        with context.programs.spending(self.graph, check) as budget, budget.working() as effort:
            schedules = [self._on(executor, context, check) for executor in candidates(self.options.executor)]
            found = replace(min(schedules, key=lambda schedule: schedule.seconds), planning=effort)
            with budget.aside():  # whether there is machine code depends on what ran before
                return found if self.options.executor else self._compiled(found, context, check)

    def _compiled(self, found: SweepSchedule, context: Context, check: Check) -> SweepSchedule:
        """The same chunks as machine code, if there is any and it is faster; else what may earn it by running.

        Work that began on another executor goes on there.
        """
        if context.goes_on not in ("", found.executor):
            return self._moved(found, candidates(context.goes_on)[0], context, check)
        executor = None if context.goes_on else context.compiling.ready(found.programs)
        if executor is None:
            forget = functools.partial(context.forget, {program.digest for program in found.programs})
            return replace(found, heat=context.compiling.heat(found.programs, forget))
        return min(found, self._moved(found, executor, context, check), key=lambda s: s.seconds)

    def _moved(self, found: SweepSchedule, executor: Executor, context: Context, check: Check) -> SweepSchedule:
        """The same chunks on an executor."""
        schedules = {p.digest: context.programs.schedule(p, executor, check) for p in found.programs}
        pieces = [replace(p, schedule=schedules[p.instance.program.digest]) for p in found.pieces]
        return replace(self._placed(pieces, executor, context, found.known), planning=found.planning)

    def _on(self, executor: Executor, context: Context, check: Check) -> SweepSchedule:
        known = True

        def piece(start: int, stop: int, derivation: Derivation = self.derivation) -> Piece:
            nonlocal known
            axis = None if self.axis is None else replace(self.axis, size=stop - start)
            instance, hit = context.programs.instance(self.graph, derivation, axis, check)
            known &= hit
            return Piece(instance, context.programs.schedule(instance.program, executor, check), start, stop)

        size = 1 if self.axis is None else self.axis.size
        if self.parts:
            pieces = tuple(piece(start, stop, asked) for asked, start, stop in parted(self.parts))
        else:
            pieces = cut(piece, size) if self.divisible else (piece(0, size),)
        return self._placed(pieces, executor, context, known)

    def _placed(self, pieces: Sequence[Piece], executor: Executor, context: Context, known: bool) -> SweepSchedule:
        """The schedule of these chunks, where they are to run."""
        peak = max(piece.schedule.peak_bytes for piece in pieces) + (self.recurrence.nbytes if self.recurrence else 0)
        seconds = self.runs * sum(piece.schedule.seconds for piece in pieces)
        pool, reason = context.place(peak, seconds, self.data_bytes, self.options)
        return SweepSchedule(self, context, tuple(pieces), executor, pool, reason, known, peak, seconds)


@dataclass(frozen=True, eq=False)
class SweepSchedule:
    """How a sweep will be run."""

    sweep: Sweep
    context: Context
    pieces: tuple[Piece, ...]
    """The chunks of one lap."""
    runs_on: Executor
    pool: Pool
    reason: str
    """Why this placement."""
    known: bool
    """Whether every program was known from an earlier job."""
    peak_bytes: int
    """The largest number of live bytes of one chunk."""
    seconds: float
    """Predicted seconds of all chunks on one worker."""
    planning: Effort = field(default_factory=Effort)
    """What making it took."""
    heat: Heat | None = None
    """What is told how long it ran, if it could run faster."""

    def runs(self, programs: Collection[str]) -> bool:
        """Whether it runs one of the programs with these digests."""
        return any(program.digest in programs for program in self.programs)

    @once
    def programs(self) -> tuple[Program, ...]:
        """What its chunks run, each once."""
        return tuple({piece.instance.program.digest: piece.instance.program for piece in self.pieces}.values())

    @property
    def executor(self) -> str:
        """The name of what runs all chunks."""
        return self.runs_on.name

    @once
    def derivatives(self) -> tuple[str, ...]:
        """The outputs that are derivatives."""
        if self.sweep.recurrence is not None:
            return ()
        types = self.pieces[0].instance.program.graph.output_types
        return tuple(name for name, type_ in types.items() if type_.is_float and names.is_derivative(name))

    @property
    def nbytes(self) -> int:
        """What it keeps in memory, roughly: its chunks have few programs."""
        constants = sum(array.nbytes for array in self.pieces[0].instance.arrays.values())
        return sum(weight(piece.instance.program.graph) for piece in self.pieces[:3]) + constants

    def careful(self, piece: Piece, check: Check) -> Piece:
        """A piece in the form in which zeros absorb partials that are not finite.

        Raises:
            LimitExceeded: it is over a limit.
            NotDifferentiable: there is no such form.
        """
        sweep, programs = self.sweep, self.context.programs
        axis = None if sweep.axis is None else replace(sweep.axis, size=piece.stop - piece.start)
        with programs.trying(sweep.graph, check):
            instance, _ = programs.instance(sweep.graph, Careful(sweep.derivation.wrt, sweep.derivation), axis, check)
            schedule = programs.schedule(instance.program, self.runs_on, check)
        self.context.limits.check_chunks([schedule])
        return Piece(instance, schedule, piece.start, piece.stop)

    @property
    def flops(self) -> float:
        """Floating-point operations of all chunks."""
        return self.sweep.runs * sum(piece.instance.program.flops for piece in self.pieces)

    @property
    def bytes(self) -> float:
        """Bytes read and written by all chunks."""
        return self.sweep.runs * sum(piece.instance.program.cost.bytes for piece in self.pieces)

    @once
    def planned(self) -> Planned:
        """What is predicted for all chunks, as whoever lets them begin sees it."""
        apart = self.seconds / max(1, min(len(self.pieces) * self.sweep.laps, self.pool.size))
        return Planned(self.flops, self.bytes, self.seconds, apart, self.peak_bytes, self.pool.name)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The positions of the axis in each chunk, lap by lap."""
        return tuple(piece.stop - piece.start for piece in self.pieces) * self.sweep.laps

    def run(self, laps: LapOf, data: Mapping[str, Array], control: Control, chunks: range | None = None) -> SweepRun:
        """The results in chunk order, lap after lap; of all chunks, or of some alone."""
        wanted = range(len(self.pieces) * self.sweep.laps) if chunks is None else chunks
        cut = Chunks(self.pieces, self.sweep.axis, laps, wanted)
        work = Work(
            schedules={piece.instance.program.digest: piece.schedule for piece in self.pieces},
            data=data,
            constants={key_of(c): c for piece in self.pieces for c in piece.instance.constants.values()},
            chunks=cut,
            executor=self.executor,
            recurrence=self.sweep.recurrence,
        )
        planned = self.planned.part(len(wanted) / (len(self.pieces) * self.sweep.laps))
        return SweepRun(self, planned, Mending(self, work, cut, control), control)


class SweepRun:
    """The results of a sweep's chunks in their order, and at any time the report so far."""

    def __init__(self, schedule: SweepSchedule, planned: Planned, results: Mending, control: Control) -> None:
        """Runs nothing before the first result is asked for."""
        self._schedule, self._planned, self._results, self._control = schedule, planned, results, control
        self._started = time.perf_counter()
        self._waited, self._done, self._retries = float("inf"), 0, 0
        self._workers: dict[str, None] = {}

    def __iter__(self) -> Iterator[ChunkResult]:
        self._control.check()
        self._control.begins(self._planned)
        for result in self._results:
            self._waited = min(self._waited, result.waited)
            self._done += 1
            self._retries += result.retries
            self._workers[result.worker] = None
            self._control.ran(result)
            yield result
        if self._schedule.heat is not None:
            self._schedule.heat.add(time.perf_counter() - self._started)

    def nonfinite(self, outputs: Mapping[str, Array], apart: bool) -> int:
        """Elements of the outputs that are infinite or NaN; `apart` says that those of chunks lie side by side."""
        known = self._schedule.derivatives and (apart or self._done == 1)
        return self._results.nonfinite if known else count_nonfinite(outputs.values())

    def report(
        self, planned: float, batch_size: int | None = None, nonfinite_outputs: int = 0, kinks: Kinks | None = None
    ) -> Report:
        """What has been run, after `planned` seconds of planning. The number of points is the axis's unless given."""
        schedule, axis = self._schedule, self._schedule.sweep.axis
        spent = time.perf_counter() - self._started
        queue = self._waited if self._done else 0.0
        share = self._done / (len(schedule.pieces) * schedule.sweep.laps)
        return Report(
            queue=queue,
            plan=planned,
            execute=max(0.0, spent - queue),
            plan_cache_hit=schedule.known,
            executor=schedule.executor,
            placement=schedule.pool.name,
            chunks=self._done,
            retries=self._retries,
            batch_size=batch_size or (axis.size if axis else 1),
            flops=schedule.flops * share,
            peak_bytes=schedule.peak_bytes,
            nonfinite_outputs=nonfinite_outputs,
            workers=tuple(self._workers),
            kinks=kinks,
        )
