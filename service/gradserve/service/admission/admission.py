"""Admission: which calls are worked on at once, in what order others follow, and who is turned away.

A call passes the door when its request is there, by number and bytes. Before it begins what is predicted to take long,
it passes a gate as well: one for work on its own thread, one for each pool, so that work of one kind never waits for
another. Where there is no room, calls wait in fair order between callers; where that would take too long, they are
turned away at once and told when to come back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from gradserve.ir.errors import Overloaded, Unavailable
from gradserve.jobs.sweeps.ready import BESIDE_SECONDS
from gradserve.runtime.control import Control
from gradserve.runtime.planned import Planned
from gradserve.service.admission.fair import Entry
from gradserve.service.admission.gate import Gate
from gradserve.service.admission.histograms import Row
from gradserve.service.admission.queues import CLUSTER, Queues
from gradserve.service.admission.quota import Quotas
from gradserve.service.admission.ticket import Ticket
from gradserve.service.admission.waiter import Waiter
from gradserve.service.configuration.settings import Settings

_CALL = (1.0, 0.0)
_LEAST_COST = 1e-6


class Admission:
    """Counts calls and what they take. Safe for threads."""

    def __init__(self, settings: Settings, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Each pool has so many `workers`."""
        self._clock = clock
        self._queues = Queues(settings, workers, clock)
        self._room, self._door = self._queues.room, self._queues.door
        self._quotas = Quotas(settings.quotas, settings.quota_seconds, clock)
        self._closed = False
        self._entered = 0
        self.resting = 0
        """Calls that wait for their clients, and hold nothing but the bytes of their requests."""
        self._watched = 0
        """How many wait until there are no calls."""
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)

    @property
    def calls(self) -> int:
        """Calls that have entered and not left: that are worked on, or wait for their work to begin."""
        return self._entered

    @property
    def bytes(self) -> int:
        """Bytes of their requests."""
        return round(self._room.used[1])

    @property
    def waiting(self) -> int:
        """Calls that wait for others to end."""
        return self._queues.waiting

    @property
    def crowded(self) -> bool:
        """Whether a call that comes now may be turned away."""
        return self._quotas.any or self._queues.crowded

    @property
    def delays(self) -> Row:
        """How long calls have waited that had to and were let in."""
        return self._queues.delays

    @property
    def shed(self) -> Mapping[str, int]:
        """Calls that were turned away, by the limit."""
        with self._lock:
            return dict(self._queues.shed)

    @property
    def gates(self) -> Mapping[str, Gate]:
        """The gates by the kind of work that they let in."""
        return self._queues.gates

    def enter(self, size: int, control: Control, caller: str = "", may_be_shed: bool = True) -> Ticket:
        """Returns when a caller's call whose request has `size` bytes may be worked on; it must leave by the ticket.

        Raises:
            Overloaded: there are too many others, or the caller's quota is used up.
            Unavailable: the service is about to stop.
            Cancelled, DeadlineExceeded: as `control` says, after waiting.
        """
        amounts = (1.0, float(size))
        with self._lock:
            self._require_open()
            if self._quotas.any:
                self._require_quota(caller)
            if not self._door.queue and self._room.take_small(amounts[1]):
                self._entered += 1
                return Ticket(self, caller, amounts, may_be_shed)
        ticket = Ticket(self, caller, (), may_be_shed)
        self._pass(self._door, Waiter(ticket, amounts, 0.0, may_be_shed, self._clock()), 1.0, control)
        with self._lock:
            self._entered += 1
        return ticket

    def begin(self, ticket: Ticket, planned: Planned, control: Control) -> None:
        """Returns when the call of a ticket may begin what is planned, in the place of what it has done before.

        Only what comes first in a call may be turned away: no work that has been done is thrown away.

        Raises:
            Overloaded, Cancelled, DeadlineExceeded: as in `enter`.
        """
        ticket.flops += planned.flops
        ticket.bytes += planned.bytes
        if planned.seconds <= BESIDE_SECONDS:
            return
        may_be_shed = ticket.may_be_shed and not ticket.begun
        if may_be_shed and self._quotas.any:
            with self._lock:
                self._require_quota(ticket.caller)
        self._work(ticket, planned, may_be_shed, max(planned.seconds, _LEAST_COST), control)
        ticket.begun += 1
        if self._quotas.any:
            self._settle(ticket)

    def foresees(self, caller: str, planned: Planned) -> Overloaded | None:
        """What a call is told that would be turned away if it began now what is planned; None if it would not."""
        with self._lock:
            if self._closed or planned.seconds <= BESIDE_SECONDS:
                return None
            spent = self._quota_spent(caller) if self._quotas.any else None
            if spent is not None:
                return spent
            gate, amounts = self._queues.gate_of(planned), _amounts_of(planned)
            cost = max(planned.seconds, _LEAST_COST)
            return self._queues.foresees(gate, caller, (0.0, *amounts), planned.alone, cost)

    def rest(self, ticket: Ticket) -> None:
        """Lets others in while a call does nothing but wait for its client."""
        with self._lock:
            self._queues.release(ticket)
            if not ticket.resting:
                ticket.resting, self.resting = True, self.resting + 1
            self._let_others_in()

    def come_back(self, ticket: Ticket, control: Control) -> None:
        """Returns when a call may be worked on after a rest, of which its client has sent more.

        Raises:
            Cancelled, DeadlineExceeded: as `control` says, after waiting.
        """
        size = ticket.held[1]
        with self._lock:
            self._wake(ticket)
            if not self._door.queue and self._room.take_small(0.0):
                ticket.held = (1.0, size)
                return
        self._pass(self._door, Waiter(ticket, _CALL, 0.0, False, self._clock()), 1.0, control)

    def resume(self, ticket: Ticket, planned: Planned, control: Control) -> None:
        """Returns when a call may go on after a rest; what it does has been charged before.

        Raises:
            Cancelled, DeadlineExceeded: as `control` says, after waiting.
        """
        self._work(ticket, planned, False, 0.0, control)

    def leave(self, ticket: Ticket, as_predicted: bool) -> None:
        """Ends a call that has entered, once; `as_predicted` says that it did what was planned, and nothing else."""
        if not ticket.held:
            return
        if self._quotas.any:
            self._settle(ticket)
        with self._lock:
            self._wake(ticket)
            if ticket.gate is not None:
                self._queues.release(ticket, as_predicted)
            self._room.give(ticket.caller, ticket.held)
            ticket.held = ()
            self._entered -= 1
            self._let_others_in()
            if self._watched:
                self._idle.notify_all()

    def close(self) -> None:
        """Lets no more calls in, those that wait at the door included; what has been let in goes on."""
        with self._lock:
            self._closed = True
            for entry in self._door.queue.in_order():
                if entry.item.may_be_shed:
                    entry.item.woken.set()

    def wait_idle(self, seconds: float) -> bool:
        """Waits until every call has ended; answers whether that took no longer than `seconds`."""
        with self._lock:
            self._watched += 1
            try:
                return self._idle.wait_for(lambda: not self._entered and not self.waiting, seconds)
            finally:
                self._watched -= 1

    def _wake(self, ticket: Ticket) -> None:
        if ticket.resting:
            ticket.resting, self.resting = False, self.resting - 1

    def _require_open(self) -> None:
        if self._closed:
            raise Unavailable("the service is about to stop and takes no more calls; try another one")

    def _require_quota(self, caller: str) -> None:
        spent = self._quota_spent(caller)
        if spent is not None:
            raise spent

    def _quota_spent(self, caller: str) -> Overloaded | None:
        """What a caller is told whose quota is used up."""
        quota, seconds = self._quotas.wait(caller)
        if not quota:
            return None
        self._queues.shed[quota] += 1
        text = f"what {caller or 'this caller'} may spend by {quota} is spent; there is more in {seconds:.3g} s"
        return Overloaded(text, limit=quota, retry_after=seconds)

    def _settle(self, ticket: Ticket) -> None:
        """Charges the caller with what has begun since the last time."""
        with self._lock:
            self._quotas.spend(ticket.caller, {"quota_flops": ticket.flops, "quota_bytes": ticket.bytes})
        ticket.flops = ticket.bytes = 0.0

    def _work(self, ticket: Ticket, planned: Planned, may_be_shed: bool, cost: float, control: Control) -> None:
        """Returns when a call may do what is planned, in the place of what it has done before."""
        gate = self._queues.gate_of(planned)
        call = 0.0 if ticket.held[0] else 1.0  # whoever rested has no place among the calls
        amounts = (call, *_amounts_of(planned))
        with self._lock:
            self._wake(ticket)
            if ticket.gate is not None:
                self._queues.release(ticket)
                self._queues.hold(ticket, _CALL)
            inside = self._queues.passes(gate, ticket, amounts, cost)
            if not inside:  # who waits lets others be worked on
                self._queues.release(ticket)
                self._let_others_in()
        if not inside:
            waiter = Waiter(ticket, (1.0, *amounts[1:]), planned.alone, may_be_shed, self._clock())
            self._pass(gate, waiter, cost, control)
        ticket.gate, ticket.planned = gate, planned

    def _pass(self, gate: Gate, waiter: Waiter, cost: float, control: Control) -> None:
        """Returns when a call that may have to wait is let in."""
        with self._lock:
            entry = self._queues.join(gate, waiter, cost)
        if waiter.let_in:
            return
        control.waits()
        forget = control.on_cancel(waiter.woken.set)
        try:
            waiter.woken.wait(_longest(gate, waiter, control))
        finally:
            forget()
        with self._lock:
            if not waiter.let_in:
                self._turn_away(gate, entry, control)

    def _turn_away(self, gate: Gate, entry: Entry[Waiter], control: Control) -> None:
        """Raises why a call is not let in that has waited."""
        waiter = entry.item
        if not entry.gone:
            self._queues.drop(gate, entry)
            self._queues.fill(gate)
        control.check()
        if waiter.error is not None:
            raise waiter.error
        if gate is self._door:
            self._require_open()
        raise self._queues.overloaded(gate, entry.flow, waiter.amounts, entry.cost)

    def _let_others_in(self) -> None:
        if self._queues.waiting:
            if self._door.queue:
                self._door.left(1.0, self._clock())
            self._queues.fill_all()


def _amounts_of(planned: Planned) -> tuple[float, ...]:
    """What it takes besides the place of its call, of which the request has been counted before."""
    peak = 0.0 if planned.place == CLUSTER else planned.peak_bytes
    return 0.0, planned.flops, planned.seconds, peak


def _longest(gate: Gate, waiter: Waiter, control: Control) -> float | None:
    """The seconds for which a call may wait at most: who was let wait for work to begin is not turned away later."""
    left = control.remaining
    if not waiter.may_be_shed or gate.adaptive is not None:
        return left
    most = gate.longest(waiter.seconds)
    return most if left is None else min(most, left)
