"""Making a program can be ended from outside in each of its parts, not only where nodes are made."""

import functools
import random
import tracemalloc

import pytest

from gradserve.autodiff import derive, series
from gradserve.autodiff.derivation import Curvature, TaylorSeries, WithKinks
from gradserve.autodiff.series import Expansion
from gradserve.execution import candidates
from gradserve.execution.numpy.executor import NumpyExecutor
from gradserve.ir import budget
from gradserve.ir.budget import EVERY
from gradserve.ir.errors import Cancelled, LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.jobs.sweeps.limits import Limits
from gradserve.jobs.sweeps.programs import Axis, Programs, go_on
from gradserve.ops import OP_SET, builder
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.control.derivatives import Jvp, Vjp
from gradserve.questions.derivations import Derivation, Evaluate, Gradient, Hvp
from gradserve.v1 import graph_pb2
from gradserve.wire import decode_graph
from tests.attack.bombs import calls, within
from tests.jobs.support import real

NODES = 4 * EVERY


@pytest.fixture(name="program")
def long_program():
    g = builder()
    y = g.input("x", real())
    for _ in range(NODES):
        y = g.sin(y)
    return Programs().instance(g.build({"y": y}), Evaluate())[0].program


def test_scheduling_is_ended_by_who_waits_for_it(program):
    looks: list[None] = []

    def stop():
        looks.append(None)
        if len(looks) > 1:
            raise Cancelled("nobody waits any more")

    executor, *_ = candidates("")
    with pytest.raises(Cancelled):
        Programs().schedule(program, executor, stop)
    assert len(looks) == 2
    assert Programs().schedule(program, executor).seconds > 0


def test_scheduling_is_within_what_may_be_spent_on_a_program(program):
    executor, *_ = candidates("")
    with pytest.raises(LimitExceeded, match="plan_seconds"):
        Programs(limits=Limits(plan_seconds=0.0)).schedule(program, executor)


def nested(depth: int) -> Graph:
    """Functions each of which calls the one before in two places."""
    return decode_graph(graph_pb2.Graph.FromString(calls(depth, 2)), OP_SET)


@pytest.mark.parametrize(
    ("limits", "limit"),
    [(Limits(plan_values=90_000), "plan_values"), (Limits(plan_graphs=20, plan_values=10**9), "plan_graphs")],
)
def test_functions_in_functions_are_derived_within_what_may_be_spent(limits, limit):
    with pytest.raises(LimitExceeded) as refused:
        Programs(limits=limits).derived(nested(7), Hvp(("x0",)))
    assert refused.value.limit == limit
    assert Programs(limits=limits).derived(nested(2), Hvp(("x0",)))


def test_what_is_made_once_of_functions_in_functions_takes_little():
    assert Programs().derived(nested(6), Gradient(("x0",)))


def test_no_value_on_the_way_is_larger_than_can_be_said():
    with Programs().spending(nested(1), go_on):
        g = builder()
        row = g.input("row", real(1 << 40))
        with pytest.raises(LimitExceeded) as refused:
            g.broadcast(row, (1 << 40, 1 << 40))
    assert refused.value.limit == "value_bytes"


@pytest.mark.parametrize("derivative", [Jvp, Vjp])
def test_derivatives_in_each_other_are_written_out_while_they_are_few(derivative):
    def written(depth: int) -> Graph:
        return Programs().written_out(decode_graph(graph_pb2.Graph.FromString(within(depth, derivative)), OP_SET))

    assert written(4).nodes
    with pytest.raises(LimitExceeded) as refused:
        written(12)
    assert refused.value.limit == "plan_nodes"


