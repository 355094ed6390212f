"""Late calls that are asked a second time: of real services, one of which a signal stops."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client, Hedge
from gradserve.client.transport.attempt import Pace
from gradserve.client.transport.hedging import AT_FIRST, HedgedBackend
from gradserve.ir.errors import DeadlineExceeded, InvalidRequest, Unavailable

AFTER = 0.6
LOST = 30.0
"""Within which whoever waits for a stopped service has no answer."""


class Service:
    """A front end of its own process."""

    def __init__(self, stack):
        command = [sys.executable, "-P", "-m", "gradserve.service", "--no-ray", "--workers", "1"]
        command += ["--address", "127.0.0.1:0", "--metrics-port", "-1"]
        self.process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        stack.callback(self.process.kill)
        line = next(line for line in self.process.stderr if "serving on port" in line)
        self.address = f"127.0.0.1:{int(line.split('port ')[1].split(',')[0])}"


@pytest.fixture(scope="module")
def services():
    with ExitStack() as stack:
        yield Service(stack), Service(stack)


@pytest.fixture
def first(services):
    """The first of them, which goes on after a test that has stopped it."""
    yield services[0]
    services[0].process.send_signal(signal.SIGCONT)


def hedging(client):
    backend = client._backend
    assert isinstance(backend, HedgedBackend)
    return backend


def loss(w):
    return np.sum(np.tanh(w) ** 2)


W = np.linspace(-1.0, 1.0, 50)


def stand_still(process):
    """Stops a process, and waits until all of its threads stand."""
    process.send_signal(signal.SIGSTOP)
    tasks = Path(f"/proc/{process.pid}/task")
    while not all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.glob("*/stat")):
        time.sleep(0.001)


def test_a_stopped_front_end_delays_no_call(services, first):
    with (
        Client(first.address, timeout=LOST, hedge=Hedge(AFTER, address=services[1].address)) as client,
        Client(services[1].address) as plain,
    ):
        f, expected = client.function(loss, W), plain.function(loss, W).grad(W)
        assert f.grad(W).tobytes() == expected.tobytes()
        assert hedging(client).hedged == 0
        stand_still(first.process)
        for _ in range(3):
            started = time.monotonic()
            assert f.grad(W).tobytes() == expected.tobytes()
            assert time.monotonic() - started < LOST / 3
        assert (hedging(client).hedged, hedging(client).won) == (3, 3)
        until = time.monotonic() + 10  # the calls that lost have been cancelled, and their threads ended
        while any("_begin" in thread.name for thread in threading.enumerate()) and time.monotonic() < until:
            time.sleep(0.01)
        assert not any("_begin" in thread.name for thread in threading.enumerate())


def test_without_a_hedge_the_same_call_is_late(first):
    with Client(first.address, timeout=LOST) as client:
        f = client.function(loss, W)
        f.grad(W)
        f.timeout = 4 * AFTER
        stand_still(first.process)
        with pytest.raises(DeadlineExceeded):
            f.grad(W)


def test_the_second_call_has_its_budget(services, first):
    with Client(first.address, timeout=LOST, hedge=Hedge(0.1, address=services[1].address)) as client:
        f = client.function(loss, W)
        f.grad(W)
        stand_still(first.process)
        f.timeout = 4.0
        with pytest.raises(DeadlineExceeded):
            [f.grad(W) for _ in range(3 * AT_FIRST)]
        # Ten at first, and one more as those ten were answered; the call before may have been late on a busy machine.
        assert hedging(client).hedged in (AT_FIRST, AT_FIRST + 1)


def test_a_front_end_that_is_gone_is_not_taken_for_the_answer(services):
    with ExitStack() as stack:
        gone = Service(stack)
        with Client(gone.address, timeout=LOST, hedge=Hedge(AFTER, address=services[1].address)) as client:
            f = client.function(loss, W)
            expected = f.grad(W)
            gone.process.kill()
            gone.process.wait()
            assert f.grad(W).tobytes() == expected.tobytes()
            assert hedging(client).won == 1


def test_an_error_of_one_is_the_error_of_both(services):
    with Client(services[0].address, hedge=Hedge(60.0, address=services[1].address)) as client:
        f = client.function(lambda A: np.sum(np.linalg.cholesky(A)), np.eye(3))
        with pytest.raises(Exception, match="cholesky"):
            f(-np.eye(3))
        assert hedging(client).hedged == 0


def test_the_usual_time_is_learned(services):
    with Client(services[0].address, hedge=True) as client:
        f = client.function(loss, W)
        for _ in range(80):
            f.grad(W)
        assert hedging(client).hedged <= AT_FIRST + 8


def test_the_pace_is_that_of_the_last_calls():
    pace, now = Pace(), time.monotonic()
    for k in range(15):
        pace.note(now - 10.0)
        assert pace.quantile(0.95) is None, k
    pace.note(now - 10.0)
    assert pace.quantile(0.5) == pytest.approx(10.0, abs=5.0)
    for k in range(64):
        pace.note(time.monotonic() - 0.01 * k)
    assert pace.quantile(0.95) == pytest.approx(0.6, abs=0.05)


def test_a_closed_client_says_so(services):
    client = Client(services[0].address, hedge=True)
    f = client.function(loss, W)
    client.close()
    with pytest.raises(Unavailable, match="closed"):
        f.grad(W)


NO_NUMBER: Any = "x"


@pytest.mark.parametrize(
    "value",
    [0, -1.0, "soon", float("inf"), Hedge(quantile=1.5), Hedge(quantile=NO_NUMBER), Hedge(1.0, address="http://x")],
)
def test_what_is_no_hedge_is_refused(value):
    with pytest.raises(InvalidRequest):
        Client("127.0.0.1:1", hedge=value)
