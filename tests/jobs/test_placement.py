"""Where a job runs: by its predicted time, its memory, and what the caller wishes."""

import numpy as np
import pytest

from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import InvalidRequest
from gradserve.jobs.call import Options, Placement
from gradserve.jobs.context import Context
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.derivations import Evaluate


@pytest.fixture
def pools():
    both = LocalPool(1), LocalPool(1)
    yield both
    for pool in both:
        pool.close()


def pieces(context, size):
    graph = trace(lambda x: np.sum(np.sin(x)), np.zeros(size)).graph
    return context.pieces(graph, Evaluate(), None)[0]


@pytest.mark.parametrize(
    ("size", "data", "wish", "stays"),
    [
        (10, 80, Placement.AUTO, True),
        (10_000_000, 80, Placement.AUTO, False),  # long
        (10_000_000, 10**10, Placement.AUTO, True),  # not worth the way
        (10_000_000, 80, Placement.FRONT_END, True),
        (10, 80, Placement.CLUSTER, False),
    ],
)
def test_time_and_wishes(pools, size, data, wish, stays):
    context = Context(*pools)
    pool, reason = context.place(pieces(context, size), data, Options(placement=wish))
    assert pool is pools[0 if stays else 1], reason


def test_what_takes_much_memory_goes_to_the_cluster_however_short(pools):
    front_end, cluster = pools
    context = Context(front_end, cluster, front_end_bytes=100_000)
    assert context.place(pieces(context, 1000), 8000, Options())[0] is pools[0]
    pool, reason = context.place(pieces(context, 10_000), 80_000, Options())
    assert pool is pools[1]
    assert "at most 100000 stay here" in reason


def test_without_a_cluster_all_stays(pools):
    context = Context(pools[0], front_end_bytes=100)
    assert context.place(pieces(context, 1000), 8000, Options())[0] is pools[0]
    with pytest.raises(InvalidRequest, match="has no cluster") as raised:
        context.place(pieces(context, 10), 80, Options(placement=Placement.CLUSTER))
    assert raised.value.violations[0].constraint == "R8"
