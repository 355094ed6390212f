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

from gradserve.client import Client
from tests.bench.report import Floor, Screen, Section, duration
from tests.bench.servers import METHOD, OPTIONS, weights
from tests.bench.timing import Here, Timing, interleave, turns

LENGTHS = (2, 1000, 1_000_000)
AGAINST_BARE = 2.0
_ROOT = Path(__file__).resolve().parents[2]

Call = Callable[[], Any]


@contextmanager
def served(kind: str) -> Iterator[Callable[[bytes], bytes]]:
    """A server of `tests.bench.servers` in a process of its own, and its method."""
    command = [sys.executable, "-m", "tests.bench.servers", kind]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    port = int(process.stdout.readline())
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", OPTIONS) as channel:
            yield channel.unary_unary(METHOD)
    finally:
        process.terminate()
        process.wait(10)


def round_trip(address: str, seconds: float, screen: Screen) -> tuple[Section, dict[int, dict[str, Timing]]]:
    """Times of one remote value and gradient, by length and server."""
    timings: dict[int, dict[str, Timing]] = {}
    floors = []
    with served("bare") as bare, served("echo") as echo, Client(address) as client:
        for length in LENGTHS:
            times = timings[length] = _times(client, bare, echo, length, seconds)
            floor = Floor(f"d = {length}: time of the bare server's", _ratio(times, "bare"), AGAINST_BARE)
            floors.append(floor)
            screen.line(f"d = {length:<8} " + "  ".join(f"{n} {duration(t.median)}" for n, t in times.items()))
            screen.line(str(floor))
    header = ("parameters", "gradserve", "bare gRPC + JAX", "bare gRPC echo", "of bare", "of echo", "turns")
    rows = [_row(length, times) for length, times in timings.items()]
    text = (
        "Value and gradient of 0.5 mean(a (w - 1)^2), float64, over loopback, every server in a process of its own, in "
        "interleaved turns: median (best). The bare server passes bytes through synchronous gRPC to "
        "`jax.jit(value_and_grad)` and knows the loss beforehand; the echo only sends the parameters back. gradserve's "
        "service runs with Ray behind it and was sent the loss as a graph."
    )
    return Section("A remote call", text, header, rows, floors), timings


def _times(client: Client, bare: Any, echo: Any, length: int, seconds: float) -> dict[str, Timing]:
    w = np.random.default_rng(length).standard_normal(length)
    calls = {"gradserve": _ours(client, w), "bare": _bytes(bare, w), "echo": lambda: np.frombuffer(echo(w.tobytes()))}
    a = weights(length)
    expected = 0.5 * np.mean(a * (w - 1.0) ** 2), a * (w - 1.0) / length
    for name in ("gradserve", "bare"):
        value, gradient = calls[name]()
        assert np.isclose(value, expected[0], rtol=1e-12), f"{name}: value"
        assert np.allclose(gradient, expected[1], rtol=1e-12, atol=0), f"{name}: gradient"
    return interleave([Here(name, call) for name, call in calls.items()], seconds)


def _ours(client: Client, w: Any) -> Call:
    a = weights(w.size)

    def loss(w: Any) -> Any:
        return 0.5 * np.mean(a * (w - 1.0) ** 2)

    function = client.function(loss, w)
    return lambda: function.value_and_grad(w)


def _bytes(method: Any, w: Any) -> Call:
    def call() -> tuple[Any, Any]:
        reply = method(w.tobytes())
        return np.frombuffer(reply, count=1)[0], np.frombuffer(reply, offset=8)

    return call


def _ratio(times: dict[str, Timing], peer: str) -> float:
    return times["gradserve"].median / times[peer].median


def _row(length: int, times: dict[str, Timing]) -> Sequence[str]:
    cells = [f"{duration(t.median)} ({duration(t.best)})" for t in times.values()]
    ratios = [f"{_ratio(times, peer):.2f}" for peer in ("bare", "echo")]
    return (f"{length}", *cells, *ratios, turns(times))
