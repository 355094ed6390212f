"""A remote call against the server that anyone could write in a day, and against the limit of gRPC itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from gradserve.client import Client, Function
from tests.bench.asked import weights
from tests.bench.report import Screen, Section, duration, time_floor
from tests.bench.servers import METHOD, OPTIONS
from tests.bench.timing import Here, Timing, interleave, ratio, turns

AGAINST_BARE = 1.15
_CAUSE = (
    "beyond the echo, which is most of the time, a request has names, types, options and limits, which Python reads "
    "and writes at both ends; the bare server is sent bytes"
)
CALLS_IN_A_ROW = {2: 30, 1000: 30, 1_000_000: 1}
"""The first call after a pause takes half as long again on every server, so all of them make it one in as many."""
_ROOT = Path(__file__).resolve().parents[2]

Method = Callable[[bytes], bytes]


@contextmanager
def served(*kind: str) -> Iterator[str]:
    """A server of `tests.bench.servers` in a process of its own, and its address."""
    command = [sys.executable, "-m", "tests.bench.servers", *kind]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    port = int(process.stdout.readline())
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def method_of(*kind: str) -> Iterator[Method]:
    """The method of such a server."""
    with served(*kind) as address, grpc.insecure_channel(address, OPTIONS) as channel:
        yield channel.unary_unary(METHOD, bytes, bytes)


def round_trip(address: str, seconds: float, screen: Screen) -> tuple[Section, dict[int, dict[str, Timing]]]:
    """Times of one remote value and gradient, by length and server."""
    timings: dict[int, dict[str, Timing]] = {}
    rows, floors = [], []
    with method_of("bare", "mean_square") as bare, method_of("echo") as echo, Client(address) as client:
        for length, calls in CALLS_IN_A_ROW.items():
            w = np.random.default_rng(length).standard_normal(length)
            function = _function(client, w)
            times = timings[length] = interleave(_subjects(function, bare, echo, w), seconds, calls)
            floor = time_floor(
                f"d = {length}: time of the bare server's",
                ratio(times["gradserve"], times["bare"]),
                AGAINST_BARE,
                _CAUSE,
            )
            floors.append(floor)
            rows.append(_row(length, times, _seconds_inside(function, w)))
            screen.line(f"d = {length:<8} " + "  ".join(f"{n} {duration(t.median)}" for n, t in times.items()))
            screen.line(str(floor))
    header = ("parameters", "gradserve", "bare gRPC + JAX", "bare gRPC echo", "of bare", "of echo", "inside", "turns")
    text = (
        "Value and gradient of 0.5 mean(a (w - 1)^2), float64, over loopback, every server in a process of its own, in "
        "interleaved turns of 30 calls in a row, or of one with 1000000 parameters: median (best) time of a call. The "
        "bare server passes bytes through synchronous gRPC to "
        "`jax.jit(value_and_grad)` and knows the loss beforehand; the echo only sends the parameters back. gradserve's "
        "service runs with Ray behind it and was sent the loss as a graph; what its own report accounts for is inside. "
        "With 1000000 parameters the arrays lie in memory that client and service share."
    )
    return Section("A remote call", text, header, rows, floors), timings


def _function(client: Client, w: Any) -> Function:
    a = weights(w.size)

    def loss(w: Any) -> Any:
        return 0.5 * np.mean(a * (w - 1.0) ** 2)

    return client.function(loss, w)


def _subjects(function: Function, bare: Method, echo: Method, w: Any) -> list[Here]:
    """The three calls, once their results are known to be right."""

    def through_bare() -> tuple[Any, Any]:
        reply = bare(w.tobytes())
        return np.frombuffer(reply, count=1)[0], np.frombuffer(reply, offset=8)

    subjects = [Here("gradserve", lambda: function.value_and_grad(w)), Here("bare", through_bare)]
    a = weights(w.size)
    for subject in subjects:
        value, gradient = subject.call()
        assert np.isclose(value, 0.5 * np.mean(a * (w - 1.0) ** 2), rtol=1e-12), f"{subject.name}: value"
        assert np.allclose(gradient, a * (w - 1.0) / w.size, rtol=1e-12, atol=0), f"{subject.name}: gradient"
    return [*subjects, Here("echo", lambda: np.frombuffer(echo(w.tobytes())))]


def _seconds_inside(function: Function, w: Any) -> float:
    """The median of what the service reports about its own part of a call."""
    inside = []
    for _ in range(20):
        function.value_and_grad(w)
        assert function.last_report
        inside.append(sum(function.last_report.phases.values()))
    return float(np.median(inside))


def _row(length: int, times: dict[str, Timing], inside: float) -> Sequence[str]:
    cells = [f"{duration(t.median)} ({duration(t.best)})" for t in times.values()]
    ratios = [str(ratio(times["gradserve"], times[peer])) for peer in ("bare", "echo")]
    return (f"{length}", *cells, *ratios, duration(inside), turns(times))
