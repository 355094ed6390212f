"""Explaining is scheduling without running: what is explained is what is run, or what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from gradserve.ir.errors import LimitExceeded
from gradserve.ir.types import type_of
from gradserve.jobs import explain
from gradserve.jobs.answering import answers
from gradserve.jobs.sweeps import cut
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.limits import Limits
from gradserve.jobs.sweeps.programs import Programs
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.prepared import PreparedSchedules
from gradserve.questions.derivations import DERIVATIONS
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.estimates import EstimateTrace, Estimator
from gradserve.questions.explanation import Explain, Explanation
from gradserve.questions.spectrum import EstimateSpectrum
from gradserve.runtime.control import Control
from tests.jobs.questions import BATCHES, SMALLEST, Case, cases
from tests.jobs.recording import RecordingPool
from tests.jobs.support import arguments_of, call_of, layer

pytestmark = pytest.mark.slow

SEEDS = range(200)


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    """A few points or rows fill a chunk; the way to the cluster is short, so some microseconds of work are worth it."""
    monkeypatch.setattr(cut, "CHUNK_SECONDS", 2e-5)


@dataclass(frozen=True)
class Ran:
    """What running did, as its pool saw it."""

    chunks: tuple[int, ...]
    executor: str
    placement: str
    flops: float
    peak_bytes: int


class House:
    """Contexts of two recording pools, which differ in their limits alone."""

    def __init__(self) -> None:
        prepared = PreparedSchedules()
        self._pools = RecordingPool("front-end", prepared), RecordingPool("cluster", prepared)
        self._programs = Programs()

    def context(self, limits: Limits) -> Context:
        return Context(*self._pools, limits=limits, programs=self._programs)

    def explained(self, case: Case) -> Explanation:
        """The explanation, of the question's types alone."""
        found: Explanation
        (found,) = answers(self.context(case.limits), Explain(without_arrays(case.question)), Control())
        return found

    def ran(self, case: Case) -> Ran | LimitExceeded:
        """What is run, or the refusal; the answer's own report says the same."""
        for pool in self._pools:
            pool.forget()
        answer: Derivatives
        try:
            (answer,) = answers(self.context(case.limits), case.question, Control())
        except LimitExceeded as error:
            return error
        (pool,) = (pool for pool in self._pools if pool.sizes)
        (executor,) = pool.executors
        ran, told = Ran(tuple(pool.sizes), executor, pool.name, pool.flops, pool.peak_bytes), answer.report
        assert (len(ran.chunks), executor, pool.name) == (told.chunks, told.executor, told.placement)
        assert told.flops == pytest.approx(ran.flops)
        assert told.peak_bytes == ran.peak_bytes
        return ran


def without_arrays(question: Differentiate) -> Differentiate:
    call = question.call
    types = {name: type_of(array) for name, array in call.arguments.items()}  # type: ignore[arg-type]
    vectors = {name: type_of(array) for name, array in question.vectors.items()}  # type: ignore[arg-type]
    return replace(question, call=replace(call, arguments=types), vectors=vectors)


def check(house: House, case: Case) -> str:
    """Sees that the explanation agrees with running, and says what came of it: a placement or a limit."""
    told, ran = house.explained(case), house.ran(case)
    if isinstance(ran, LimitExceeded):
        assert told.refusal is not None, f"running refuses {ran}"
        assert (told.refusal.limit, told.refusal.message) == (ran.limit, ran.message)
        assert (told.placement, told.chunks, told.reason) == ("refused", (), ran.message)
        return ran.limit
    assert told.refusal is None
    assert Ran(told.chunks, told.executor, told.placement, ran.flops, told.peak_bytes) == ran
    assert told.flops == pytest.approx(ran.flops)
    return ran.placement + (" in chunks" if len(ran.chunks) > 1 else "")


def check_all(house: House) -> Iterator[tuple[Case, str]]:
    """All cases that agree, and what came of each."""
    for seed in SEEDS:
        for case in cases(seed):
            yield case, check(house, case)


def test_what_is_explained_is_what_is_run():
    house, outcomes, asked = House(), Counter[str](), set()
    for case, outcome in check_all(house):
        asked.add((case.question.derivation.called(), case.question.call.batch and case.question.call.reduction))
        outcomes[outcome] += 1
    assert asked == {(derivation, batch) for derivation in DERIVATIONS for batch in BATCHES}
    assert set(outcomes) == {*SMALLEST, "front-end", "cluster", "front-end in chunks", "cluster in chunks"}
    assert min(outcomes.values()) >= 5, outcomes


@pytest.mark.parametrize("limit", SMALLEST)
def test_the_planted_fault_of_an_explanation_that_forgets_a_limit_is_found(limit, monkeypatch):
    house, schedule = House(), explain._schedules

    def forgetful(context, question, check):
        limits = replace(context.limits, **{limit: getattr(Limits(), limit)})
        return schedule(house.context(limits), question, check)

    monkeypatch.setattr(explain, "_schedules", forgetful)
    with pytest.raises(AssertionError):
        list(check_all(house))


@pytest.mark.parametrize(
    ("question", "most", "wanted"),
    [
        (EstimateTrace, 1.0, {"max_probes": 64}),
        (EstimateTrace, 1.0, {"max_probes": 64, "estimator": Estimator.HUTCHINSON}),
        (EstimateTrace, 1.0, {"max_probes": 21, "estimator": Estimator.HUTCHINSON}),
        (EstimateSpectrum, 16.0, {"probes": 4, "steps": 5, "damping": 1e3}),
    ],
)
def test_the_gradient_of_an_answer_is_explained_with_it(question, most, wanted):
    """To the operation, however chunks are cut; but recurrences that solve may end before their last one."""
    graph = layer(width=5)
    call = call_of(graph, arguments_of(graph))
    pool = LocalPool(1)
    context = Context(pool)
    flops = []
    for gradient in (False, True):
        asked = question(call, gradient=gradient, **wanted)
        *_, last = answers(context, asked, Control())
        (told,) = answers(context, Explain(asked), Control())
        flops.append((told.flops, last.report.flops))
    (told, spent), (told_with, spent_with) = flops
    more = spent_with - spent
    assert 0 < more <= told_with - told <= most * more
    pool.close()
