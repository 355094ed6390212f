"""Calls that are ready: all but their numbers is known from an earlier call of the same types.

A small call takes some ten microseconds of running. Checking its types, naming its inputs, finding its schedule and
cutting one chunk takes several times as long, and gives the same every time.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING

from gradserve.jobs.calls import named_vectors
from gradserve.jobs.folds import Gathered, KinkCount, by_role, count_nonfinite, has_nan
from gradserve.questions.call import arrays_of
from gradserve.questions.derivations import Derivation
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.report import Report
from gradserve.runtime.control import Control

if TYPE_CHECKING:
    from gradserve.jobs.sweep import SweepSchedule
    from gradserve.pools.pool import Direct


def key_of(question: Differentiate) -> Hashable:
    """What all questions have in common that one ready call answers."""
    call = question.call
    arguments = tuple([(name, a.dtype, a.shape) for name, a in arrays_of(call.arguments).items()])
    vectors = tuple([(name, a.dtype, a.shape) for name, a in arrays_of(question.vectors).items()])
    return call.graph.digest, question.derivation, call.options, call.batch, arguments, vectors


class Ready:
    """One chunk for all points, to be run in the thread of whoever asks."""

    def __init__(self, derivation: Derivation, scheduled: SweepSchedule, direct: Direct) -> None:
        """Of a question that was answered by this schedule once."""
        self._scheduled, self._direct = scheduled, direct
        self._counting = scheduled.sweep.derivation
        self._constants = scheduled.pieces[0].instance.arrays
        self._takes = derivation.takes
        self._derivatives = scheduled.derivatives
        self._flops = scheduled.flops
        self._points = scheduled.sweep.axis.size if scheduled.sweep.axis else 1

    def runs(self, programs: Collection[str]) -> bool:
        """Whether it runs one of the programs with these digests."""
        return self._scheduled.runs(programs)

    def answer(self, question: Differentiate, control: Control) -> Derivatives | None:
        """The answer; None if a derivative came out as NaN, for which there are other ways."""
        started = time.perf_counter()
        control.check()
        vectors = arrays_of(named_vectors(self._takes, question.vectors))
        made = self._direct({**arrays_of(question.call.arguments), **vectors, **self._constants}, control)
        if self._scheduled.heat is not None:
            self._scheduled.heat.add(time.perf_counter() - started)
        nonfinite = count_nonfinite(made)
        if nonfinite and has_nan(made, self._derivatives):
            return None
        kinks = KinkCount(self._counting)
        kinks.add(made)
        gathered = Gathered(question.call.reduction, self._points)
        gathered.add(made)
        arrays = by_role(gathered.done())
        report = Report(
            execute=time.perf_counter() - started,
            plan_cache_hit=True,
            executor=self._scheduled.executor,
            placement=self._scheduled.pool.name,
            chunks=1,
            batch_size=self._points,
            flops=self._flops,
            peak_bytes=self._scheduled.peak_bytes,
            nonfinite_outputs=nonfinite,
            workers=(self._scheduled.pool.name,),
            kinks=kinks.done(),
        )
        return Derivatives(arrays, report)


def ready(question: Differentiate, scheduled: SweepSchedule) -> Ready | None:
    """What answers questions like this one from now on; None if the chunk goes elsewhere or takes long."""
    piece, *others = scheduled.pieces
    if others:
        return None
    direct = scheduled.pool.direct(piece.schedule, scheduled.executor)
    return None if direct is None else Ready(question.derivation, scheduled, direct)
