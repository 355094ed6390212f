"""What planning takes of a request's limits: as much where all of it is known as where nothing is."""

from collections.abc import Sequence

import pytest

from gradserve.ir import budget
from gradserve.ir.account import Account, Effort, charging
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.jobs import answering
from gradserve.jobs.answering import answers
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.limits import Limits
from gradserve.jobs.sweeps.programs import Programs, go_on
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.asked import Question
from gradserve.runtime.control import Control
from tests.attack import shapes
from tests.attack.asking import ANSWERED, requests
from tests.attack.house import House, Rpc

KINDS = ("gradient", "rounded product", "Hessian of a batch", "Jacobian", "series", "inspection",
         "thorough verification", "symmetry", "trace", "gradient of a trace", "spectrum", "solution",
         "explained hvp")  # fmt: skip
SHAPES = ("branched", "nested", "looped", "choices")


def graph_of(shape: str) -> Graph:
    return shapes.of_shape(shapes.SHAPES[shape], 3)


def questions(graph: Graph) -> dict[str, Question]:
    """By kind."""
    house = House()
    asked = {name: (method, messages) for name, method, messages in requests(graph) if name in KINDS}
    assert asked.keys() == {*KINDS} <= {*ANSWERED, "explained hvp"}
    return {name: house.content.question(method, data, Rpc(method)) for name, (method, (data,)) in asked.items()}


@pytest.fixture(scope="module")
def pool():
    made = LocalPool(1)
    yield made
    made.close()


def context(pool: LocalPool, limits: Limits | None = None) -> Context:
    limits = limits or Limits()
    return Context(pool, limits=limits, programs=Programs(limits=limits))


def taken(where: Context, question: Question, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """The values and graphs that a question takes."""
    made: list[Account] = []

    def noted() -> Account:
        made.append(Account())
        return made[-1]

    monkeypatch.setattr(answering, "Account", noted)
    assert [*answers(where, question, Control())]
    (account,) = made
    return account.values, account.graphs


@pytest.mark.parametrize("shape", SHAPES)
def test_a_question_takes_as_much_whatever_is_known(shape, pool, monkeypatch):
    asked = questions(graph_of(shape))
    cold = {}
    for name, question in asked.items():
        cold[name] = taken(context(pool), question, monkeypatch)
    assert all(values > 0 for values, _ in cold.values())
    for order in (list(asked), list(reversed(asked))):
        warm = context(pool)
        for _ in range(2):
            for name in order:
                warm.ready.discard(lambda _: True)  # what is ready is answered as it was, and nothing is planned
                assert taken(warm, asked[name], monkeypatch) == cold[name], name


def refused(where: Context, question: Question) -> str:
    try:
        list(answers(where, question, Control()))
    except LimitExceeded as error:
        return error.limit
    return ""


@pytest.mark.parametrize("kind", ["gradient", "rounded product", "series", "thorough verification", "trace"])
def test_what_a_new_service_refuses_a_known_one_refuses_as_well(kind, pool, monkeypatch):
    """To the value; whatever it has answered before."""
    graph = graph_of("choices")
    question = questions(graph)[kind]
    values, _ = taken(context(pool), question, monkeypatch)
    monkeypatch.setattr(Limits, "PLAN_VALUES_OF_VALUE", 0)
    monkeypatch.setattr(Limits, "PLAN_BESIDE", 10**9)
    for most, limit in ((values, ""), (values - 1, "plan_values")):
        limits = Limits(plan_values=most)
        assert refused(context(pool, limits), question) == limit
        warm = context(pool, limits)
        for name, other in questions(graph).items():
            if name != kind:
                refused(warm, other)
        assert refused(warm, question) == limit


def test_work_is_paid_once_and_so_is_what_it_needs():
    account = Account()

    def work(values: int, *needs: Effort) -> Effort:
        with account.working() as effort:
            for each in needs:
                account.pay(each)
            account.values += values
        return effort

    shared = work(5)
    one, other = work(7, shared), work(11, shared)
    assert account.values == 5 + 7 + 11
    assert [each.values for each in (shared, one, other)] == [5, 7, 11]
    for payments, values in (((one, other), 23), ((other, one, shared), 23), ((one, one), 12), ((shared,), 5)):
        later = Account()
        for each in payments:
            later.pay(each)
        assert later.values == values


def within(limits: Limits, sizes: Sequence[int]) -> None:
    graph = graph_of("branched")
    with charging(Account()):
        for size in sizes:
            with Programs(limits=limits).spending(graph, go_on):
                budget.planned(graph, size // budget.STEP_VALUES)


def test_programs_of_a_request_share_what_it_may_take(monkeypatch):
    monkeypatch.setattr(Limits, "PLAN_VALUES_OF_VALUE", 0)
    monkeypatch.setattr(Limits, "PLAN_BESIDE", 10**9)
    limits = Limits(plan_values=1000)
    within(limits, [600, 400])
    with pytest.raises(LimitExceeded, match="plan_values"):
        within(limits, [600, 402])


def test_what_a_request_can_do_without_takes_nothing_from_what_it_needs(monkeypatch):
    monkeypatch.setattr(Limits, "PLAN_VALUES_OF_VALUE", 0)
    monkeypatch.setattr(Limits, "PLAN_BESIDE", 10**9)
    graph, made = graph_of("branched"), Programs(limits=Limits(plan_values=1000))

    def needed(size: int) -> None:
        with made.spending(graph, go_on):
            budget.planned(graph, size // budget.STEP_VALUES)

    def tried(size: int) -> bool:
        try:
            with made.trying(graph, go_on):
                budget.planned(graph, size // budget.STEP_VALUES)
        except LimitExceeded:
            return False
        return True

    with charging(Account()):
        assert [tried(500), tried(2)] == [True, False]  # half of it, for all that is tried
        needed(600)
        needed(400)
    with charging(Account()):
        needed(800)
        assert [tried(202), tried(2)] == [False, False]
        needed(200)
    with charging(Account()):
        needed(800)
        assert tried(200)


def test_small_programs_have_room_beside_a_large_one(monkeypatch):
    monkeypatch.setattr(Limits, "PLAN_VALUES_OF_VALUE", 0)
    within(Limits(plan_values=1000), [1000, 100])
    for sizes in ([1000, 102], [1002]):
        with pytest.raises(LimitExceeded, match="plan_values"):
            within(Limits(plan_values=1000), sizes)
