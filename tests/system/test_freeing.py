"""A call past its deadline, and one whose client is killed, free their workers within a second."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.ir.errors import DeadlineExceeded
from tests.system.processes import busy_seconds, seconds_until_idle

pytestmark = pytest.mark.ray

BEGINS_SECONDS = 120.0
LONG_CALL = """
import sys
import numpy as np
from gradserve.client import Client
from tests.system.test_freeing import endless

with Client(sys.argv[1], timeout=600) as client:
    f = client.function(endless, w=np.ones(20_000))
    print("asking", flush=True)
    f.value_and_grad(np.ones((60, 20_000)), batch=True)
"""


def endless(w):
    """A minute of short steps for one worker at 60 points."""
    y = w
    for _ in range(1000):
        y = np.sin(y * 1.1 + 0.1) * w - 0.2
    return np.sum(y)


def wait_until_at_work(service, before):
    """Returns when the workers have begun: others may leave them little of the processors, as they stand back."""
    give_up = time.monotonic() + BEGINS_SECONDS
    while busy_seconds(service.pid) - before < 0.3:
        assert time.monotonic() < give_up, "the call never ran"
        time.sleep(0.1)


def test_a_call_past_its_deadline(service):
    with Client(service.address, timeout=8.0) as client:
        f = client.function(endless, w=np.ones(20_000))
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            f.value_and_grad(np.ones((60, 20_000)), batch=True)
        assert time.monotonic() - started < 10.0
    assert seconds_until_idle(service.pid, limit=10.0) < 1.0


def test_a_client_killed_in_the_middle(service, pytestconfig):
    command, before = [sys.executable, "-c", LONG_CALL, service.address], busy_seconds(service.pid)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=pytestconfig.rootpath) as client:
        assert client.stdout
        assert client.stdout.readline() == "asking\n"
        wait_until_at_work(service, before)
        client.kill()
    assert seconds_until_idle(service.pid, limit=10.0) < 1.0