def test_values_count_while_they_are_made():
    limits = Limits(plan_values=1000)
    most = limits.planning(nested(1)).values
    with Programs(limits=limits).spending(nested(1), go_on):
        g = builder()
        value = g.input("x", real())
        for _ in range(most // 2 - EVERY):
            value = g.sin(value)
        with pytest.raises(LimitExceeded) as refused:
            [g.sin(value + float(k)) for k in range(EVERY)]
    assert refused.value.limit == "plan_values"


def chain_of(length: int) -> Graph:
    """Nodes of several ops, each of which reads the one before and another."""
    g, dice = builder(), random.Random(1)
    values = [g.input("x", real())]
    for _ in range(length):
        op = dice.choice((g.sin, g.tanh, g.exp, g.mul, g.add, g.div, g.logaddexp))
        operands = (values[-1], dice.choice(values)) if op in (g.mul, g.add, g.div, g.logaddexp) else (values[-1],)
        values.append(op(*operands))
    return g.build({"loss": values[-1]})


def taken(graph: Graph, derivation: Derivation, limits: Limits) -> tuple[int, str]:
    """The most memory that planning takes, in MiB, and the limit by which it is refused."""
    tracemalloc.start()
    try:
        Programs(limits=limits).instance(graph, derivation)
        limit = ""
    except LimitExceeded as error:
        limit = error.limit
    most = tracemalloc.get_traced_memory()[1] >> 20
    tracemalloc.stop()
    return most, limit


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_series_of_high_order_takes_little_memory_or_is_refused(wrapped):
    """A node, hardly one like another, comes to about 270 nodes for order 10; 450 of them are 8 KiB that are sent."""
    tenth = TaylorSeries(("x",), 10)
    asked = WithKinks(("x",), tenth) if wrapped else tenth
    small, whole = taken(chain_of(100), asked, Limits())
    large, limit = taken(chain_of(450), asked, Limits())
    assert (whole, limit) == ("", "plan_nodes")
    assert max(small, large) < 40
    without, _ = taken(chain_of(450), asked, Limits(plan_nodes=10**9, plan_values=10**9))
    assert without > 40


def layers(count: int) -> Graph:
    """A network of so many layers, which all have other widths."""
    g = builder()
    x = g.input("x", real(1))
    for k in range(count):
        weights = g.input(f"w{k}", real(k + 2, k + 1))
        product = Contract(lhs_contract=(1,), rhs_contract=(0,), lhs_batch=(), rhs_batch=())
        x = g.tanh(g.apply(product, (weights, x))[0])
    return g.build({"loss": g.reduce_sum(x * x, axes=(0,))})


@functools.cache
def steps(count: int) -> Graph:
    """A loop of so many steps that was written out."""
    g = builder()
    x = w = g.input("x", real())
    for k in range(count):
        x = x + 0.001 * g.sin(x * w + 0.01 * k)
    return g.build({"loss": x})


def planned(graph: Graph, derivation: Derivation, axis: Axis | None, limits: Limits | None = None) -> str:
    """The limit by which a program and its schedule are refused."""
    programs = Programs(limits=limits)
    try:
        with programs.spending(graph, go_on):
            instance, _ = programs.instance(graph, derivation, axis)
            programs.schedule(instance.program, candidates("")[0])
    except LimitExceeded as refused:
        return refused.limit
    return ""


BATCH = Axis(frozenset({"x"}), 10)
FIRST_AND_SECOND = (Gradient(("x",)), Hvp(("x",)), Curvature(("x",)), WithKinks(("x",), Hvp(("x",))))


@pytest.mark.parametrize("derivation", FIRST_AND_SECOND, ids=str)
@pytest.mark.parametrize(("write", "size"), [(layers, 300), (steps, 10_000), (chain_of, 500)])
def test_what_authors_write_is_planned(write, size, derivation):
    assert not planned(write(size), derivation, BATCH)


@pytest.mark.parametrize(
    ("write", "size", "order", "axis"),
    [(layers, 300, 5, None), (layers, 100, 5, BATCH), (steps, 10_000, 10, BATCH), (chain_of, 500, 5, None),
     (chain_of, 300, 5, BATCH), (chain_of, 100, 10, None)],
)  # fmt: skip
def test_series_of_moderate_orders_are_planned(write, size, order, axis):
    assert not planned(write(size), TaylorSeries(("x",), order), axis)


@pytest.mark.parametrize(("size", "order", "axis"), [(600, 5, BATCH), (200, 10, None)])
def test_series_that_take_over_a_second_are_refused(size, order, axis):
    """So many nodes, hardly one like another; they would be planned if the limit were another."""
    asked = TaylorSeries(("x",), order)
    assert planned(chain_of(size), asked, axis) in ("plan_values", "plan_nodes")
    assert not planned(chain_of(size), asked, axis, Limits(plan_values=10**9, plan_nodes=10**9))


def test_steps_count_as_values_do():
    """Programs that hardly differ from what was sent are scheduled as well: a step takes as long as two values."""
    executor = NumpyExecutor()
    program = Programs().instance(chain_of(100), Evaluate())[0].program
    steps = len(executor.schedule(program).steps)
    assert steps > 50

    def scheduled(most: int) -> None:
        with budget.spending(budget.Budget(10**6, 10**6, 60.0, lambda: None, values=most)):
            executor.schedule(program)

    scheduled(2 * steps)
    with pytest.raises(LimitExceeded, match="plan_values"):
        scheduled(2 * steps - 1)


def test_a_differential_is_made_once_for_all_nodes_of_its_kind(monkeypatch):
    """Graphs begun do not grow with the nodes; made for each of them they would."""

    def begun(size: int) -> int:
        work = budget.Budget(10**6, 10**6, 60.0, lambda: None)
        with budget.spending(work):
            derive(chain_of(size), TaylorSeries(("x",), 3))
            return len(work._begun)

    assert begun(200) == begun(100) < 20
    monkeypatch.setattr(Expansion, "differential", lambda _, op, types, moving: series.differential(op, types, moving))
    assert begun(200) > begun(100) > 50
