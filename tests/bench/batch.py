"""Many points of a tiny loss in one call against one call for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client import Client
from tests.bench import workloads
from tests.bench.report import Floor, Screen, Section, duration
from tests.bench.timing import Here, Timing, interleave

POINTS = 1000
GAIN = 100.0


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
    text = f"Value and gradient of {workloads.make('a_toy').title}. Medians of interleaved turns."
    header = ("client", "one call, one point", f"one call, {POINTS} points", "gain")
    return Section("A batch in one call", text, header, rows, floors)


def _times(client: Client, seconds: float) -> tuple[Timing, Timing]:
    workload = workloads.make("a_toy")
    function = client.function(workload.using(np), *workload.point)
    rng = np.random.default_rng(1)
    points = [1.5 + rng.random(POINTS), 0.5 + rng.random(POINTS)]

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
