"""What a question takes beside its first program: further ways, a careful form, functions that are compiled."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.autodiff.derivation import EveryValue
from gradserve.client import Client
from gradserve.execution.numpy import executor
from gradserve.execution.numpy.executor import NumpyExecutor, NumpyPrepared
from gradserve.ir import account, budget
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.op import Op, OpSet
from gradserve.jobs.sweeps import programs as making
from gradserve.jobs.sweeps.limits import Limits
from gradserve.jobs.sweeps.programs import Programs, go_on
from gradserve.ops import OP_SET, builder
from gradserve.questions.derivations import Gradient
from gradserve.verification import slopes
from tests.attack import ramps, shapes, traced


def compiled(depth: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many functions are compiled for functions so deep in each other, each of which calls the next twice."""
    made: list[object] = []

    class Noted(NumpyPrepared):
        def __init__(self, *given, **named):
            made.append(self)
            super().__init__(*given, **named)

    graph = shapes.of_shape(shapes.SHAPES["nested"], depth)
    program = Programs().instance(graph, EveryValue(("x0",)))[0].program
    with monkeypatch.context() as patched:
        patched.setattr(executor, "NumpyPrepared", Noted)
        with budget.spending(budget.Budget(10**6, 10**6, 60.0, lambda: None)):
            schedule = NumpyExecutor().schedule(program)
            NumpyExecutor().prepare(schedule)
    return len(made)


def test_functions_in_functions_are_compiled_once_not_for_each_way_to_them(monkeypatch):
    """From 5 to 8 deep there are 8 times as many ways."""
    few, many = compiled(5, monkeypatch), compiled(8, monkeypatch)
    assert few < many < 2 * few
    monkeypatch.setattr(executor, "once_of", lambda _, make: make())
    assert compiled(8, monkeypatch) > 10 * many  # the planted case


def test_values_are_inspected_where_their_derivatives_are_no_numbers():
    """Such a program is run again in another form, of the graph as it is written as well: loops stay written out."""
    steps, rows = 64, []
    with np.errstate(all="ignore"):
        for k in range(1, steps + 1):
            rows.append(float(traced.LOSSES["spectra"](0.75, k)))
    assert np.isnan(rows[-1])
    with Client() as client:
        x = client.function(lambda x: traced.LOSSES["spectra"](x, steps), x=0.75)
        found = [np.asarray(value.value) for value in x.inspect(0.75, tangent=1.0).values]
    scalars = np.array([value for value in found if not value.ndim and value.dtype == np.float64])
    for row in rows:
        assert np.any(np.isclose(scalars, row, rtol=1e-12, equal_nan=True))


def test_programs_among_which_a_question_chooses_have_a_part_of_the_values_each():
    g = builder()
    x = g.input("x", shapes.REAL)
    graph = g.build({"y": g.sin(x)})

    def spent(values: int, among: int) -> None:
        made = Programs(limits=Limits(plan_values=1000))
        with made.spending(graph, go_on, among):
            made.derived(graph, Gradient(("x",)))
            budget.planned(graph, (values - 100) // budget.STEP_VALUES)

    spent(1000, 1)
    spent(500, 2)
    with pytest.raises(LimitExceeded, match="plan_values"):
        spent(1000, 2)


def test_planted_loops_put_together_would_be_seen(monkeypatch):
    monkeypatch.setattr(making, "Careful", type("Nothing", (), {}))
    with pytest.raises(KeyError):
        test_values_are_inspected_where_their_derivatives_are_no_numbers()


def test_second_derivatives_are_verified_within_what_may_be_spent(monkeypatch):
    """What is verified is derived first: of functions in each other for twenty seconds, where nothing counted it."""
    within: list[budget.Budget | None] = []

    def noted(*given):
        within.append(budget.current.get())
        return derive(*given)

    monkeypatch.setattr(slopes, "derive", noted)
    with Client() as client:
        assert client.function(lambda w: np.sum(np.sin(w) * w), w=np.ones(3)).verify(np.ones(3), order=2).passed
    assert within
    assert None not in within


# ---- asking for what is there already


class Forgetful(dict[Any, Any]):
    """Remembers nothing."""

    def __setitem__(self, key, value):
        pass


def asked_of_each_value(name: str, monkeypatch: pytest.MonkeyPatch) -> float:
    """How often a builder is asked for a node in an inspection of rows of an op, for each value that is counted."""
    asked: list[object] = []
    apply = Builder.apply

    def noted(self: Builder, op: Op, operands: Sequence[Value]) -> tuple[Value, ...]:
        asked.append(op)
        return apply(self, op, operands)

    op = OP_SET.find(name)
    assert op is not None
    graph = ramps.row(next(iter(op.samples())), 50)
    assert graph is not None
    wrt = tuple(i.name for i in graph.inputs if i.type.is_float)
    taken = account.Account()
    with monkeypatch.context() as patched, account.charging(taken):
        patched.setattr(Builder, "apply", noted)
        Programs().instance(graph, EveryValue(wrt))
        return len(asked) / taken.values


MOST_ASKED = 0.8


@pytest.mark.parametrize("name", ["stdtrit", "betainc", "betaincinv", "gammaincinv", "poch", "ellipkinc", "binom"])
def test_what_is_there_already_is_seldom_asked_for(name, monkeypatch):
    """It counts for nothing, and takes as long as what counts for one."""
    assert asked_of_each_value(name, monkeypatch) < MOST_ASKED


@pytest.mark.parametrize("name", ["stdtrit", "betainc", "betaincinv"])
def test_planted_formulas_made_again_would_be_seen(name, monkeypatch):
    begun = Builder.__init__

    def forgetful(self: Builder, ops: OpSet) -> None:
        begun(self, ops)
        self.formulas = Forgetful()

    monkeypatch.setattr(Builder, "__init__", forgetful)
    assert asked_of_each_value(name, monkeypatch) > MOST_ASKED
