"""A front end that ends amid calls, as Ray ends it with its node: another takes its place, and no call is lost."""

import threading
import time

import numpy as np
import psutil
import pytest

from gradserve.client import Client
from gradserve.client.cli.demo_service import DemoService
from tests.clients.bits import same_bits
from tests.system.processes import front_ends

pytestmark = pytest.mark.ray

LARGE = np.linspace(0.0, 1.0, 1 << 18)
HAND_OVER_SECONDS = 0.5
"""In which an array is on its way, or will never be."""


def loss(w):
    return np.sum(np.sin(w) * np.tanh(w))


@pytest.fixture
def own():
    """A service that loses its cluster."""
    started = DemoService(workers=1)
    yield started
    assert started.stop() == 0


def raylet_of(process: psutil.Process) -> psutil.Process:
    (found,) = [p for p in process.children(recursive=True) if p.name() == "raylet"]
    return found


def test_a_front_end_that_ends_amid_calls_is_replaced(own, embedded):
    expected = embedded.function(loss, LARGE).value_and_grad(LARGE)
    (before,) = front_ends(own.pid)
    raylet = raylet_of(before)
    answers = []

    def ask():
        with Client(own.address, timeout=60) as client:
            f = client.function(loss, LARGE)
            f.placement, f.executor = "cluster", "numpy"
            answers.append(f.value_and_grad(LARGE))

    callers = [threading.Thread(target=ask) for _ in range(2)]
    raylet.suspend()  # it takes no array
    for caller in callers:
        caller.start()
    time.sleep(HAND_OVER_SECONDS)
    assert not answers
    raylet.kill()
    for caller in callers:
        caller.join(60)
    (after,) = front_ends(own.pid)
    assert after.pid != before.pid
    assert len(answers) == len(callers)
    assert all(same_bits(answer, expected) for answer in answers)
