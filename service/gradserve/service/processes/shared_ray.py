"""One Ray cluster for all processes of a service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace

from gradserve.runtime.processors import processors
from gradserve.service.configuration.settings import Settings


def share_ray(
    settings: Settings, running: ExitStack, lost: Callable[[str], None]
) -> tuple[Settings, Mapping[str, str]]:
    """The settings of each process and the variables of its environment, by which it finds the cluster.

    One that is alone has its own, which it can do without for a while.

    What is started for that ends with `running`; if it ends before, `lost` is called with the reason.

    Raises:
        Unavailable: there is no cluster.
    """
    if settings.processes == 1 or not settings.ray or settings.ray_address is not None:
        return settings, {}
    if settings.ray_join is not None:
        from gradserve.pools.ray.joined_node import JoinedNode

        node = JoinedNode(settings.ray_join, settings.ray_metrics_port, lost)
        running.callback(node.close)
        return replace(settings, ray_join=None, ray_address=settings.ray_join), {}
    from gradserve.pools.ray import cluster

    workers = settings.workers or processors()
    most = max(workers, settings.max_workers or 0)
    # All may grow at the same time: then they share processors, as all that runs on one machine does.
    head = cluster.started(most * settings.processes, lost=lost)
    running.callback(head.close)
    return replace(settings, workers=workers, max_workers=most, ray_address=head.address), head.inherited
