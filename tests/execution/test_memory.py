"""The memory that a schedule predicts is the memory that its steps take."""

import gc
import tracemalloc

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.client.functions import scan
from gradserve.client.tracing.trace import trace
from gradserve.execution import executor
from gradserve.optimize import optimize
from gradserve.questions.derivations import Evaluate, Gradient, Hvp
from tests.execution.graphs import random_arguments, random_graph
from tests.execution.support import DERIVATIONS, WORKLOADS, arguments, moments, scheduled, scheduled_workload, workload

TEMPORARIES = 0.3
"""Kernels may take so much more for a moment, in multiples of what a plan allocates: the share of a logaddexp."""
BOOKKEEPING = 50_000
"""Bytes of Python objects that a run leaves or takes."""


def leaf_bytes(of):
    return sum(i.type.nbytes for i in of.graph.inputs) + sum(c.type.nbytes for c in of.graph.constants)


def check_every_step(of, known):
    """Live bytes agree after each step, before and after its dead values are freed; and so does their maximum."""
    predicted = peak = leaf_bytes(of)
    for moment in moments(of, known):
        predicted += moment.step.allocates
        assert predicted == moment.live_bytes, moment.step
        peak = max(peak, predicted)
        predicted -= moment.step.releases
        assert predicted == moment.kept_bytes, moment.step
    assert peak == of.schedule.peak_bytes


@pytest.mark.parametrize("kind", DERIVATIONS)
@pytest.mark.parametrize("name", WORKLOADS)
def test_predicted_bytes_are_live_bytes(name, kind):
    check_every_step(
        scheduled_workload(name, kind), arguments(scheduled_workload(name, kind), workload(name).parameters)
    )


@pytest.mark.parametrize("seed", range(60))
def test_predicted_bytes_are_live_bytes_on_random_graphs(seed):
    graph = random_graph(seed)
    with np.errstate(all="ignore"):
        of = scheduled(graph)
        check_every_step(of, {**random_arguments(graph, seed), **of.constants})


def peak_taken(of, given):
    """The most bytes that a run allocates at once, after a first one."""
    program = executor("numpy").prepare(of.schedule)
    program(given)
    gc.collect()
    tracemalloc.start()
    try:
        program(given)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", DERIVATIONS)
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_run_takes_what_is_predicted(name, kind):
    of = scheduled_workload(name, kind)
    taken = peak_taken(of, arguments(of, workload(name).parameters))
    predicted = of.schedule.peak_bytes - leaf_bytes(of)
    assert predicted - BOOKKEEPING < taken < (1 + TEMPORARIES) * predicted + BOOKKEEPING


@pytest.mark.parametrize("name", ["i_chain", "i_poly"])
def test_a_long_chain_alone_keeps_two_values(name):
    chain = scheduled_workload(name, "evaluate")
    largest = max(t.nbytes for t in chain.graph.value_types)
    assert chain.schedule.peak_bytes < leaf_bytes(chain) + 1.1 * largest


def loop_graph():
    """A loop whose body makes several large values, and stacks some."""
    rows = np.random.default_rng(0).standard_normal((5, 300, 300))

    def loss(w):
        def step(c, x):
            y = np.tanh(c @ w + x)
            return y * 0.5 + c, np.sin(y)

        return np.sum(scan(step, w, rows).rows)

    return trace(loss, rows[0]).graph


@pytest.mark.parametrize("derivation", [Evaluate(), Gradient(("w",)), Hvp(("w",))])
def test_a_loop_takes_what_is_predicted(derivation):
    of = scheduled(optimize(derive(loop_graph(), derivation)))
    x = 0.01 * np.random.default_rng(1).standard_normal((300, 300))  # where no slope needs more than its value
    taken = peak_taken(of, {**{i.name: x for i in of.graph.inputs}, **of.constants})
    predicted = of.schedule.peak_bytes - leaf_bytes(of)
    assert 0.7 * predicted < taken < (1 + TEMPORARIES) * predicted + BOOKKEEPING
