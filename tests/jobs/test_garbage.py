"""What is made on the way to a program is freed at once: to collect what a large graph leaves would stop everybody."""

import gc

import numpy as np
import pytest

from gradserve.autodiff.derivation import EveryValue, TaylorSeries, WithKinks
from gradserve.client import Client, functions
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType, TensorType
from gradserve.jobs.context import Context
from gradserve.jobs.sweep import Sweep
from gradserve.ops import builder
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Options
from gradserve.questions.derivations import Gradient, Hvp


def chained(w):
    layer = functions.checkpoint(lambda x: np.abs(np.sin(x)) + 0.1)
    return np.sum(layer(layer(w)))


def looped(w):
    (x, _), _ = functions.scan(lambda carry, _: ((np.sin(carry[0]), carry[1] + 1.0), None), (w, 0.0), None, length=5)
    return np.sum(functions.cond(np.sum(x) > 0.0, lambda y: y * 2.0, lambda y: y - 1.0, x))


def solved(w):
    A = np.outer(w, w) + np.eye(3)
    return np.sum(np.linalg.eigvalsh(A) ** 2) + np.sum(np.linalg.solve(A, w))


def within(w):
    return np.sum(functions.grad(lambda x: np.sum(np.sin(x) ** 3))(w) ** 2)


@pytest.fixture
def context():
    pool = LocalPool(1)
    yield Context(pool)
    pool.close()


def left(make):
    """How many values, or builders of them, a collection finds that nobody holds any more."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        made = make()
        gc.collect()
        found = sum(isinstance(each, Builder | Value) for each in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert made is not None
    return found


@pytest.mark.parametrize("loss", [chained, looped, solved, within])
@pytest.mark.parametrize(
    "derivation",
    [
        Gradient(("w",)),
        Hvp(("w",)),
        WithKinks(("w",), Gradient(("w",))),
        EveryValue(("w",)),
        TaylorSeries(("w",), 2),
    ],
    ids=lambda each: type(each).__name__,
)
def test_programs_leave_no_values_to_the_collector(context, loss, derivation):
    with Client() as client:
        graph = context.programs.written_out(client.function(loss, np.array([0.5, 1.0, 1.5])).graph)
    assert left(lambda: Sweep(graph, derivation, Options(), 0, None).schedule(context)) == 0


def test_a_builder_that_is_left_would_be_found():
    def make():
        g = builder()
        g.input("x", TensorType(ElementType.FLOAT64, (2,)))
        return True

    assert left(make) == 2
