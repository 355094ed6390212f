"""Making a program can be ended from outside in each of its parts, not only where nodes are made."""

import pytest

from gradserve.execution import candidates
from gradserve.ir.budget import EVERY
from gradserve.ir.errors import Cancelled, LimitExceeded
from gradserve.jobs.limits import Limits
from gradserve.jobs.programs import Programs
from gradserve.ops import builder
from gradserve.questions.derivations import Evaluate
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
