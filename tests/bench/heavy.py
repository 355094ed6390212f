"""How long small calls and health checks take while another client has the service do heavy work."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gradserve.client import Client, Function
from tests.bench.asked import Asked
from tests.bench.callers import Raw, calling
from tests.bench.report import Floor, Screen, Section, duration

MIDDLE, GROWTH, HEALTH_SECONDS = 1.5, 2.0, 0.05
_SMALL = Asked("mean_square", 1000)
_CALLS, _PAUSE, _ROUNDS = 300, 5e-3, 5
_LOOP, _SUMS = "a loop elsewhere", "two sums elsewhere"
_SECOND = "import time; end = time.monotonic() + 1.0\nwhile time.monotonic() < end: "
_ADDING = "import numpy as np; a = np.ones(1 << 20); b = a + 1.0\n"
_NICENESS = 15
"""Of workers."""


def beside_heavy_work(address: str, share: float, screen: Screen) -> Section:
    """Percentiles of small calls and of health checks: alone, beside heavy work, and beside a loop elsewhere."""
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    with calling("small", Raw(address, _SMALL), 1, 1) as small, Client(address) as client:
        jobs: dict[str, Callable[[], Any] | None] = {
            "none": None,
            "dense": _dense(client),
            "LAPACK": _lapack(client),
            "planning": _planning(client),
        }
        for first in filter(None, jobs.values()):
            first()  # what is sent and planned once
        jobs[_LOOP] = functools.partial(_elsewhere, 1, _SECOND + "pass", _idle)
        jobs[_SUMS] = functools.partial(_elsewhere, 2, _ADDING + _SECOND + "np.add(a, 1.0, out=b)", _standing_back)
        for _ in range(max(2, round(share * _ROUNDS))):
            for name, job in jobs.items():
                with _again_and_again(job), _checking(address, seen[name, "health"]):
                    seen[name, "small"].extend(small.latencies(_CALLS, _PAUSE))
    rows, floors = [], []
    for name in jobs:
        cells = [duration(_at(seen[name, what], p)) for what in ("small", "health") for p in (50, 99)]
        rows.append((name, *cells, f"{len(seen[name, 'small'])}"))
        screen.line("  ".join(rows[-1]))
        if name not in ("none", _LOOP, _SUMS):
            for percent, most in ((99, GROWTH), (50, MIDDLE)):
                grown = {beside: _grown(seen, beside, percent) for beside in (name, _LOOP, _SUMS)}
                cause = f"beside {_LOOP} it is {grown[_LOOP]:.3g}x, beside {_SUMS} {grown[_SUMS]:.3g}x"
                told = f"beside {name}: p{percent} of small calls of that without"
                floors.append(Floor(told, grown[name], most, cause=cause))
            slowest = _at(seen[name, "health"], 99) / HEALTH_SECONDS
            floors.append(Floor(f"beside {name}: p99 of health checks of 50 ms", slowest, 1.0))
    for floor in floors:
        screen.line(str(floor))
    text = (
        "One client asks for the value and gradient of 0.5 mean(a (w - 1)^2), 1000 parameters, every 5 ms, another for "
        "the health, and a third has the same service, of one process and two Ray workers, make Hessians of a network "
        "(dense), gradients through eigenvalues of 700 x 700 matrices (LAPACK), or gradients of a chain of 2100 nodes "
        "that are planned anew each time, for another number of points (planning), without a pause, on one machine. "
        "What is elsewhere has nothing to do with the service: a process of idle priority that goes round on one "
        "processor, and two of the niceness of workers that add a million numbers in memory. What small calls take "
        "longer beside those is the machine's: its processors sleep, and they share its memory."
    )
    header = ("heavy work", "small p50", "small p99", "health p50", "health p99", "calls")
    return Section("Small calls beside heavy work", text, header, rows, floors)


def _grown(seen: dict[tuple[str, str], list[float]], beside: str, percent: int) -> float:
    return _at(seen[beside, "small"], percent) / _at(seen["none", "small"], percent)


def _elsewhere(count: int, code: str, first: Callable[[], None]) -> None:
    """Runs so many processes of a code to their end."""
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, preexec_fn=first) for _ in range(count)]
    for process in processes:
        process.wait()


def _idle() -> None:
    os.setsid()
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _standing_back() -> None:
    os.setsid()
    os.nice(_NICENESS)


def _dense(client: Client) -> Callable[[], Any]:
    rng = np.random.default_rng(0)
    X, y, w = rng.standard_normal((1000, 40)), rng.standard_normal(1000), rng.standard_normal(1000) / 10

    def loss(w: Any) -> Any:
        return np.mean((np.tanh(X @ w[:960].reshape(40, 24)) @ w[960:984] - y) ** 2)

    function = client.function(loss, w)
    return lambda: _in_cluster(function, function.hessian(w))


def _lapack(client: Client) -> Callable[[], Any]:
    A = np.random.default_rng(0).standard_normal((700, 700))

    def loss(A: Any) -> Any:
        return np.sum(np.log(1.0 + np.linalg.eigvalsh(A @ A.T) ** 2))

    function = client.function(loss, A)
    return lambda: _in_cluster(function, function.value_and_grad(A))


def _planning(client: Client) -> Callable[[], Any]:
    def loss(w: Any) -> Any:
        for k in range(700):
            w = np.sin(w) * (1.0 + k / 700) + 0.1
        return np.sum(w)

    function, numbers = client.function(loss, np.ones(3)), itertools.count(2)
    return lambda: function.value_and_grad(np.ones((next(numbers), 3)), batch=True)


def _in_cluster(function: Function, found: Any) -> Any:
    """What was found, if it was not in the front end."""
    report = function.last_report
    assert report is not None
    assert report.placement == "cluster", report
    return found


@contextmanager
def _again_and_again(job: Callable[[], Any] | None) -> Iterator[None]:
    """A context beside which the job is done without a pause."""
    stop = threading.Event()

    def work() -> None:
        while job is not None and not stop.is_set():
            job()

    with ThreadPoolExecutor(1) as working:
        working_on = working.submit(work)
        time.sleep(0.3)
        try:
            yield
        finally:
            stop.set()
        working_on.result()


@contextmanager
def _checking(address: str, seen: list[float]) -> Iterator[None]:
    """A context in which the health is asked for every few ms."""
    stop = threading.Event()

    def ask() -> None:
        with grpc.insecure_channel(address) as channel:
            stub, request = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()
            stub.Check(request)
            while not stop.is_set():
                started = time.perf_counter()
                stub.Check(request)
                seen.append(time.perf_counter() - started)
                time.sleep(2 * _PAUSE)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        stop.set()
        asking.join()


def _at(seen: list[float], percent: float) -> float:
    return float(np.percentile(seen, percent))
