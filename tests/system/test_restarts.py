"""A restart of the service never ends a loop of calls, and a deadline always ends a call."""

import os
import signal
import time

import numpy as np
import pytest

from gradserve.client import Client, Unavailable
from gradserve.client.transport.session import Session
from tests.system import restarts

pytestmark = pytest.mark.slow

RESTARTS = int(os.environ.get("GRADSERVE_RESTARTS", "3"))


def test_every_call_is_answered_by_its_deadline_however_often_the_service_restarts():
    counts = restarts.restarted(RESTARTS)
    assert not counts.late
    assert not counts.failed
    assert sum(counts.answered.values()) >= RESTARTS


def test_clients_that_do_not_insist_lose_calls(monkeypatch):
    monkeypatch.setattr(Session, "_insist", lambda _, attempt, *_more: attempt())
    counts = restarts.restarted(1, clients=2)
    assert counts.failed
    assert not counts.late


@pytest.mark.parametrize("method", ["grad", "hessian_trace"])
def test_a_service_that_does_not_come_back_is_told_at_the_deadline(method):
    service = restarts.Service()
    try:
        with Client(service.address, timeout=1.5) as client:
            f = client.function(lambda w: np.sum(np.cos(w)), w=np.ones(3))
            f.grad(np.ones(3))
            service.end(signal.SIGKILL)
            started = time.monotonic()
            with pytest.raises(Unavailable, match="no gradserve service answers"):
                getattr(f, method)(np.ones(3))
            assert time.monotonic() - started >= 1.0
    finally:
        service.end(signal.SIGKILL)
