"""Making a program can be ended from outside in each of its parts, not only where nodes are made."""

import pytest

from gradserve.execution import candidates
from gradserve.ir.budget import EVERY
from gradserve.ir.errors import Cancelled, LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.jobs.limits import Limits
from gradserve.jobs.programs import Programs, go_on
from gradserve.ops import OP_SET, builder
from gradserve.questions.derivations import Evaluate, Gradient, Hvp
from gradserve.v1 import graph_pb2
from gradserve.wire import decode_graph
from tests.attack.bombs import calls
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
    ("limits", "limit"), [(Limits(), "plan_values"), (Limits(plan_graphs=1, plan_values=10**9), "plan_graphs")]
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
