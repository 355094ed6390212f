"""Calls that are late, and clients that are closed."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client, DeadlineExceeded, InvalidRequest, Unavailable
from tests.clients.examples import PAIR, much_data


@pytest.fixture
def service(start):
    return start()


def slow(w):
    """Seconds of work in steps of some milliseconds."""
    x = w
    for _ in range(300):
        x = np.tanh(x @ w)
    return np.sum(x)


SLOW = 0.01 * np.eye(600)


# ---- closed clients


@pytest.mark.parametrize("remotely", [True, False])
def test_a_closed_client_says_so(address, remotely):
    client = Client(address) if remotely else Client(threads=1)
    f = client.function(much_data)
    f.grad(PAIR)
    client.close()
    client.close()
    for ask in (f.grad, f.verify, f.hessian_trace, f.explain):
        with pytest.raises(Unavailable, match="the client is closed"):
            ask(PAIR)


@pytest.mark.parametrize("remotely", [True, False])
def test_closing_ends_calls_under_way(address, remotely):
    client = Client(address) if remotely else Client(threads=1)
    f = client.function(slow, SLOW)
    closing = threading.Timer(0.5, client.close)
    closing.start()
    started = time.monotonic()
    with pytest.raises(Unavailable, match="closed"):
        f(SLOW)
    assert time.monotonic() - started < 5
    closing.join()


# ---- deadlines


@pytest.mark.parametrize("remotely", [True, False])
@pytest.mark.parametrize("method", ["__call__", "verify", "hessian_trace"])
def test_a_late_call_ends_and_frees_its_worker(service, remotely, method):
    with Client(f"127.0.0.1:{service.port}" if remotely else None, threads=2) as client:
        quick = client.function(much_data, PAIR)
        options: dict[str, Any] = {}
        late, argument = client.function(much_data), PAIR
        if method == "__call__":
            late, argument = client.function(slow), SLOW
            late.explain(SLOW, derivation="evaluate")  # so that planning is over
        elif method == "verify":
            late.verify(PAIR, directions=2)
            options = {"directions": 1000}
        else:
            late.hessian_trace(PAIR, estimator="hutchinson", max_probes=2)
            options = {"estimator": "hutchinson", "max_probes": 1_000_000}
        quick(PAIR)
        late.timeout = 0.5
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.5 s; .* f\.timeout = "):
            getattr(late, method)(argument, **options)
        assert time.monotonic() - started < 6
        started = time.monotonic()
        quick(PAIR)
        assert time.monotonic() - started < 6
    assert service.admission.wait_idle(5)


def delayed(method, seconds):
    def act(*arguments, **named):
        time.sleep(seconds)
        return method(*arguments, **named)

    return act


def test_the_timeout_is_for_the_whole_call(service, monkeypatch):
    """Registering, sending and asking share one deadline."""
    for store, name in ((service.blobs, "offset"), (service.graphs, "put")):
        monkeypatch.setattr(store, name, delayed(getattr(store, name), 0.4))
    with Client(f"127.0.0.1:{service.port}", timeout=0.6) as client:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            client.function(much_data).grad(PAIR)
        assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_timeouts_that_leave_no_time(client, timeout):
    f = client.function(much_data)
    with pytest.raises(InvalidRequest, match="leaves no time"):
        f.timeout = timeout


@pytest.mark.parametrize("timeout", [1e9, 1e10, 1e300, 10**400, Fraction(10**30), float("inf")])
def test_a_time_that_nobody_waits_for_is_none(address, timeout):
    """Systems have longest times of their own, of which each tells in its own words."""
    for client in (Client(address, timeout=timeout, hedge=1e9), Client(timeout=timeout, threads=1)):
        with client:
            f = client.function(lambda w: np.sum(w * w), w=np.zeros(3))
            np.testing.assert_array_equal(f.grad(np.ones(3)), [2, 2, 2])
            f.timeout = timeout
            assert f.hessian_trace(np.ones(3)).value == 6.0


def test_no_timeout_at_all(address):
    for client in (Client(address, timeout=None), Client(timeout=None, threads=1)):
        with client:
            assert client.function(much_data).grad(PAIR).shape == (2,)
