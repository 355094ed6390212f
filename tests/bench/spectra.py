"""What the density of 100,000 eigenvalues costs, in Hessian-vector products asked for one by one, and in memory."""

from __future__ import annotations

import functools
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client import Client
from tests.bench import models, workloads
from tests.bench.report import Floor, Screen, Section, duration
from tests.bench.timing import Here, interleave, ratio, turns
from tests.bench.workloads import Workload

PROBES, STEPS, MOST = 2, 32, 1.2
"""Random vectors, steps of each, and what each step may cost in products."""
BATCHES = (256, 1024)


def against_products(seconds: float, screen: Screen) -> Section:
    """The table, with floors on time and memory at the larger batch."""
    rows, floors = [], []
    for batch in BATCHES:
        workload = perceptron(batch)
        size = sum(np.size(parameter) for parameter in workload.point)
        with Client(threads=1) as client:
            function, point = client.function(workload.using(np), *workload.point), workload.point
            function.timeout = None
            tangent = dict(zip(workload.parameters, models.directions(workload), strict=True))
            calls: dict[str, Callable[[], Any]] = {
                "product": functools.partial(function.hvp, *point, tangent=tangent),
                "density": functools.partial(function.hessian_spectrum, *point, probes=PROBES, steps=STEPS),
            }
            found = [call() for call in calls.values()][-1]
            product, whole = _peak(calls["product"]), _peak(calls["density"])
            subjects = [Here(name, call, time.process_time) for name, call in calls.items()]
            times = interleave(subjects, seconds, calls_per_turn=1)
        share = ratio(times["density"], times["product"]).median / (PROBES * STEPS)
        held = (whole - product) / (8 * size)
        cells = [duration(timing.median) for timing in times.values()]
        told = (f"{share:.2f}", f"{whole / 2**20:.0f} MiB", f"{held:.1f}", f"{found.report.peak_bytes / 2**20:.0f} MiB")
        rows.append((workload.title, f"{size}", *cells, *told, turns(times)))
        screen.line(f"batch {batch:5} density {share:.2f} of {PROBES * STEPS} products, {held:.1f} vectors held")
        if batch == BATCHES[-1]:
            floors = [
                Floor(f"batch {batch}: a step of a density, in products", share, MOST),
                Floor(f"batch {batch}: vectors held beside a product, of one probe's and 8", held / (STEPS + 8), 1.0),
            ]
    header = (
        "loss",
        "parameters",
        "product",
        "density",
        "of products",
        "peak",
        "vectors held",
        "peak predicted",
        "turns",
    )
    text = (
        "Processor time, float64: one Hessian-vector product through `Client(threads=1)`, and the spectrum from "
        f"{PROBES} random vectors with {STEPS} steps each; the share is of {PROBES * STEPS} products. What is above 1 "
        "is full re-orthogonalisation, 4 n k operations at step k for n parameters, which no batch makes longer. "
        "Memory is what Python and NumPy allocate at most; vectors held are what the density takes more of it than a "
        "product, in vectors of n numbers: those of one probe, and some at work."
    )
    return Section("The density of a spectrum", text, header, rows, floors)


def perceptron(points: int) -> Workload:
    """A perceptron of 99,978 parameters with cross-entropy on so many points."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((points, 256)), np.eye(10)[rng.integers(0, 10, points)]
    parameters = {}
    for k, (n, m) in enumerate(((256, 256), (256, 128), (128, 10)), start=1):
        parameters[f"W{k}"] = rng.standard_normal((n, m)) / np.sqrt(n)
        parameters[f"b{k}"] = 0.1 * rng.standard_normal(m)
    return Workload("spectrum", f"perceptron 256-256-128-10, batch {points}", workloads.cross_entropy(X, Y), parameters)


def _peak(call: Callable[[], Any]) -> int:
    """The bytes that are allocated at most while it runs."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
