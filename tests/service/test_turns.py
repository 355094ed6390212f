"""Who gets in while far more comes than can be done: on a clock of its own, call by call."""

import heapq
from collections import Counter
from itertools import count

import numpy as np
import pytest

from gradserve.ir.errors import Overloaded
from gradserve.runtime.planned import Planned
from gradserve.service.admission.gate import Gate
from gradserve.service.admission.promises import Promises
from gradserve.service.admission.queues import FRONT_END, Queues
from gradserve.service.admission.ticket import Ticket
from gradserve.service.admission.waiter import Waiter
from gradserve.service.configuration.settings import Settings

TAKES = 0.04
PLANNED = Planned(flops=1e6, bytes=1e6, seconds=TAKES, alone=TAKES, peak_bytes=1000, place=FRONT_END)
AMOUNTS = (1.0, 0.0, PLANNED.flops, PLANNED.seconds, PLANNED.peak_bytes)


class Flooded:
    """One worker, and callers who send on whatever they are told."""

    def __init__(self, *rates: float, seconds: float = 20.0) -> None:
        """The rates are those at which each sends, of what can be done."""
        self.now = 0.0
        self.queues = Queues(Settings(), 1, lambda: self.now)
        self.gate = self.queues.gates[FRONT_END]
        self.done: list[tuple[str, float, float]] = []
        """Callers whose calls were answered, when these came, and how long they took."""
        self.turned_out: list[tuple[float, float]] = []
        """When those came that had to give way, and how long they had waited."""
        self.refused = 0
        """How many were turned away when they came."""
        self._waiting: list[Waiter] = []
        self._running: list[tuple[float, int, Ticket, float]] = []
        self._order = count()
        self._random = np.random.default_rng(0)
        comes = sorted(
            ((k + offset) * TAKES / rate, str(caller))
            for caller, (rate, offset) in enumerate(zip(rates, self._random.uniform(size=len(rates)), strict=True))
            for k in range(int(seconds * rate / TAKES))
        )
        for moment, caller in comes:
            self._until(moment)
            self._comes(caller)
        self.goodput = len(self.done) * TAKES / seconds

    def _comes(self, caller: str) -> None:
        ticket = Ticket(None, caller, (), True)  # type: ignore[arg-type]
        if self.queues.passes(self.gate, ticket, AMOUNTS, TAKES):
            self._begin(ticket, self.now)
            return
        waiter = Waiter(ticket, AMOUNTS, TAKES, True, self.now)
        try:
            self.queues.join(self.gate, waiter, TAKES)
        except Overloaded:
            self.refused += 1
            return
        self._waiting.append(waiter)
        self._let_in()

    def _until(self, moment: float) -> None:
        while self._running and self._running[0][0] <= moment:
            self.now, _, ticket, since = heapq.heappop(self._running)
            self.done.append((ticket.caller, since, self.now - since))
            self.queues.release(ticket, as_predicted=True)
            self.queues.room.give(ticket.caller, ticket.held)
            self.queues.fill_all()
            self._let_in()
        self.now = moment

    def _let_in(self) -> None:
        for waiter in self._waiting[:]:
            if waiter.error is not None:
                self.turned_out.append((waiter.since, self.now - waiter.since))
            elif waiter.let_in:
                self._begin(waiter.ticket, waiter.since)
            else:
                continue
            self._waiting.remove(waiter)

    def _begin(self, ticket: Ticket, since: float) -> None:
        ticket.gate, ticket.planned = self.gate, PLANNED
        takes = TAKES * self._random.uniform(0.9, 1.1)
        heapq.heappush(self._running, (self.now + takes, next(self._order), ticket, since))

    def share(self, caller: int) -> float:
        """What a caller got of what was done."""
        return Counter(name for name, _, _ in self.done)[str(caller)] / len(self.done)

    def slowest(self, percent: float = 99.0) -> float:
        """How much longer the slow ones took than one alone."""
        return float(np.percentile([took for _, _, took in self.done], percent)) / TAKES


@pytest.mark.parametrize("callers", [1, 4, 16])
def test_at_ten_times_what_can_be_done_those_let_in_hardly_wait(callers):
    flooded = Flooded(*[10.0 / callers] * callers)
    assert flooded.goodput > 0.98
    assert flooded.slowest(50.0) < 2.2
    assert flooded.slowest() < 3.5
    late = [since for since, waited in flooded.turned_out if waited >= 0.05]
    assert max(late, default=0.0) < 0.2  # only who came before it was seen that it is a flood
    assert len(late) < 0.01 * flooded.refused


def test_if_whoever_is_not_due_came_next_as_well_each_caller_would_have_one_waiting(monkeypatch):
    monkeypatch.setattr(Promises, "knows", lambda promises, caller: False)
    assert Flooded(*[0.625] * 16).slowest() > 10.0


@pytest.mark.parametrize("modest", [0.1, 0.3])
def test_who_asks_for_less_than_its_share_gets_all_of_it(modest):
    flooded = Flooded(10.0, modest)
    assert flooded.share(1) == pytest.approx(modest, abs=0.01)
    assert flooded.goodput > 0.98


def test_who_asks_for_more_gets_about_as_much_as_others(monkeypatch):
    shares = [Flooded(10.0, 1.5).share(1), Flooded(5.0, 1.0, 1.0, 1.0).share(3)]
    assert shares[0] > 0.4
    assert shares[1] > 0.17
    monkeypatch.setattr(Gate, "_behind", lambda gate, caller, now: None)  # nobody gives way
    assert Flooded(10.0, 1.5).share(1) < shares[0]


def test_promises_are_one_after_the_other_and_each_caller_has_one():
    promises = Promises()
    assert [promises.make(name, 1.0, 0.5, 0.0) for name in "abc"] == [1.5, 2.0, 2.5]
    assert promises.make("a", 1.0, 0.5, 0.0) == 1.5 + 3 * 0.5  # after all that were promised before
    assert promises.make("d", 1.0, 0.5, 0.0) == 3.0  # for whom that was nothing
    assert not promises.is_due("a", 1.4)
    assert promises.is_due("a", 1.5)
    assert promises.is_due("z", 0.0)
    assert [promises.knows(name) for name in "az"] == [True, False]
    promises.keep("a", 0.5, 1.6)
    assert not promises.is_due("a", 3.9)
    assert promises.is_due("a", 4.0)  # half of what leaves is for those who come again


def test_nobody_is_told_to_come_back_at_once_or_after_ages():
    promises = Promises()
    assert promises.make("a", 0.0, 1e-6, 0.0) == 0.05
    assert 5.0 < promises.make("b", 0.0, 1e6, 0.0) <= 10.0


@pytest.mark.parametrize("callers", [1, 1000])
def test_of_a_thousand_who_are_turned_away_at_once_hardly_two_come_back_together(callers):
    promises = Promises()
    told = [promises.make(f"{k % callers}", 0.0, 0.03, 0.0) for k in range(1000)]
    assert min(told) >= 0.05
    assert max(told) <= 10.0
    assert np.bincount(np.int64(np.array(told) / 0.01)).max() <= 10  # 5 s for places of 30 s
