"""The ways to a service on the same machine: by TCP, by a Unix socket, and by memory that both share."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from gradserve.client import Client
from tests.bench.asked import weights
from tests.bench.remote import Method, method_of
from tests.bench.report import Screen, Section, duration, time_floor
from tests.bench.timing import Here, Timing, interleave, ratio, turns

AGAINST_BARE = 1.1
LENGTHS = (10_000, 100_000, 1_000_000, 10_000_000)
STARTUP_SECONDS = 60.0


@contextmanager
def _service(address: str) -> Iterator[str]:
    """A service in a process of its own."""
    command = [sys.executable, "-m", "gradserve.service", "--no-ray", "--metrics-port", "-1", "--log-level", "ERROR"]
    process = subprocess.Popen([*command, "--address", address])
    try:
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=STARTUP_SECONDS)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def to_a_service(seconds: float, screen: Screen) -> Section:
    """Times of one value and gradient, by length and by way."""
    rows, floors = [], []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        bare = stack.enter_context(method_of("bare", "mean_square"))
        tcp = stack.enter_context(_service(f"127.0.0.1:{_free_port()}"))
        unix = stack.enter_context(_service(f"unix:{Path(folder) / 'grads.sock'}"))
        ways = {
            "TCP": Client(tcp, share_memory=False, timeout=None),
            "TCP, float32": Client(tcp, share_memory=False, timeout=None),
            "Unix socket": Client(unix, share_memory=False, timeout=None),
            "TCP, shared": Client(tcp, timeout=None),
            "Unix socket, shared": Client(unix, timeout=None),
        }
        for client in ways.values():
            stack.enter_context(client)
        for length in LENGTHS:
            times = interleave(_subjects(ways, bare, length), seconds, 1)
            rows.append(_row(length, times))
            screen.line(f"d = {length:<9} " + "  ".join(f"{n} {duration(t.median)}" for n, t in times.items()))
            if length >= 1_000_000:
                name = f"d = {length}, by shared memory: time of the bare server's"
                floors.append(time_floor(name, ratio(times["Unix socket, shared"], times["bare"]), AGAINST_BARE))
                screen.line(str(floors[-1]))
    header = ("parameters", *times, *(f"{name} : bare" for name in ways), "turns")
    text = (
        "The value and gradient of the section before, of a service without Ray in a process of its own: median (best) "
        "of interleaved turns of one call. `shared` is `Client(address)`, whose arrays lie in memory that both "
        "processes have; the others send them, those beyond 16 MiB as blobs. With float32 half is sent."
    )
    return Section("Ways to a service on the same machine", text, header, rows, floors)


def _subjects(ways: dict[str, Client], bare: Method, length: int) -> list[Here]:
    """The calls, once their results are known to be right."""
    a, w = weights(length), np.random.default_rng(length).standard_normal(length)

    def loss(w: Any) -> Any:
        return 0.5 * np.mean(a * (w - 1.0) ** 2)

    def through_bare() -> tuple[Any, Any]:
        reply = bare(w.tobytes())
        return np.frombuffer(reply, count=1)[0], np.frombuffer(reply, offset=8)

    subjects = []
    for name, client in ways.items():
        function = client.function(loss, w)
        function.transport = "float32" if "float32" in name else "exact"
        subjects.append(Here(name, lambda ask=function.value_and_grad: ask(w)))  # type: ignore[misc]
    subjects.append(Here("bare", through_bare))
    for subject in subjects:
        for _ in range(3):
            value, gradient = subject.call()
        assert np.isclose(value, loss(w), rtol=1e-6), f"{subject.name}: value"
        expected = a * (w - 1.0) / w.size
        assert np.max(np.abs(gradient - expected)) <= 1e-6 * np.max(np.abs(expected)), f"{subject.name}: gradient"
    return subjects


def _row(length: int, times: dict[str, Timing]) -> Sequence[str]:
    cells = [f"{duration(t.median)} ({duration(t.best)})" for t in times.values()]
    ratios = [str(ratio(t, times["bare"])) for name, t in times.items() if name != "bare"]
    return (f"{length}", *cells, *ratios, turns(times))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port
