"""What it costs to hand a chunk to a worker, beyond the work itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from gradserve.execution import executor, instance_of
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.pool import Pool
from gradserve.pools.work import Chunk, Rows, Work
from gradserve.runtime.control import Control
from tests.bench.report import Screen, Section, duration
from tests.bench.timing import Here, interleave

CHUNKS = 64


def hops(ray: bool, seconds: float, screen: Screen) -> Section:
    """Seconds of one tiny chunk, and of each of many, by pool."""
    program, one, many = _works()
    with ExitStack() as stack:
        pools: dict[str, Pool] = {"threads": LocalPool(2)}
        if ray:
            pools["Ray actors"] = _ray_pool(stack)
        for pool in pools.values():
            stack.callback(pool.close)
        calls: dict[str, Callable[[], Any]] = {"no pool": program}
        for name, pool in pools.items():
            calls[f"{name}, one chunk"] = _runner(pool, one)
            calls[f"{name}, {CHUNKS} chunks"] = _runner(pool, many)
        times = interleave([Here(name, call) for name, call in calls.items()], seconds)
    rows = []
    for name, timing in times.items():
        chunks = CHUNKS if name.endswith("chunks") else 1
        rows.append((name, duration(timing.median / chunks), duration(timing.best / chunks)))
        screen.line(f"{name:24} {duration(timing.median / chunks)} a chunk")
    text = (
        "Seconds of each chunk when a chunk is nothing: x x + 1 for one number. A single short chunk runs in its "
        "caller's thread and makes no hop."
    )
    return Section("Handing work to workers", text, ("pool", "median", "best"), rows)


def _works() -> tuple[Callable[[], Any], Work, Work]:
    """A program called directly, the same as one chunk, and as many."""
    g = builder()
    x = g.input("x", TensorType(ElementType.FLOAT64, (1,)))
    schedule = executor("numpy").schedule(instance_of(g.build({"y": x * x + 1.0})).program)
    digest = schedule.program.digest
    program, data = executor("numpy").prepare(schedule), {"x": np.arange(float(CHUNKS))}
    chunks = tuple(Chunk(digest, {"x": Rows("x", k, k + 1)}) for k in range(CHUNKS))
    one, many = (Work({digest: schedule}, data, {}, chunks[:count], "numpy") for count in (1, CHUNKS))
    return (lambda: program({"x": data["x"][:1]})), one, many


def _runner(pool: Pool, work: Work) -> Callable[[], Any]:
    return lambda: list(pool.run(work, Control.after(60.0)))


def _ray_pool(stack: ExitStack) -> Pool:
    from gradserve.pools.ray import cluster as local_cluster
    from gradserve.pools.ray.pool import RayPool

    local_cluster.connect(None, cpus=2, object_store_bytes=256 << 20)
    stack.callback(local_cluster.disconnect)
    return RayPool(workers=2)
