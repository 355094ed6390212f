"""Data is in Ray's store once, whatever programs read it."""

import itertools

import numpy as np
import pytest
import ray
from ray._private.internal_api import node_stats

from gradserve.jobs.sweeps.context import Context
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.ray import cluster as local_cluster
from gradserve.pools.ray.pool import RayPool
from gradserve.pools.ray.sending import Kept
from gradserve.questions.call import Batch, Call, Options, Placement
from gradserve.questions.derivations import Gradient
from tests.jobs.support import differentiated, product, real, total

pytestmark = pytest.mark.ray

ROWS, PARAMETERS = 10_000, 1000
DATA_BYTES = 8 * ROWS * PARAMETERS
SLACK_BYTES = 2 << 20
"""Schedules, small constants and what Ray itself keeps."""


@pytest.fixture(scope="module")
def contexts():
    """A context of the threads here alone, and one of two workers beside them."""
    local_cluster.connect(None, cpus=2, object_store_bytes=600 << 20)
    here, cluster = LocalPool(1), RayPool(workers=2, worker_memory=512 << 20)
    yield Context(here), Context(here, cluster)
    cluster.close()
    here.close()
    local_cluster.disconnect()


def stored_bytes() -> int:
    (node,) = ray.nodes()
    stats = node_stats(node["NodeManagerAddress"], node["NodeManagerPort"], include_memory_info=False)
    return int(stats.store_stats.object_store_bytes_used)


def loss(seed):
    """Of captured data: 80 MB."""
    g = builder()
    w = g.input("w", real(PARAMETERS))
    data = np.random.default_rng(seed).standard_normal((ROWS, PARAMETERS))
    z = g.tanh(product(g, g.constant(data), w))
    return g.build({"loss": total(g, z * z)})


def gradients(context, graph, points, placement):
    w = np.random.default_rng(points).standard_normal((points, PARAMETERS)) * 0.01
    call = Call(graph, {"w": w}, Batch(("w",)), Options(placement=placement))
    answer = differentiated(context, call, Gradient())
    assert answer.report.placement == placement
    return answer.arrays["gradient"]["w"]


def test_five_batch_sizes_put_captured_data_into_the_store_once(contexts):
    alone, both = contexts
    before, graph = stored_bytes(), loss(0)
    for points in range(1, 6):
        found = gradients(both, graph, points, Placement.CLUSTER)
        assert DATA_BYTES <= stored_bytes() - before < DATA_BYTES + SLACK_BYTES
        assert found.tobytes() == gradients(alone, graph, points, Placement.FRONT_END).tobytes()


def test_the_planted_fault_of_data_for_each_program_is_found(contexts, monkeypatch):
    before, graph, numbers, kept = stored_bytes(), loss(1), itertools.count(), Kept.constant
    monkeypatch.setattr(Kept, "constant", lambda self, key, literal: kept(self, f"{next(numbers)} {key}", literal))
    for points in (1, 2):
        gradients(contexts[1], graph, points, Placement.CLUSTER)
    assert stored_bytes() - before >= 2 * DATA_BYTES
