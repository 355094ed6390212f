"""Long schedules are run as several functions: the same bits, failures and memory, and less to compile at once."""

import random
import tracemalloc

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.autodiff.derivation import EveryValue
from gradserve.execution.numpy import source
from gradserve.execution.numpy.executor import NumpyExecutor
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.graph import Graph, Origin
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.questions.derivations import Gradient
from tests.attack.shapes import SHAPES, of_shape
from tests.execution.graphs import random_arguments, random_graph
from tests.running import prepared, schedule_of

F64 = ElementType.FLOAT64
WHOLE = 10**9


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("seed", range(12))
def test_bits_do_not_depend_on_how_steps_are_cut(monkeypatch, seed, steps):
    graph = random_graph(seed, nodes=random.Random(seed).randint(5, 60))
    given = random_arguments(graph, seed)
    monkeypatch.setattr(source, "PART_STEPS", WHOLE)
    whole = prepared(graph)(given)
    monkeypatch.setattr(source, "PART_STEPS", steps)
    cut = prepared(graph)(given)
    assert cut.keys() == whole.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(cut[name], array)


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("name", ["looped", "loops in a row", "choices", "nested", "own rules", "multiplied"])
def test_bits_of_functions_do_not_depend_on_it(monkeypatch, name, steps):
    """Loops run their parts again and again; what they carry and stack is read beyond them."""
    for derivation in (Gradient(("x0",)), EveryValue(("x0",))):
        graph = derive(of_shape(SHAPES[name], 4), derivation)
        given = {i.name: np.full(i.type.lengths, 0.7) for i in graph.inputs}
        monkeypatch.setattr(source, "PART_STEPS", WHOLE)
        whole = prepared(graph)(given)
        monkeypatch.setattr(source, "PART_STEPS", steps)
        cut = prepared(graph)(given)
        for key, array in whole.items():
            np.testing.assert_array_equal(cut[key], array)


def row(count: int, shape: tuple[int, ...] = ()) -> Graph:
    """One function after the other, each value read by the next two, and by the last."""
    g = builder()
    x = g.input("x", TensorType(F64, shape))
    before, last = x, g.sin(x)
    for k in range(count):
        g.origin = Origin("loss.py", k)
        before, last = last, g.tanh(last * before)
    return g.build({"y": last + x})


def test_a_failure_in_any_part_names_its_line(monkeypatch):
    monkeypatch.setattr(source, "PART_STEPS", 3)
    for at in range(12):
        g = builder()
        x = g.input("x", TensorType(F64, (2, 2)))
        for k in range(12):
            g.origin = Origin("loss.py", k)
            x = g.emit("cholesky", x * -1.0) if k == at else g.sin(x) + x
        with pytest.raises(NumericalFailure) as caught:
            prepared(g.build({"y": x}))({"x": np.eye(2)})
        (violation,) = caught.value.violations
        assert violation.source == f"loss.py:{at}"


def peak_of(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_many_steps_take_little_memory_to_compile(monkeypatch):
    schedule = schedule_of(row(5000))

    def compiling() -> int:
        return peak_of(lambda: NumpyExecutor().prepare(schedule))

    cut = compiling()
    monkeypatch.setattr(source, "PART_STEPS", WHOLE)
    assert 3 * cut < compiling()


@pytest.mark.parametrize("steps", [3, WHOLE])
def test_dead_arrays_are_freed_in_every_part(monkeypatch, steps):
    monkeypatch.setattr(source, "PART_STEPS", steps)
    schedule = schedule_of(row(50, (1 << 16,)))
    run = NumpyExecutor().prepare(schedule)
    given = {"x": np.full(1 << 16, 0.5)}
    assert peak_of(lambda: run(given)) < schedule.peak_bytes + (1 << 18) < 8 * given["x"].nbytes
