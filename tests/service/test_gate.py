"""Who is let into a queue, at simulated loads: answers take little longer than alone, and no worker waits for calls."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
import pytest

from gradserve.ir.errors import Overloaded
from gradserve.runtime.planned import Planned
from gradserve.service.admission.queues import FRONT_END, Queues
from gradserve.service.admission.ticket import Ticket
from gradserve.service.admission.waiter import Waiter
from gradserve.service.configuration.settings import Settings

TOOK, PREDICTED = 0.1, 0.12
SECONDS, SETTLED = 40.0, 2.0
PLANNED = Planned(flops=0.0, bytes=0.0, seconds=PREDICTED, alone=PREDICTED, peak_bytes=0, place=FRONT_END)
AMOUNTS = (1.0, 0.0, 0.0, PREDICTED, 0.0)


@dataclass(eq=False)
class Call:
    caller: str
    came: float
    ticket: Ticket
    waiter: Waiter | None = None


@dataclass
class Simulated:
    """Calls of 0.1 s and a tenth more or less, of four callers who do not wait, and those of a guest.

    Before them comes a burst of so many, all but at once. What ends before all is `settled` is not told.
    """

    load: float
    workers: int = 1
    guest_every: float = 0.0
    settled: float = SETTLED
    burst: int = 0
    now: float = 0.0
    took: dict[str, list[float]] = field(default_factory=lambda: {"flood": [], "guest": []})
    refused: int = 0

    def run(self) -> None:
        random, order = Random(0), itertools.count()
        events: list[tuple[float, int, str, Call | None]] = []
        queues = Queues(Settings(workers=self.workers), self.workers, lambda: self.now)
        gate, waiting = queues.gates[FRONT_END], list[Call]()

        def at(moment: float, what: str, call: Call | None = None) -> None:
            heapq.heappush(events, (moment, next(order), what, call))

        def begin(call: Call) -> None:
            call.ticket.gate, call.ticket.planned = gate, PLANNED
            at(self.now + TOOK * random.uniform(0.9, 1.1), "end", call)

        def arrive(caller: str) -> None:
            admission: Any = None
            call = Call(caller, self.now, Ticket(admission, caller, (1.0, 0.0), True))
            if queues.passes(gate, call.ticket, AMOUNTS, PREDICTED):
                begin(call)
                return
            queues.release(call.ticket)
            call.waiter = Waiter(call.ticket, AMOUNTS, PREDICTED, True, self.now)
            try:
                queues.join(gate, call.waiter, PREDICTED)
            except Overloaded:
                self.refused += 1
                return
            waiting.append(call)

        def settle() -> None:
            for call in tuple(waiting):
                if call.waiter and call.waiter.let_in:
                    waiting.remove(call)
                    begin(call)
                elif call.waiter and call.waiter.error is not None:
                    waiting.remove(call)
                    self.refused += 1

        for k in range(self.burst):
            at(k * 2e-4, "burst")
        if self.load:
            at(0.0, "flood")
        if self.guest_every:
            at(0.05, "guest")
        while events and events[0][0] < SECONDS:
            self.now, _, what, call = heapq.heappop(events)
            if call is not None:
                kind = "guest" if call.caller == "guest" else "flood"
                self.took[kind] += [self.now - call.came] * (self.now > self.settled)
                queues.release(call.ticket, as_predicted=True)
                queues.room.give(call.ticket.caller, call.ticket.held)
                queues.fill_all()
            elif what == "guest":
                arrive("guest")
                at(self.now + self.guest_every, "guest")
            else:
                arrive(f"caller {random.randrange(4)}")
            if what == "flood":
                at(self.now + random.expovariate(self.load * self.workers / TOOK), "flood")
            settle()

    @property
    def goodput(self) -> float:
        done = sum(map(len, self.took.values()))
        return done * TOOK / self.workers / (SECONDS - self.settled)


@pytest.mark.parametrize(("load", "workers"), [(10, 1), (30, 1), (10, 4), (2, 4)])
def test_in_a_flood_answers_take_at_most_three_times_as_long_as_alone_and_workers_are_busy(load, workers):
    it = Simulated(load, workers)
    it.run()
    assert it.goodput > 0.95
    assert np.percentile(it.took["flood"], 99) < 3 * TOOK
    assert np.median(it.took["flood"]) < 1.6 * TOOK
    assert it.refused > 0.4 * load / 2 * workers / TOOK * SECONDS


@pytest.mark.parametrize("load", [10, 30])
def test_a_flood_is_seen_before_many_have_waited_long(load):
    it = Simulated(load, settled=0.0)
    it.run()
    assert np.percentile(it.took["flood"], 99) < 3 * TOOK


def test_a_burst_is_worked_off():
    it = Simulated(0, workers=4, settled=0.0, burst=28)
    it.run()
    assert len(it.took["flood"]) == 28
    assert it.refused == 0


@pytest.mark.parametrize("load", [1.2, 1.5, 3.0])
def test_with_a_little_too_much_workers_are_busy_too(load):
    it = Simulated(load)
    it.run()
    assert it.goodput > 0.94
    assert np.median(it.took["flood"]) < 6 * TOOK


def test_where_there_is_room_nobody_is_turned_away():
    it = Simulated(0.7)
    it.run()
    assert it.refused == 0


def test_a_guest_is_let_in_beside_a_flood():
    it = Simulated(10, guest_every=0.5)
    it.run()
    assert len(it.took["guest"]) >= 0.98 * (SECONDS - SETTLED) / 0.5
    assert np.median(it.took["guest"]) < 2.5 * TOOK
