"""Ray clusters of several nodes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.cluster_utils import Cluster

from gradserve.pools.ray import cluster as local_cluster

STORE_BYTES = 80 << 20


@contextmanager
def nodes(*cpus: int) -> Iterator[str]:
    """The address of a cluster of nodes with so many CPUs each, on the first of which this process is."""
    cluster = _started(cpus)
    try:
        local_cluster.connect(cluster.address, cpus=1)
        try:
            yield cluster.address
        finally:
            local_cluster.disconnect()
    finally:
        cluster.shutdown()


def _started(cpus: tuple[int, ...], attempts: int = 3) -> Cluster:
    """A busy machine may not start a node in Ray's time, which cannot be changed; then again."""
    cluster = Cluster()
    try:
        for count in cpus:
            cluster.add_node(num_cpus=count, object_store_memory=STORE_BYTES, include_dashboard=False)
    except Exception:
        cluster.shutdown()
        if attempts == 1:
            raise
        return _started(cpus, attempts - 1)
    return cluster
