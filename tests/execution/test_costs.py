"""Predicted seconds: what they grow with, and that machine code is worth it where it is."""

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.functions import scan
from gradserve.execution import costs, executor, instance_of
from gradserve.ops import OP_SET
from gradserve.questions.derivations import Evaluate, Gradient, Hvp
from tests.bench import workloads
from tests.bench.local import derived_graph, graph_of

EXECUTORS = ("numpy", "fused", "xla")


@pytest.fixture(scope="module")
def embedded():
    with Client(threads=1) as client:
        yield client


def seconds(embedded, function, *point, name="numpy", derivation=None):
    graph = embedded.function(function, *point).graph
    program = instance_of(derived_graph(graph, derivation or Gradient(tuple(i.name for i in graph.inputs)))).program
    return executor(name).schedule(program).seconds


def loop(length):
    return lambda w: np.sum(scan(lambda c, _: (np.sin(c * w), None), w, None, length)[0])


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize(
    "function",
    [lambda w: np.sum(np.sin(w) * w), lambda w: np.sum(w * w), lambda w: np.sum(np.cumsum(w) ** 2)],
    ids=["functions", "products", "sums along"],
)
def test_ten_times_the_elements_take_about_ten_times_as_long(embedded, function, name):
    small, large = (seconds(embedded, function, np.ones(n), name=name) for n in (10**6, 10**7))
    assert 8 < large / small < 12


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_loop_takes_as_long_as_its_steps(embedded, name):
    one, few, many = (seconds(embedded, loop(n), np.ones(500), name=name) for n in (1, 101, 1001))
    assert (many - one) / (few - one) == pytest.approx(10.0, rel=0.05)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_products_of_matrices_take_the_cube_of_their_length(embedded, power):
    def product(a):
        return np.sum(np.sqrt(a @ a))

    small, large = (seconds(embedded, product, np.ones((n, n)), derivation=Evaluate()) for n in (500, 2000))
    assert (large / small == pytest.approx(4.0**power, rel=0.2)) == (power == 3.0)


@pytest.mark.parametrize("derivation", [Gradient, Hvp])
@pytest.mark.parametrize("name", [*workloads.MAKERS])
def test_machine_code_is_not_predicted_to_be_slower(embedded, name, derivation):
    """Else programs would stay on NumPy. What both leave to BLAS and LAPACK takes equally long."""
    workload = workloads.make(name, 0.1 if name.startswith("i_") else 1.0)
    graph = derived_graph(graph_of(workload, embedded), derivation(tuple(workload.parameters)))
    program = instance_of(graph).program
    on_numpy, compiled = (executor(each).schedule(program).seconds for each in ("numpy", "fused"))
    assert compiled < 1.1 * on_numpy


def test_a_few_matrices_side_by_side_take_as_long_as_one_of_as_many_columns(embedded, monkeypatch):
    """An axis of two is no side of a matrix: it lies beside another one."""
    few, wide = np.ones((400, 2, 200)), np.ones((400, 400))
    x = np.ones((300, 400))

    def apart():
        product = lambda a, b: np.tensordot(a, b, axes=1)  # noqa: E731
        few_, wide_ = (seconds(embedded, product, x, b, derivation=Evaluate()) for b in (few, wide))
        return few_ / wide_

    assert 0.8 < apart() < 1.25
    monkeypatch.setattr(costs, "_sides", lambda op, operands: (n for t in operands for n in t.lengths))
    assert apart() > 3


def test_loops_of_small_steps_are_predicted_to_gain_most(embedded):
    on_numpy, compiled = (seconds(embedded, loop(1000), np.array(0.5), name=each) for each in ("numpy", "fused"))
    assert compiled < on_numpy / 5


def test_figures_are_about_ops_that_there_are(monkeypatch):
    def unknown():
        return [name for name in costs._NANOSECONDS if OP_SET.find(name) is None]

    assert not unknown()
    monkeypatch.setattr(costs, "_NANOSECONDS", {**costs._NANOSECONDS, "sine": 1.0})  # a planted fault
    assert unknown() == ["sine"]


def test_predictions_do_not_depend_on_the_machine(embedded, monkeypatch):
    """They decide how work is cut, and with that the last bits."""
    before = [seconds(embedded, loop(10), np.ones(50), name=name) for name in EXECUTORS]
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("time.perf_counter", lambda: 0.0)
    assert [seconds(embedded, loop(10), np.ones(50), name=name) for name in EXECUTORS] == before
