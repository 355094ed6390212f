"""Chunks whose derivatives came out as NaN, run again in the form in which zeros absorb partials that are not finite.

Only there can that form differ: a derivative is linear, so what is finite has met no such product. Which chunks are run
again depends on their numbers alone. What was not NaN keeps its bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradserve.autodiff import names
from gradserve.ir.errors import LimitExceeded, NotDifferentiable, NumericalFailure
from gradserve.ir.types import Array
from gradserve.jobs.sweeps.folds import count_nonfinite, has_nan
from gradserve.pools.work import ChunkResult, Work, key_of
from gradserve.runtime.control import Control

if TYPE_CHECKING:
    from gradserve.jobs.sweeps.chunks import Chunks
    from gradserve.jobs.sweeps.sweep import SweepSchedule

WINDOW = 64
"""Results that may wait for others to be run again, all at once."""


class Mending:
    """The results of some chunks of a sweep, those with NaN among their derivatives run again."""

    def __init__(self, schedule: SweepSchedule, work: Work, chunks: Chunks, control: Control) -> None:
        """Runs nothing before the first result is asked for."""
        self._schedule, self._work, self._chunks, self._control = schedule, work, chunks, control
        self.nonfinite = 0
        """Elements that are infinite or not a number in all results so far, if there are derivatives among them."""

    def __iter__(self) -> Iterator[ChunkResult]:
        """The results in chunk order."""
        if not self._schedule.derivatives and self._work.recurrence is None:
            yield from self._schedule.pool.run(self._work, self._control)
            return
        waiting: list[ChunkResult] = []
        lost: list[ChunkResult] = []
        for result in self._schedule.pool.run(self._work, self._control):
            nonfinite = count_nonfinite(result.outputs.values())
            if nonfinite and has_nan(result.outputs, self._derivatives(result.outputs)):
                lost.append(result)
            else:
                self.nonfinite += nonfinite
                if not lost:
                    yield result
                    continue
            waiting.append(result)
            if len(waiting) == WINDOW:
                yield from self._mended(waiting, lost)
                waiting, lost = [], []
        if waiting:
            yield from self._mended(waiting, lost)

    def _mended(self, waiting: Sequence[ChunkResult], lost: Sequence[ChunkResult]) -> Iterator[ChunkResult]:
        """All that wait, of the lost ones what is found by running them again."""
        again = self._again(lost)
        positions = {result.index for result in lost}
        for result in waiting:
            if result.index in positions:
                outputs = next(again)
                self.nonfinite += count_nonfinite(outputs.values())
                yield replace(result, outputs=outputs)
            else:
                yield result

    def _again(self, lost: Sequence[ChunkResult]) -> Iterator[dict[str, Array]]:
        """The outputs of each; as they were if the other form cannot be had within the limits."""
        done = 0
        while done < len(lost):
            try:
                for result in self._schedule.pool.run(self._work_for(lost[done:]), self._control):
                    yield self._together(lost[done].outputs, result.outputs)
                    done += 1
            except (LimitExceeded, NotDifferentiable, NumericalFailure):
                yield lost[done].outputs
                done += 1

    def _work_for(self, lost: Sequence[ChunkResult]) -> Work:
        pieces = [self._schedule.careful(self._chunks.piece(result.index), self._control.check) for result in lost]
        return replace(
            self._work,
            schedules={piece.instance.program.digest: piece.schedule for piece in pieces},
            constants={key_of(c): c for piece in pieces for c in piece.instance.constants.values()},
            chunks=[self._chunks.chunk(result.index, piece) for result, piece in zip(lost, pieces, strict=True)],
        )

    def _derivatives(self, outputs: Mapping[str, Array]) -> Sequence[str]:
        """Those among the outputs of a chunk; of what came of many products all."""
        known = self._schedule.derivatives
        return [name for name in known if name in outputs] if known else list(outputs)

    def _together(self, own: Mapping[str, Array], careful: Mapping[str, Array]) -> dict[str, Array]:
        """The chunk's own outputs where they are numbers, so that these keep their bits; kinks of the other run.

        What came of many products is the other run's.
        """
        if self._work.recurrence is not None:
            return dict(careful)
        found = dict(own)
        for name in self._derivatives(own):
            found[name] = np.where(np.isnan(own[name]), careful[name], own[name])
        return found | {name: told for name, told in careful.items() if names.tells_of_kinks(name)}
