"""Value and gradient, and Hessian products, of ten everyday losses through `Client()` against JAX."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client import Client, Function
from tests.bench import models, peers_local
from tests.bench.report import Floor, Screen, Section, duration
from tests.bench.timing import Here, Timing, interleave, ratio, turns
from tests.bench.workloads import Workload

GRADIENTS, PRODUCTS, WORST = 0.6, 0.7, 1.3
"""The most of JAX's time that geometric means, and the worst gradient, may take."""
GRADIENT_TIMES, PRODUCT_TIMES = 4.0, 8.0
"""The most times that the loss takes which a gradient and a Hessian product may take."""
_CLOSE = 1e-8
_CAUSES = {"gp": "LAPACK makes an inverse of its factors at half of the speed of products"}
_SMALLEST = "a call on ten numbers is 14 us of Python, and JAX's takes 9 to 19 us, by the run"


def against_jax(seconds: float, screen: Screen) -> Section:
    """The table, with floors on the means, on the worst, and on what derivatives take of the loss's time."""
    rows, floors, gradients, products = [], [], [], []
    peers = {"jax": peers_local.Jax("jax"), "jax hvp": peers_local.Jax("jax hvp")}
    with Client(threads=1) as embedded:
        for name in models.MAKERS:
            workload = models.make(name)
            times = _times(workload, embedded, peers, seconds)
            of_gradient, of_product = ratio(times["gradient"], times["jax"]), ratio(times["hvp"], times["jax hvp"])
            gradients.append(of_gradient.median)
            products.append(of_product.median)
            own = [ratio(times[what], times["loss"]).median for what in ("gradient", "hvp")]
            cells = [f"{duration(timing.median)} ({duration(timing.best)})" for timing in times.values()]
            shown = [str(of_gradient), str(of_product), *(f"{k:.2f}" for k in own)]
            rows.append((f"`{name}` {workload.title}", *cells, *shown, turns(times)))
            floors += [
                Floor(
                    f"{name}: time of the gradient of the loss's", own[0], GRADIENT_TIMES, cause=_CAUSES.get(name, "")
                ),
                Floor(f"{name}: time of the HVP of the loss's", own[1], PRODUCT_TIMES),
            ]
            screen.line(
                f"{name:18} of JAX: gradient {of_gradient}, HVP {of_product}; of the loss {own[0]:.2f}, {own[1]:.2f}"
            )
    for peer in peers.values():
        peer.close()
    floors = [
        Floor("gradients: geometric mean of JAX's time", _mean(gradients), GRADIENTS, cause=_SMALLEST),
        Floor("gradients: worst of JAX's time", max(gradients), WORST, cause=_SMALLEST),
        Floor("HVPs: geometric mean of JAX's time", _mean(products), PRODUCTS),
        *floors,
    ]
    header = (
        *("loss", "value", "gradient", "HVP", "JAX gradient", "JAX HVP"),
        *("gradient of JAX's", "HVP of JAX's", "gradient : value", "HVP : value", "turns"),
    )
    text = (
        "float64, one thread each: through `Client(threads=1)` with all its checks, once compiled, against "
        "`jit(value_and_grad)` and `jit` of forward over reverse, each in a process of its own held to one core. "
        f"Results agree to {_CLOSE:g} before anything is timed. The last columns are times in multiples of the value's."
    )
    return Section("Ten losses through the client", text, header, rows, floors)


def _mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _times(
    workload: Workload, embedded: Client, peers: dict[str, peers_local.Jax], seconds: float
) -> dict[str, Timing]:
    function = embedded.function(workload.using(np), *workload.point)
    calls: dict[str, Callable[[], Any]] = {
        "loss": lambda: function(*workload.point),
        "gradient": peers_local.client(workload, function),
        "hvp": _product(workload, function),
    }
    expected = {"gradient": peers["jax"].load(workload.name), "hvp": peers["jax hvp"].load(f"hvp {workload.name}")}
    for what, result in expected.items():
        off = peers_local.difference(calls[what](), result)
        assert off < _CLOSE, f"{workload.name}: {what} differs from JAX's by {off:.1e}"
    for call in calls.values():
        call()
        peers_local.warm(function, call)
    return interleave([*(Here(what, call) for what, call in calls.items()), *peers.values()], seconds)


def _product(workload: Workload, function: Function) -> Callable[[], peers_local.Result]:
    """H v along the workload's directions."""
    point, directions = workload.point, models.directions(workload)
    tangents = dict(zip(workload.parameters, directions, strict=True))
    tangent = directions[0] if len(directions) == 1 else tangents

    def call() -> peers_local.Result:
        products = function.hvp(*point, tangent=tangent)
        return 0.0, [products] if len(directions) == 1 else list(products.values())

    return call
