"""Ray clusters of several nodes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gradserve.pools.ray import cluster as local_cluster
from gradserve.pools.ray.bare_node import BareNode

STORE_BYTES = 80 << 20


@contextmanager
def nodes(*cpus: int) -> Iterator[str]:
    """The address of a cluster of nodes with so many CPUs each, on the first of which this process is."""
    with unconnected(*cpus) as started:
        local_cluster.connect(started[0].gcs_address, cpus=1)
        try:
            yield started[0].gcs_address
        finally:
            local_cluster.disconnect()


@contextmanager
def unconnected(*cpus: int) -> Iterator[list[BareNode]]:
    """Those nodes, of which the first is the head; this process is on none of them."""
    started = _started(cpus)
    try:
        yield started
    finally:
        _end(started)


def _started(cpus: tuple[int, ...], attempts: int = 3) -> list[BareNode]:
    """A busy machine may not start a node in Ray's time, which cannot be changed; then again."""
    found: list[BareNode] = []
    ports = {"min_worker_port": 0, "max_worker_port": 0}
    try:
        for count in cpus:
            head = {"gcs_address": found[0].gcs_address} if found else {}
            found.append(BareNode(head=not found, num_cpus=count, object_store_memory=STORE_BYTES, **ports, **head))
    except Exception:
        _end(found)
        if attempts == 1:
            raise
        return _started(cpus, attempts - 1)
    return found


def _end(found: list[BareNode]) -> None:
    for node in reversed(found):
        node.kill_all_processes(check_alive=False, allow_graceful=True)
