"""Small requests that would keep a processor busy: refused, or made so that they do not."""

import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.autodiff.control import cond, functions
from gradserve.autodiff.derivation import TaylorSeries
from gradserve.autodiff.vmap import vmap
from gradserve.client import Client, LimitExceeded
from gradserve.execution import Program, costs, instance_of
from gradserve.execution.fused import lowerable as machine_code
from gradserve.execution.fused.executor import FusedExecutor
from gradserve.execution.fused.table import lowerable
from gradserve.execution.numpy import schedule
from gradserve.execution.numpy.executor import NumpyExecutor
from gradserve.ir import budget
from gradserve.ir.errors import Cancelled
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.jobs.explain import explain
from gradserve.jobs.sweeps import compiling, programs
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.limits import Limits
from gradserve.jobs.sweeps.programs import Axis, Programs
from gradserve.jobs.sweeps.sweep import Sweep
from gradserve.ops import OP_SET, builder
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.once import Checkpoint
from gradserve.ops.movement import placement
from gradserve.optimize import calls, optimize, rewriter
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Options
from gradserve.questions.derivations import Evaluate, Gradient, Hvp
from gradserve.questions.explanation import Explain, Explanation
from gradserve.v1 import graph_pb2
from gradserve.wire import decode_graph
from tests.attack import bombs, shapes
from tests.attack.bombs import loops, repeated
from tests.attack.house import House, Rpc
from tests.laws.support import evaluate

W = np.array([0.5, -1.5, 2.0])


# ---- one value over and over


def joined(times: int, axis: int = 0) -> Graph:
    """A loss of a matrix that is there so often, along an axis, between others of other lengths."""
    g = builder()
    x = g.input("x", TensorType(ElementType.FLOAT64, (2, 2)))
    y = g.input("y", TensorType(ElementType.FLOAT64, (2, 4) if axis else (4, 2)))
    z = g.apply(placement.Concatenate(axis), [part for _ in range(times) for part in (x, y)])[0]
    weights = g.constant(np.cos(np.arange(z.type.size)).reshape(z.type.lengths))
    return g.build({"loss": g.reduce_sum(weights * z * z, axes=(0, 1))})


