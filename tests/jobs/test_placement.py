"""Where a job runs: by its predicted time, its memory, and what the caller wishes."""

import numpy as np
import pytest

from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import InvalidRequest
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.sweep import Sweep
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Options, Placement
from gradserve.questions.derivations import Evaluate


@pytest.fixture
def pools():
    both = LocalPool(1), LocalPool(1)
    yield both
    for pool in both:
        pool.close()


def placed(context, size, data, **wishes):
    """Where the sum of so many sines runs, and why."""
    graph = trace(lambda x: np.sum(np.sin(x)), np.zeros(size)).graph
    scheduled = Sweep(graph, Evaluate(), Options(**wishes), data).schedule(context)
    return scheduled.pool, scheduled.reason


@pytest.mark.parametrize(
    ("size", "data", "wish", "stays"),
    [
        (10, 80, Placement.AUTO, True),
        (10_000_000, 80, Placement.AUTO, False),  # long
        (1_000_000, 10**10, Placement.AUTO, True),  # not worth the way
        (50_000_000, 10**10, Placement.AUTO, False),  # too heavy to stay, whatever the way costs
        (10_000_000, 80, Placement.FRONT_END, True),
        (10, 80, Placement.CLUSTER, False),
    ],
)
def test_time_and_wishes(pools, size, data, wish, stays):
    context = Context(*pools)
    pool, reason = placed(context, size, data, placement=wish)
    assert pool is pools[0 if stays else 1], reason


def test_what_takes_much_memory_goes_to_the_cluster_however_short(pools):
    front_end, cluster = pools
    context = Context(front_end, cluster, front_end_bytes=100_000)
    assert placed(context, 1000, 8000)[0] is pools[0]
    pool, reason = placed(context, 10_000, 80_000)
    assert pool is pools[1]
    assert "at most 100000 stay here" in reason


def test_without_a_cluster_all_stays(pools):
    context = Context(pools[0], front_end_bytes=100)
    assert placed(context, 1000, 8000)[0] is pools[0]
    with pytest.raises(InvalidRequest, match="has no cluster") as raised:
        placed(context, 10, 80, placement=Placement.CLUSTER)
    assert raised.value.violations[0].constraint == "R8"
