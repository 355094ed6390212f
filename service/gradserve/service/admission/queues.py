"""Who is inside and who waits: what admission decides, without a lock and without waiting."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from operator import add

from gradserve.ir.errors import Overloaded
from gradserve.pools.local.pool import CALLER_SECONDS
from gradserve.runtime.planned import Planned
from gradserve.service.admission.adaptive import Adaptive
from gradserve.service.admission.fair import Entry
from gradserve.service.admission.gate import Gate, Patience
from gradserve.service.admission.histograms import Row
from gradserve.service.admission.room import Room
from gradserve.service.admission.ticket import Ticket
from gradserve.service.admission.waiter import Waiter
from gradserve.service.configuration.amounts import Amounts
from gradserve.service.configuration.settings import Settings

FRONT_END, CLUSTER, SHORT = "front-end", "cluster", "short"
"""The gates: one for each pool, and one for what runs on the thread of its call."""
DELAYS = tuple(m * 10.0**e for e in range(-4, 1) for m in (1.0, 2.5, 5.0))
"""The upper ends of the buckets in which waiting is counted, in seconds."""
_DOOR_RATE = 1000.0
_A_MOMENT = 0.1
"""Seconds after a call that was turned away in which the next one may be."""
_NOTHING = Amounts()


class Queues:
    """The door, the gates, and the room behind them. Not safe for threads."""

    def __init__(self, settings: Settings, workers: int, clock: Callable[[], float]) -> None:
        """Each pool has so many `workers`."""
        self._max_queued, self._clock = settings.max_queued, clock
        self.room = Room(settings.room, settings.caller_share)
        patience = Patience(settings.queue_seconds, settings.queue_target)
        self.door = Gate("door", patience, None, _DOOR_RATE)
        least = {SHORT: workers, FRONT_END: workers, CLUSTER: _in_cluster(settings, workers)}
        least = {kind: settings.min_in_flight or count for kind, count in least.items()}
        # What the threads of the process cannot take would wait for them inside, in no fair order.
        most = dict.fromkeys(least, settings.max_in_flight) | {FRONT_END: min(least[FRONT_END], settings.max_in_flight)}
        self.gates = {kind: Gate(kind, patience, Adaptive(least[kind], most[kind]), workers) for kind in least}
        self.shed = Counter(dict.fromkeys((*Amounts._fields, "max_queued", *settings.quotas), 0))
        self.delays = Row(DELAYS)
        self.waiting = 0
        """Calls that wait, at the door and at all gates."""
        self._turned_away = -math.inf
        """When a call was turned away last."""

    @property
    def crowded(self) -> bool:
        """Whether a call that comes now may be turned away: others wait, or one has been a moment ago.

        In a flood the queue is empty half of the time, as nobody is let into it who would wait for long.
        """
        return self.waiting > 0 or self._clock() - self._turned_away < _A_MOMENT

    def gate_of(self, planned: Planned) -> Gate:
        """Where a call must pass before it begins what is planned."""
        if planned.seconds <= CALLER_SECONDS and planned.place != CLUSTER:
            return self.gates[SHORT]
        return self.gates[planned.place]

    def passes(self, gate: Gate, ticket: Ticket, amounts: tuple[float, ...], cost: float) -> bool:
        """Lets a call in if nobody waits and there is room; answers whether it has."""
        if gate.queue or self._lacks(gate, ticket.caller, amounts):
            return False
        gate.queue.passes(ticket.caller, cost)
        gate.comes(cost, self._clock())
        self._let_in(gate, ticket, amounts, cost)
        return True

    def join(self, gate: Gate, waiter: Waiter, cost: float) -> Entry[Waiter]:
        """Has a call wait, which may be let in at once: those before it may lack what it does not.

        Raises:
            Overloaded: it is turned away.
        """
        self._finds_full(gate, cost, waiter.seconds, waiter.since)
        if waiter.may_be_shed:
            self._shed(gate, waiter, cost)
        entry = gate.queue.push(waiter.ticket.caller, waiter, cost)
        self.waiting += 1
        self.fill(gate)
        return entry

    def foresees(
        self, gate: Gate, caller: str, amounts: tuple[float, ...], seconds: float, cost: float
    ) -> Overloaded | None:
        """What a call is told that would be turned away if it joined; None if it would not, and then it has to join."""
        if not gate.queue and not self._lacks(gate, caller, amounts):
            return None
        now = self._clock()
        if not gate.too_long(caller, cost, seconds, now) and not self._full_of_others(caller):
            return None
        self._finds_full(gate, cost, seconds, now)
        return self.overloaded(gate, caller, amounts, cost)

    def fill_all(self) -> None:
        """Lets in whoever has room now: work of calls that have passed the door first."""
        for gate in (*self.gates.values(), self.door):
            if gate.queue:
                self.fill(gate)

    def fill(self, gate: Gate) -> None:
        """Lets in whoever is next at a gate, as long as there is room."""
        while gate.queue and not gate.full:
            entry = self._next(gate)
            if entry is None:
                return
            gate.queue.serve(entry)
            now, waiter = self._clock(), entry.item
            gate.served(now)
            self.waiting -= 1
            self.delays.observe(now - waiter.since)
            self._let_in(gate, waiter.ticket, waiter.amounts, entry.cost)
            waiter.let_in = True
            waiter.woken.set()

    def drop(self, gate: Gate, entry: Entry[Waiter]) -> None:
        """Takes a call out of a queue that is not let in."""
        gate.queue.remove(entry)
        self.waiting -= 1

    def hold(self, ticket: Ticket, amounts: tuple[float, ...]) -> None:
        """Adds to what a ticket holds."""
        self.room.take(ticket.caller, amounts)
        held = (*ticket.held, *_NOTHING[len(ticket.held) : len(amounts)])
        ticket.held = (*map(add, held, amounts), *held[len(amounts) :])

    def release(self, ticket: Ticket, as_predicted: bool = False) -> None:
        """Takes back all that a ticket holds but the bytes of its request."""
        held = ticket.held
        self.room.give(ticket.caller, (held[0], 0.0, *held[2:]))
        ticket.held = (0.0, held[1])
        gate, planned, ticket.gate = ticket.gate, ticket.planned, None
        if gate is not None and planned is not None:
            now = self._clock()
            if as_predicted and gate.adaptive is not None:
                gate.adaptive.saw(planned.alone, now - ticket.began, gate.inside, now)
            gate.left(planned.seconds, now)

    def overloaded(self, gate: Gate, caller: str, amounts: tuple[float, ...], cost: float) -> Overloaded:
        """What a call is told that is turned away."""
        limit = self._lacks(gate, caller, amounts) or "max_queued"
        self.shed[limit] += 1
        self._turned_away = now = self._clock()
        seconds = gate.come_back(caller, cost, now)
        text = f"{round(self.room.used[0])} calls are in flight and {self.waiting} wait, as many as {limit} allows now"
        return Overloaded(f"{text}; try again in {seconds:.2g} s", limit=limit, retry_after=seconds)

    def _lacks(self, gate: Gate, caller: str, amounts: tuple[float, ...]) -> str:
        """The limit that keeps a call from passing a gate; empty if none does."""
        if gate.full:
            return "max_in_flight"
        return self.room.lacks(amounts) or self.room.caller_lacks(caller, amounts)

    def _let_in(self, gate: Gate, ticket: Ticket, amounts: tuple[float, ...], cost: float) -> None:
        self.hold(ticket, amounts)
        ticket.began = self._clock()
        gate.enters(cost, ticket.began)

    def _next(self, gate: Gate) -> Entry[Waiter] | None:
        """Who is to be let in next; nobody as long as the first has no room, whose caller has not its share already."""
        first, lacking = gate.queue.first(), self.room.caller_lacks
        if first is not None and lacking(first.flow, first.item.amounts):
            first = next((e for e in gate.queue.in_order() if not lacking(e.flow, e.item.amounts)), None)
        return None if first is None or self.room.lacks(first.item.amounts) else first

    def _shed(self, gate: Gate, waiter: Waiter, cost: float) -> None:
        """Turns a call away that would wait too long, or if the queue is full; in that case perhaps another instead.

        Raises:
            Overloaded: it is turned away.
        """
        caller, now = waiter.ticket.caller, self._clock()
        if gate.too_long(caller, cost, waiter.seconds, now):
            raise self.overloaded(gate, caller, waiter.amounts, cost)
        behind = gate.gives_way(caller, cost, waiter.seconds, now)
        if behind is not None:
            self._turn_out(gate, behind)
        if self.waiting < self._max_queued:
            return
        last = self._last_of_most(caller)
        if last is None:
            raise self.overloaded(gate, caller, waiter.amounts, cost)
        self._turn_out(*last)

    def _finds_full(self, gate: Gate, cost: float, seconds: float, now: float) -> None:
        """Takes down a call that cannot be let in at once; those leave for whom it shows that they wait in a flood."""
        gate.finds_full(cost, seconds, now)
        surplus = gate.surplus(cost)
        for entry in surplus:
            self.drop(gate, entry)
        for entry in reversed(surplus):
            self._tell(gate, entry)

    def _turn_out(self, gate: Gate, entry: Entry[Waiter]) -> None:
        """Turns away one that waits."""
        self.drop(gate, entry)
        self._tell(gate, entry)

    def _tell(self, gate: Gate, entry: Entry[Waiter]) -> None:
        """Tells one that waited that it is turned away."""
        entry.item.error = self.overloaded(gate, entry.flow, entry.item.amounts, entry.cost)
        entry.item.woken.set()

    def _full_of_others(self, caller: str) -> bool:
        """Whether no more calls may wait, and none of those that do should leave for one of a caller."""
        return self.waiting >= self._max_queued and self._last_of_most(caller) is None

    def _last_of_most(self, caller: str) -> tuple[Gate, Entry[Waiter]] | None:
        """The newest call of whoever has the most waiting, where that is more than the caller would have."""
        gates = (self.door, *self.gates.values())
        counts = Counter({flow: 0 for gate in gates for flow in gate.queue.flows})
        for flow in counts:
            counts[flow] = sum(gate.queue.waiting(flow) for gate in gates)
        for flow, count in counts.most_common():
            if count <= counts[caller] + 1:
                return None
            newest = [(gate, entry) for gate in gates if (entry := gate.queue.newest(flow)) and entry.item.may_be_shed]
            if newest:
                return max(newest, key=lambda pair: pair[1].item.since)
        return None


def _in_cluster(settings: Settings, workers: int) -> int:
    """Calls that may always be on the cluster: its pool grows by what waits behind the workers that it has."""
    return 2 * max(workers, settings.max_workers or workers)