def expected(times: int, axis: int, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Twice each, times the sum of its weights."""
    blocks = np.concatenate([part for _ in range(times) for part in (x, y)], axis)
    weights = np.cos(np.arange(blocks.size)).reshape(blocks.shape)
    own = np.split(weights, np.cumsum([x.shape[axis], y.shape[axis]] * times)[:-1], axis)
    return [2 * x * sum(own[::2]), 2 * y * sum(own[1::2])]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("times", [15, 16, 400])
def test_parts_of_one_value_are_pulled_back_as_one(times, axis):
    graph = derive(joined(times, axis), Gradient(("x", "y")))
    given = {"x": W[:2, None] * W[None, :2], "y": np.arange(8.0).reshape((2, 4) if axis else (4, 2))}
    found = evaluate(graph, given)
    for name, gradient in zip("xy", expected(times, axis, *given.values()), strict=True):
        np.testing.assert_allclose(found[f"gradient:{name}"], gradient, rtol=1e-12)
    assert (len(graph.nodes) < 20) is (times >= placement._OFTEN)


def test_planted_slices_of_each_would_be_seen(monkeypatch):
    monkeypatch.setattr(placement, "_OFTEN", 10**9)
    assert len(derive(joined(400), Gradient(("x", "y"))).nodes) > 2 * 400


# ---- calls of which all is read


def chosen(outputs: int, read: int) -> Graph:
    """A choice between two functions, some of whose results are read."""
    inner = builder()
    x = inner.input("x0", TensorType(ElementType.FLOAT64))
    function = inner.build({f"y{k}": inner.sin(x) if k else inner.cos(x) for k in range(outputs)})
    g = builder()
    given = g.input("x", TensorType(ElementType.FLOAT64))
    results = g.apply(Cond(function, function), [g.gt(given, 0.0), given])
    return g.build({f"y{k}": results[k] for k in range(read)})


@pytest.mark.parametrize(("read", "cuts"), [(2, False), (1, True)])
def test_calls_are_cut_only_where_there_is_something_to_cut(monkeypatch, read, cuts):
    made: list[Graph] = []

    def noted(*given: Any) -> Graph:
        made.append(functions.cut(*given))
        return made[-1]

    monkeypatch.setattr(calls, "cut", noted)
    optimize(chosen(2, read))
    assert bool(made) is cuts


# ---- one function in many places


@pytest.mark.parametrize("kind", ["cond", "scan", "checkpoint"])
@pytest.mark.parametrize("derivation", [Gradient(("x0",)), Hvp(("x0",)), TaylorSeries(("x0",), 4)], ids=str)
def test_what_is_made_of_a_function_is_made_once(kind, derivation):
    """However often it is called; so what is optimised then, and what is made of that for a batch."""

    def made(times: int) -> int:
        graph = decode_graph(graph_pb2.Graph.FromString(repeated(4, times, kind)), OP_SET)
        work = budget.Budget(10**6, 10**6, 60.0, lambda: None)
        with budget.spending(work):
            vmap(optimize(derive(graph, derivation)), ["x0"], 3)
            return len(work._begun)

    assert made(200) < made(20) + 20  # passes that there are more of


def test_functions_that_are_made_once_are_right():
    graph = decode_graph(graph_pb2.Graph.FromString(repeated(3, 5, "scan")), OP_SET)
    x, slope, second = 0.75, 1.0, 0.0
    for _ in range(3 * 3 * 5):
        x, slope, second = np.sin(x), slope * np.cos(x), second * np.cos(x) - np.sin(x) * slope**2
    work = budget.Budget(10**6, 10**6, 60.0, lambda: None)
    with budget.spending(work):
        found = evaluate(derive(graph, Gradient(("x0",))), {"x0": np.array(0.75)})
        series = derive(graph, TaylorSeries(("x0",), 2))
        along = evaluate(series, {"x0": np.array(0.75), "tangent:x0": np.array(2.0)})
    np.testing.assert_allclose(found["gradient:x0"], slope, rtol=1e-13)
    np.testing.assert_allclose(along["order1:y0"], 2 * slope, rtol=1e-13)
    np.testing.assert_allclose(along["order2:y0"], 2 * second, rtol=1e-13)


def large(times: int, kind: str) -> Graph:
    """A function of a hundred nodes and an array of its own that is chosen in so many places, by a known truth."""
    inner = builder()
    x = inner.input("x0", TensorType(ElementType.FLOAT64, (3,)))
    value = x * inner.constant(W)
    for _ in range(100):
        value = inner.sin(value + x)
    function = inner.build({"y0": value})
    op = Checkpoint(function) if kind == "checkpoint" else Cond(function, function)
    g = builder()
    value = g.input("x", TensorType(ElementType.FLOAT64, (3,)))
    for _ in range(times):
        (value,) = g.apply(op, [value] if kind == "checkpoint" else [g.constant(True), value])
    return g.build({"y": value})


def test_a_large_function_is_written_out_while_there_is_room(monkeypatch):
    """Equal to the last bit, of whatever the room is."""
    assert len(optimize(large(10, "cond")).nodes) == 10 * 201
    in_part = optimize(large(100, "cond"))
    assert 100 < len(in_part.nodes) <= rewriter.ROOM + 100
    monkeypatch.setattr(rewriter, "ROOM", 10**9)
    whole = optimize(large(100, "cond"))
    assert len(whole.nodes) == 100 * 201
    given = {"x": W / 4}
    np.testing.assert_array_equal(evaluate(in_part, given)["y"], evaluate(whole, given)["y"])


def test_a_small_function_is_always_written_out():
    graph = decode_graph(graph_pb2.Graph.FromString(repeated(rewriter.FEW_NODES, 400, "cond")), OP_SET)
    assert len(optimize(graph).nodes) == rewriter.FEW_NODES * 400


def test_a_function_is_planned_once_however_often_it_is_called(monkeypatch):
    made: list[Graph] = []
    schedule_of = schedule.schedule_of

    def noted(of: Program) -> Any:
        made.append(of.graph)
        return schedule_of(of)

    monkeypatch.setattr(schedule, "schedule_of", noted)
    with budget.spending(budget.Budget(10**6, 10**6, 60.0, lambda: None)):
        instance = instance_of(optimize(large(100, "checkpoint")))
        NumpyExecutor().schedule(instance.program)
    assert len(made) <= 2
    called = {id(function) for node in instance.program.graph.nodes for function in node.op.functions.values()}
    assert len(instance.constants) == 100  # one argument for each place, as before
    assert len(called) == 1


def looks(monkeypatch: pytest.MonkeyPatch, depth: int) -> Counter[str]:
    """How often what looks through functions does, for functions so deep in each other, each called twice."""
    counts: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        own = getattr(module, name)

        def noted(*given: Any) -> Any:
            counts[name] += 1
            return own(*given)

        monkeypatch.setattr(module, name, noted)

    with monkeypatch.context():
        counted(cond, "_is_total")
        counted(costs, "_of_nodes")
        counted(machine_code, "lowerable")
        graph = shapes.of_shape(shapes.SHAPES["nested"], depth)
        programs = Programs()
        instance, _ = programs.instance(graph, Hvp(("x0",)), Axis(frozenset({"x0"}), 3))
        programs.schedule(instance.program, FusedExecutor())
    monkeypatch.undo()
    return counts


def test_functions_in_functions_are_not_looked_through_once_for_each_way_to_them(monkeypatch):
    """From 6 to 9 deep there are 8 times as many ways."""
    few, many = looks(monkeypatch, 6), looks(monkeypatch, 9)
    assert few.keys() == many.keys() == {"_is_total", "_of_nodes", "lowerable"}
    assert all(many[name] < 4 * few[name] for name in few), (few, many)


# ---- machine code that nobody waits for


def test_nodes_of_very_many_operands_have_no_machine_code(monkeypatch):
    def whole(times: int) -> bool:
        graph = joined(times)
        return lowerable(graph, graph.nodes[0])

    assert [whole(64), whole(65)] == [True, False]
    monkeypatch.setattr(machine_code, "_MOST_OPERANDS", 10**9)
    assert whole(65)


@pytest.mark.parametrize(("seconds", "executor"), [(0.0, "numpy"), (20.0, "fused")])
def test_machine_code_in_the_background_takes_no_longer_than_it_may(monkeypatch, seconds, executor):
    monkeypatch.setenv(compiling.COMPILE, "1")
    monkeypatch.setattr(compiling, "_MOST_SECONDS", seconds)
    monkeypatch.setattr(FusedExecutor, "preparing_seconds", lambda *_: 0.0)
    asked: list[int] = []
    ask = compiling.Compiling._ask
    made: list[compiling.Compiling] = []

    def noted(self, programs, done):
        asked.append(len(programs))
        made.append(self)
        ask(self, programs, done)

    monkeypatch.setattr(compiling.Compiling, "_ask", noted)
    with Client() as client:
        f = client.function(lambda w: np.sum(np.cos(w) * np.sin(w * 1.25) + seconds), w=W)
        for _ in range(4):
            f.grad(W)
            made[0].wait()
        report = f.last_report
        assert report is not None
        assert report.executor == executor
    assert len(asked) == 1  # where there is none it is not tried again


def test_a_process_that_ends_does_not_wait_for_all_of_it(monkeypatch):
    with budget.spending(budget.Budget(1, 1, 60.0, compiling._go_on)):
        budget.look()
        monkeypatch.setattr(threading, "main_thread", threading.Thread)  # one that does not run
        with pytest.raises(Cancelled):
            budget.look()


# ---- what nobody can wait for


def looped(steps: int) -> Graph:
    return decode_graph(graph_pb2.Graph.FromString(loops(1, steps)), OP_SET)


@pytest.mark.parametrize(("steps", "limit"), [(1 << 40, "chunk_seconds"), (1 << 55, "flops"), (1 << 20, "")])
def test_loops_that_would_not_end_are_refused(steps, limit):
    def schedule(limits: Limits) -> None:
        Sweep(looped(steps), Evaluate(), Options(), 0).schedule(Context(LocalPool(1), limits=limits))

    if limit:
        with pytest.raises(LimitExceeded) as refused:
            schedule(Limits(chunk_seconds=1e300) if limit == "flops" else Limits())
        assert refused.value.limit == limit
    else:
        schedule(Limits())


@pytest.mark.parametrize(
    "ask",
    [
        lambda f, n: f.hessian_eigenpairs(W, count=1, max_products=n),
        lambda f, n: f.hessian_solve(W, right=W, max_iterations=n),
    ],
    ids=["eigenpairs", "solve"],
)
def test_products_are_counted_as_probes_are(ask):
    with Client() as client:
        f = client.function(lambda w: np.sum(np.cosh(w)), w=W)
        ask(f, 1_000_000)
        with pytest.raises(LimitExceeded) as refused:
            ask(f, 1_000_001)
    assert refused.value.limit == "probes"


# ---- what is told of a large graph


def explained(question: str, graph: bytes, limits: Limits) -> Explanation:
    asked = House().content.question("ExplainGraph", bombs._asked(question, graph).data, Rpc("ExplainGraph"))
    assert isinstance(asked, Explain)
    context = Context(LocalPool(1), limits=limits, programs=Programs(limits=limits))
    return explain(context, asked.question, lambda: None)


def test_a_small_request_for_a_large_graph_is_told_in_few_letters():
    told = explained("gradient", repeated(100, 20, "cond"), Limits(explain_letters=5000))
    assert 2500 < len(told.text) < 5200
    assert "the limit explain_letters is 5,000 letters" in told.text
    whole = explained("gradient", repeated(100, 20, "cond"), Limits())
    assert len(whole.text) > 50_000
    assert "explain_letters" not in whole.text


def test_what_cannot_be_planned_is_not_tried_again_to_explain_it(monkeypatch):
    tried: list[Any] = []

    def noted(*given: Any) -> Graph:
        tried.append(given)
        return derive(*given)

    monkeypatch.setattr(programs, "derive", noted)
    with pytest.raises(LimitExceeded) as refused:
        explained("hvp", repeated(100, 20, "cond"), Limits(plan_values=1000))
    assert refused.value.limit == "plan_values"
    assert len(tried) == 2  # the loss itself, and the product
