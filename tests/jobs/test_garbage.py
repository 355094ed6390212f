"""What is made on the way to a program, and the program itself, is freed as soon as it is let go.

To collect what a large graph leaves would stop everybody, and a service passes over what it keeps.
"""

import gc
import weakref

import numpy as np
import pytest

from gradserve.autodiff.derivation import EveryValue, TaylorSeries, WithKinks
from gradserve.client import Client, functions
from gradserve.execution import Program, instance_of
from gradserve.execution import executor as executor_of
from gradserve.execution.fused.executor import FusedPrepared
from gradserve.execution.numpy.executor import NumpyPrepared
from gradserve.execution.numpy.schedule import NumpySchedule
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.programs import Programs
from gradserve.jobs.sweeps.sweep import Sweep
from gradserve.ops import OP_SET, builder
from gradserve.pools.in_order import Inbox
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.prepared import PreparedSchedules
from gradserve.questions.call import Batch, Call, Options
from gradserve.questions.derivations import Gradient, Hessian, Hvp
from gradserve.runtime.caches import Lru
from gradserve.runtime.control import Control
from gradserve.wire import decode_graph, encode_graph
from tests.jobs.support import arguments_of, differentiated, layer


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


def left(make, kinds=(Builder, Value)):
    """How many values, or builders of them, a collection finds that nobody holds any more; or others of some kinds."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        made = make()
        gc.collect()
        found = sum(isinstance(each, kinds) for each in gc.garbage)
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


KEPT = (Graph, Program, NumpySchedule, NumpyPrepared, FusedPrepared, Inbox, Control)


def few():
    return Lru(1)


@pytest.mark.parametrize("executor", ["numpy", "fused"])
@pytest.mark.parametrize("derivation", [Gradient(("x",)), Hessian(("x",))], ids=["gradient", "hessian"])
def test_what_is_forgotten_of_answers_leaves_nothing_to_the_collector(executor, derivation):
    pool = LocalPool(2)
    forgetful = Context(pool, programs=Programs(1), schedules=few(), ready=few(), dense=few())

    def make():
        seen = []
        for width in (3, 4, 5, 6):
            graph = decode_graph(encode_graph(layer(width=width)), OP_SET)
            point = np.linspace(0.0, 1.0, 4000 * width).reshape(4000, width)
            call = Call(graph, arguments_of(graph) | {"x": point}, Batch(("x",)), Options(executor=executor))
            differentiated(forgetful, call, derivation)
            seen.append(weakref.ref(graph))
        assert [graph() for graph in seen[:-1]] == [None] * 3
        return seen

    assert left(make, KEPT) == 0
    pool.close()


@pytest.mark.parametrize("executor", ["numpy", "fused"])
def test_what_is_ready_to_run_leaves_nothing_to_the_collector(executor):
    def make():
        schedule = executor_of(executor).schedule(instance_of(layer()).program)
        assert PreparedSchedules().prepared(schedule, executor)(arguments_of(layer()))
        return True

    assert left(make, KEPT) == 0


def test_who_waited_for_chunks_leaves_nothing_to_the_collector():
    def make():
        inbox = Inbox(Control())
        inbox.close()
        return True

    assert left(make, KEPT) == 0


def test_a_graph_that_holds_itself_would_be_found():
    def make():
        g = builder()
        graph = g.build({"y": g.sin(g.input("x", TensorType(ElementType.FLOAT64)))})
        graph.__dict__["itself"] = graph
        return True

    assert left(make, KEPT) == 1


def test_a_builder_that_is_left_would_be_found():
    def make():
        g = builder()
        g.input("x", TensorType(ElementType.FLOAT64, (2,)))
        return True

    assert left(make) == 2
