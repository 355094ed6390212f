"""Many points of a tiny loss in one call: against one call for each, and against JAX."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client import Client
from tests.bench import models, peers_local, workloads
from tests.bench.report import Floor, Screen, Section, duration, time_floor
from tests.bench.timing import Here, Timing, interleave, ratio

POINTS, MANY = 1000, 100_000
GAIN, OF_VMAP = 100.0, 0.8


def many_points(clients: dict[str, Client], seconds: float, screen: Screen) -> Section:
    """How much faster one call with a thousand points is than a thousand calls, for each client."""
    rows, floors = [], []
    for name, client in clients.items():
        one, many = _times(client, seconds)
        floor = Floor(
            f"{name}: {POINTS} calls over one with {POINTS} points", POINTS * one.median / many.median, GAIN, True
        )
        rows.append((name, duration(one.median), duration(many.median), f"{floor.measured:.0f}"))
        floors.append(floor)
        screen.line(str(floor))
    against = _against_jax(clients["in process"], seconds)
    of_jax = ratio(against["gradserve"], against["jax"])
    floors.append(time_floor(f"{MANY} points in process: time of `jit(vmap)`'s", of_jax, OF_VMAP))
    screen.line(str(floors[-1]))
    text = (
        f"Value and gradient of {workloads.make('a_toy').title}. Medians of interleaved turns. {MANY} points take "
        f"{duration(against['gradserve'].median)} in process, and {duration(against['jax'].median)} by JAX's "
        "`jit(vmap(value_and_grad))` in a process of its own held to one core."
    )
    header = ("client", "one call, one point", f"one call, {POINTS} points", "gain")
    return Section("A batch in one call", text, header, rows, floors)


def _times(client: Client, seconds: float) -> tuple[Timing, Timing]:
    workload = workloads.make("a_toy")
    function = client.function(workload.using(np), *workload.point)
    points = models.toy_points(POINTS)

    def batch() -> tuple[Any, Any]:
        return function.value_and_grad(*points, batch=True)

    values, gradients = batch()
    for k in range(0, POINTS, POINTS // 10):
        value, gradient = function.value_and_grad(points[0][k], points[1][k])
        assert np.isclose(value, values[k], rtol=1e-13)
        assert all(np.isclose(gradient[name], gradients[name][k], rtol=1e-13) for name in gradient)
    point = workload.point
    times = interleave([Here("one", lambda: function.value_and_grad(*point)), Here("many", batch)], seconds)
    return times["one"], times["many"]


def _against_jax(client: Client, seconds: float) -> dict[str, Timing]:
    workload, points = workloads.make("a_toy"), models.toy_points(MANY)
    function = client.function(workload.using(np), *workload.point)
    peer = peers_local.Jax()

    def call() -> peers_local.Result:
        values, gradients = function.value_and_grad(*points, batch=True)
        return values, list(gradients.values())

    off = peers_local.difference(call(), peer.load(f"vmap {MANY}"))
    assert off < peers_local.CLOSE, f"a batch differs from JAX's by {off:.1e}"
    peers_local.warm(function, call)
    times = interleave([Here("gradserve", call), peer], seconds)
    peer.close()
    return times
