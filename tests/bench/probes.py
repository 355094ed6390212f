"""What the probes of a trace cost, in Hessian-vector products asked for one by one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client import Client
from gradserve.jobs.estimates.probing import IN_ALL, WITH_SHARES
from tests.bench import models, workloads
from tests.bench.report import Floor, Screen, Section, duration
from tests.bench.timing import Here, Timing, interleave, ratio, turns
from tests.bench.workloads import Workload

PROBES, MOST = 64, 0.5
"""Probes of an estimate, and the share of as many single products that they may take."""
NAMES = ("e_logreg", "f_mlp")
_FLOOR = "f_mlp"


def against_products(seconds: float, screen: Screen) -> Section:
    """The table, with a floor on the perceptron's row."""
    rows, floors = [], []
    with Client(threads=1) as client:
        for name in NAMES:
            workload = workloads.make(name)
            times = _times(workload, client, seconds)
            shares = [ratio(times[what], times["product"]).median / PROBES for what in ("probes", "gradient")]
            cells = [duration(timing.median) for timing in times.values()]
            rows.append((f"`{name}` {workload.title}", *cells, *(f"{share:.2f}" for share in shares), turns(times)))
            screen.line(f"{name:12} {PROBES} probes {shares[0]:.2f} of products, with the gradient {shares[1]:.2f}")
            if name == _FLOOR:
                floors.append(Floor(f"{name}: {PROBES} probes of as many products", shares[0], MOST))
    header = ("loss", "product", f"{PROBES} probes", "and the gradient", "of products", "and the gradient", "turns")
    text = (
        "Processor time, float64: one Hessian-vector product through `Client(threads=1)`, an estimate of the trace "
        f"from {PROBES} random signs, and one with its gradient; the shares are of {PROBES} products. Probes share "
        "what does not depend on them, the gradient and the adjoint of every value. A form <v, H v> alone is what "
        "every op bends along v, times that adjoint: of the perceptron, with P = 205 and Q = 134 million operations "
        "for the products of a batch with its first two matrices, it takes P + 3 Q of the 3 P + 8 Q of a product, "
        "0.36. The interval rests on every entry's share in the forms, for which H v is needed as a whole: "
        f"{WITH_SHARES} of {IN_ALL} probes tell these and take 2 P + 6 Q, which makes 0.41 in all."
    )
    return Section("Probes of a trace", text, header, rows, floors)


def _times(workload: Workload, client: Client, seconds: float) -> dict[str, Timing]:
    function, point = client.function(workload.using(np), *workload.point), workload.point
    tangents = dict(zip(workload.parameters, models.directions(workload), strict=True))
    tangent = tangents if len(tangents) > 1 else next(iter(tangents.values()))
    function.timeout = None
    asked: dict[str, Any] = {"max_probes": PROBES, "estimator": "hutchinson"}
    calls: dict[str, Callable[[], Any]] = {
        "product": lambda: function.hvp(*point, tangent=tangent),
        "probes": lambda: function.hessian_trace(*point, **asked),
        "gradient": lambda: function.hessian_trace(*point, gradient=True, **asked),
    }
    for call in calls.values():
        call()
    return interleave([Here(name, call, time.process_time) for name, call in calls.items()], seconds, calls_per_turn=1)
