"""The same request has the same bits in this process, on one worker, on two, and when workers are killed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.cli.demo_service import DemoService
from tests.system.losses import batch, network, point
from tests.system.processes import Killer

pytestmark = pytest.mark.ray

POINTS = 64
PROBES = 256
EXECUTORS = ("numpy", "fused")


def gradient_bits(client, executor):
    f = client.function(network, **point())
    f.executor = executor
    values, gradients = f.value_and_grad(**batch(POINTS), batch=True)
    return [values.tobytes(), *(gradients[name].tobytes() for name in sorted(gradients))], f.last_report


def trace_bits(client, executor):
    f = client.function(network, **point())
    f.executor = executor
    estimate = f.hessian_trace(**point(), max_probes=PROBES, seed=3)
    assert estimate.probes == PROBES
    return np.array([estimate.value, *estimate.interval, estimate.standard_error]).tobytes(), f.last_report


def sketched_bits(client, executor):
    """Of estimators whose later products depend on earlier ones."""
    f = client.function(network, **point())
    f.executor = executor
    found = [
        f.hessian_trace(**point(), estimator=name, max_probes=48, seed=3) for name in ("auto", "hutch++", "xtrace")
    ]
    return [np.array([each.value, *each.interval, *each.parts.values()]).tobytes() for each in found]


def zero_order_bits(client, executor):
    """Of values along random directions, and along every entry of a parameter."""
    f = client.function(network, **point())
    f.executor = executor
    random = f.zero_order_gradient(**point(), max_probes=PROBES, seed=3)
    full = f.zero_order_gradient(**point(), wrt=min(random.values), sampler="basis", scheme="forward")
    return [
        np.float64(random.variance).tobytes(),
        *(array.tobytes() for array in random.values.values()),
        full.values.tobytes(),
    ]


def spectral_bits(client, executor):
    """Of loops that run where the program is: the report is the one of the spectrum."""
    f = client.function(network, **point())
    f.executor = executor
    pairs = f.hessian_eigenpairs(**point(), count=2, tol=1e-3, max_products=80)
    spectrum = f.hessian_spectrum(**point(), probes=6, steps=12, seed=3)
    arrays = pairs.values, pairs.residuals, spectrum.density, spectrum.cumulative_half_widths, spectrum.nodes
    return [array.tobytes() for array in arrays], f.last_report


GROUPS = {"first": "w", "last": "u"}
AT_POINTS = {**batch(2), "batch": True, "groups": GROUPS}
SUMMED = {**batch(6), "batch": True, "reduction": "mean"}
STREAMS = {
    "trace at points": lambda f, **more: f.hessian_trace(
        **AT_POINTS, estimator="hutch++", max_probes=12, seed=3, **more
    ),
    "trace of a sum": lambda f, **more: f.hessian_trace(
        **SUMMED, groups=GROUPS, diagonal=True, max_probes=12, seed=3, **more
    ),
    "diagonal of a sum": lambda f, **more: f.hessian_diagonal(**SUMMED, max_probes=20, seed=3, **more),
    "spectrum at points": lambda f, **more: f.hessian_spectrum(**AT_POINTS, probes=1, steps=4, seed=3, **more),
    "spectrum of a sum": lambda f, **more: f.hessian_spectrum(**SUMMED, probes=2, steps=3, seed=3, **more),
    "eigenpair of a sum": lambda f, **more: f.hessian_eigenpairs(**SUMMED, count=1, basis=3, max_products=6, **more),
}
"""Sums over examples, whose products are sweeps, and every group at each of some points."""


def summed_bits(client, executor):
    return [[said(answer) for answer in answers] for answers in streamed(client, executor).values()]


def streamed(client, executor, resume=None):
    """All that each stream answers; from answers on where these are given."""
    f = client.function(network, **point())
    f.executor = executor
    found: dict[str, list[Any]] = {}
    for name, ask in STREAMS.items():
        found[name] = []
        ask(f, progress=found[name].append, **({"resume": resume[name]} if resume else {}))
    return found


def said(answer):
    """The bits of all that an answer says; its report, its token and what was said before it are of this way alone."""
    fields = [name for name in answer.__dataclass_fields__ if name not in ("report", "token", "looks")]
    return {name: bits_of(getattr(answer, name)) for name in fields}


def bits_of(value):
    if isinstance(value, Mapping):
        return {name: bits_of(each) for name, each in value.items()}
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value)


def regularising_bits(client, executor):
    """Of gradients of estimates."""
    f = client.function(network, **point())
    f.executor = executor
    trace = f.hessian_trace(**point(), max_probes=16, seed=3, gradient=True)
    spectrum = f.hessian_spectrum(**point(), probes=3, steps=8, seed=3, damping=1.0, gradient=True)
    return [array.tobytes() for found in (trace, spectrum) for array in found.gradient.values()]


def all_bits(client, executor):
    found = [bits(client, executor)[0] for bits in (gradient_bits, trace_bits, spectral_bits)]
    gradients = regularising_bits(client, executor), zero_order_bits(client, executor)
    return (*found, sketched_bits(client, executor), *gradients, summed_bits(client, executor))


@pytest.fixture(scope="module")
def expected(embedded):
    return {executor: all_bits(embedded, executor) for executor in EXECUTORS}


@pytest.mark.parametrize("threads", [1, 3])
def test_with_other_numbers_of_threads(expected, threads):
    with Client(threads=threads) as client:
        for executor in EXECUTORS:
            assert all_bits(client, executor) == expected[executor]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_with_two_workers(expected, remote, executor):
    bits, report = gradient_bits(remote, executor)
    assert (report.placement, report.executor, report.chunks > 1) == ("cluster", executor, True)
    spectral, spent = spectral_bits(remote, executor)
    assert (spent.placement, spent.chunks) == ("cluster", 7)
    found = bits, trace_bits(remote, executor)[0], spectral, sketched_bits(remote, executor)
    gradients = regularising_bits(remote, executor), zero_order_bits(remote, executor)
    assert (*found, *gradients, summed_bits(remote, executor)) == expected[executor]


def test_with_one_worker_and_where_it_goes_on_with_what_another_front_end_began(expected, remote):
    begun = streamed(remote, "numpy")
    middle = {name: (len(answers) - 1) // 2 for name, answers in begun.items()}
    service = DemoService(workers=1)
    try:
        with Client(service.address) as client:
            assert all_bits(client, "numpy") == expected["numpy"]
            gone_on = streamed(client, "numpy", {name: answers[middle[name]] for name, answers in begun.items()})
    finally:
        assert service.stop() == 0
    for name, answers in begun.items():
        assert [said(each) for each in gone_on[name]] == [said(each) for each in answers[middle[name] :]], name
        assert len(answers) > 1, f"{name}: a stream of one answer shows nothing"


def test_with_workers_killed_in_the_middle(expected, service, remote):
    retries = 0
    for attempt in range(6):
        with Killer(service.pid, pause=0.05 + 0.03 * attempt, kills=1):
            executor = EXECUTORS[attempt % 2]
            bits, report = gradient_bits(remote, executor)
        retries += report.retries
        assert bits == expected[executor][0]
    with Killer(service.pid, pause=0.2, kills=2) as killer:
        bits, report = trace_bits(remote, "numpy")
    assert killer.killed
    assert bits == expected["numpy"][1]
    assert retries + report.retries > 0
    with Killer(service.pid, pause=0.1, kills=2) as killer:
        bits, report = spectral_bits(remote, "numpy")
    assert killer.killed
    assert bits == expected["numpy"][2]
    with Killer(service.pid, pause=0.1, kills=2):
        assert sketched_bits(remote, "numpy") == expected["numpy"][3]
    with Killer(service.pid, pause=0.1, kills=1) as killer:
        assert summed_bits(remote, "numpy") == expected["numpy"][-1]
    assert killer.killed


def test_the_comparison_can_fail(expected, embedded):
    """A planted fault: another seed has other bits."""
    f = embedded.function(network, **point())
    other = f.hessian_trace(**point(), max_probes=PROBES, seed=4)
    assert np.array([other.value]).tobytes() != expected["numpy"][1][:8]
