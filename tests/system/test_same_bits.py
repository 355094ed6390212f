"""The same request has the same bits in this process, on one worker, on two, and when workers are killed."""

from __future__ import annotations

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.cli.demo_service import DemoService
from tests.system.losses import batch, network, point
from tests.system.processes import Killer

pytestmark = pytest.mark.ray

POINTS = 64
PROBES = 256


def gradient_bits(client):
    f = client.function(network, **point())
    values, gradients = f.value_and_grad(**batch(POINTS), batch=True)
    return [values.tobytes(), *(gradients[name].tobytes() for name in sorted(gradients))], f.last_report


def trace_bits(client):
    f = client.function(network, **point())
    estimate = f.hessian_trace(**point(), max_probes=PROBES, seed=3)
    assert estimate.probes == PROBES
    return np.array([estimate.value, *estimate.interval, estimate.standard_error]).tobytes(), f.last_report


@pytest.fixture(scope="module")
def expected(embedded):
    return gradient_bits(embedded)[0], trace_bits(embedded)[0]


@pytest.mark.parametrize("threads", [1, 3])
def test_with_other_numbers_of_threads(expected, threads):
    with Client(threads=threads) as client:
        assert (gradient_bits(client)[0], trace_bits(client)[0]) == expected


def test_with_two_workers(expected, remote):
    bits, report = gradient_bits(remote)
    assert (report.placement, report.chunks > 1) == ("cluster", True)
    assert (bits, trace_bits(remote)[0]) == expected


def test_with_one_worker(expected):
    service = DemoService(workers=1)
    try:
        with Client(service.address) as client:
            assert (gradient_bits(client)[0], trace_bits(client)[0]) == expected
    finally:
        assert service.stop() == 0


def test_with_workers_killed_in_the_middle(expected, service, remote):
    retries = 0
    for attempt in range(6):
        with Killer(service.pid, pause=0.05 + 0.03 * attempt, kills=1):
            bits, report = gradient_bits(remote)
        retries += report.retries
        assert bits == expected[0]
    with Killer(service.pid, pause=0.2, kills=2) as killer:
        bits, report = trace_bits(remote)
    assert killer.killed
    assert bits == expected[1]
    assert retries + report.retries > 0


def test_the_comparison_can_fail(expected, embedded):
    """A planted fault: another seed has other bits."""
    f = embedded.function(network, **point())
    other = f.hessian_trace(**point(), max_probes=PROBES, seed=4)
    assert np.array([other.value]).tobytes() != expected[1][:8]
