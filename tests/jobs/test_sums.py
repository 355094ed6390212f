"""Sums over a batch take the memory of a few chunks, however many points there are."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from gradserve.ir.graph import Graph
from gradserve.jobs.derivatives import derivative
from gradserve.jobs.sweeps import cut
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.folds import Gathered
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.prepared import PreparedSchedules
from gradserve.pools.work import ChunkResult, Work
from gradserve.questions.call import Batch, Call, Reduction
from gradserve.questions.derivations import Gradient
from gradserve.questions.derivatives import Differentiate
from gradserve.runtime.control import Control
from tests.jobs.recording import RecordingPool
from tests.jobs.support import F32, differentiated, real, total

PARAMETERS = 1000
POINT = np.linspace(-1.0, 1.0, PARAMETERS, dtype=np.float32)
CHUNKS = 3
"""So many chunks may be in memory at once."""


def graph() -> Graph:
    """Half the sum of squares of w."""
    g = builder()
    w = g.input("w", real(PARAMETERS, element_type=F32))
    return g.build({"loss": total(g, w * w) * 0.5})


def call(points: int, reduction: Reduction = Reduction.SUM) -> Call:
    """A batch of equal points, which takes the memory of one."""
    return Call(graph(), {"w": np.broadcast_to(POINT, (points, PARAMETERS))}, Batch(("w",), reduction))


def test_a_million_points_of_a_thousand_parameters():
    points, pool = 1_000_000, LocalPool(2)
    context, asked = Context(pool), call(points)
    scheduled = derivative.schedule(context, Differentiate(asked, Gradient()), Control().check)
    assert len(scheduled.pieces) > 4 * CHUNKS
    gc.collect()
    tracemalloc.start()
    answer = differentiated(context, asked, Gradient())
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    pool.close()
    np.testing.assert_allclose(answer.arrays["gradient"]["w"], points * POINT, rtol=1e-3, atol=1.0)
    assert answer.report.chunks == len(scheduled.pieces)
    assert scheduled.peak_bytes < taken < CHUNKS * scheduled.peak_bytes


class LivePool(RecordingPool):
    """Counts the bytes of results that somebody still holds."""

    live = most = 0

    def run(self, work: Work, control: Control) -> Iterator[ChunkResult]:
        for result in super().run(work, control):
            for array in result.outputs.values():
                self.live += array.nbytes
                weakref.finalize(array, self._gone, array.nbytes)
            self.most = max(self.most, self.live)
            yield result
            del result

    def _gone(self, nbytes: int) -> None:
        self.live -= nbytes


def most_results() -> float:
    """The most results that are held at once, in those of one chunk; and what they are the sum of."""
    pool = LivePool("front-end", PreparedSchedules())
    for reduction in (Reduction.SUM, Reduction.MEAN):
        answer = differentiated(Context(pool), call(500, reduction), Gradient())
        assert answer.report.chunks > 20
    return pool.most / (4 * (PARAMETERS + 1))


@pytest.fixture
def many_chunks(monkeypatch):
    monkeypatch.setattr(cut, "CHUNK_SECONDS", 1e-5)


def test_results_of_chunks_are_let_go(many_chunks):
    assert 1 <= most_results() <= CHUNKS


def test_the_planted_fault_of_keeping_all_results_is_found(many_chunks, monkeypatch):
    kept, add = [], Gathered.add

    def keeping(self: Gathered, outputs):
        kept.append(outputs)
        add(self, outputs)

    monkeypatch.setattr(Gathered, "add", keeping)
    assert most_results() > 10 * CHUNKS
