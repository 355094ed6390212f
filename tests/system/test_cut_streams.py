"""A front end that crashes, is killed or stands still amid a stream: every answer once, or a typed end in time."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client, DeadlineExceeded, Unavailable
from tests.clients.bits import same_bits
from tests.system.restarts import Service

pytestmark = pytest.mark.slow

ENDS = [signal.SIGSEGV, signal.SIGKILL, signal.SIGSTOP]
STILL_SECONDS = 1.0
"""How long a front end stands still before somebody ends it."""
DATA = np.cos(np.arange(40_000.0)).reshape(20_000, 2)
POINTS = [np.array([np.sin(k), 0.01 * k]) for k in range(6000)]
POINT, PROBES = POINTS[1], 1 << 14


def loss(w):
    return np.sum(np.tanh(DATA @ w) ** 2)


def gradients(client: Client, seen: Callable[[int], None]) -> list[Any]:
    """The answers of a bidirectional stream."""
    found: list[Any] = []
    for pair in client.function(loss, POINT).stream_gradient(iter(POINTS)):
        found.append(pair)
        seen(len(found))
    return found


def trace(client: Client, seen: Callable[[int], None]) -> list[Any]:
    """Those of a stream of the server."""
    found: list[Any] = []

    def progress(estimate):
        found.append((estimate.probes, estimate.value, estimate.interval))
        seen(len(found))

    client.function(loss, POINT).hessian_trace(
        POINT, max_probes=PROBES, estimator="hutchinson", seed=1, progress=progress
    )
    return found


STREAMS = {"gradients": (gradients, 5), "trace": (trace, 3)}
"""What is asked, and at how many answers the front end ends, of which it is not ahead by all others."""


@pytest.fixture
def front_end(tmp_path: Path) -> Iterator[Service]:
    running = Service(log=tmp_path / "log")
    yield running
    running.end(signal.SIGKILL)


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_goes_on_with_the_front_end_that_comes_back(name, number, front_end):
    stream, at = STREAMS[name]
    ended: list[int] = []
    starting: list[threading.Thread] = []

    def again() -> None:
        if number is signal.SIGSTOP:
            time.sleep(STILL_SECONDS)
        ended.append(front_end.end(signal.SIGKILL if number is signal.SIGSTOP else number))
        front_end.start()

    def end(count: int) -> None:
        if count != at:
            return
        if number is signal.SIGSTOP:
            os.kill(front_end.pid, number)
            starting.append(threading.Thread(target=again))
            starting[0].start()
        else:
            again()

    with Client(front_end.address, timeout=120) as client:
        expected = stream(client, lambda _: None)
        found = stream(client, end)
    for thread in starting:
        thread.join()
    assert ended in ([-signal.SIGKILL], [-number])
    assert len(found) == len(expected)
    assert same_bits(found, expected)


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_without_its_front_end_ends_typed_by_its_deadline(name, number, front_end):
    stream, at = STREAMS[name]
    seconds, began, seen = 4.0, [0.0], [0]

    def end(count: int) -> None:
        seen[0] = count
        if count == at:
            began[0] = time.monotonic()
            os.kill(front_end.pid, number)

    with Client(front_end.address, timeout=30) as client:
        client.function(loss, POINT).grad(POINT)
        with Client(front_end.address, timeout=seconds) as hurried:
            with pytest.raises((DeadlineExceeded, Unavailable)):
                stream(hurried, end)
            assert time.monotonic() - began[0] < seconds + 2.0
    assert seen[0] >= at  # what had come by then may be handed out
