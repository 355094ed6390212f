"""A gate: the calls of one kind that are inside, those that wait for it, and how long that will take.

What waits is a burst or a queue that stands. A burst is worked off and may take a while; in a queue that stands every
call only waits as long as the one before it, for nothing. Callers that wait for their answers keep one standing, of as
many calls as they are, and that is theirs to choose; others send on, and it grows. So once a queue has not been empty
for a while, and as much again has come as stood there then and has not been worked off, a call is let into it only if
it need not wait longer than it takes a few others to come, so that the gate is never without one, and is turned away at
once otherwise, as in Nichols and Jacobson, "Controlling Queue Delay" (2012), but by what is predicted, not by what has
been waited. In a flood, of many times as many as can leave, those are turned away too who came before it was seen.
"""

from __future__ import annotations

from collections import deque

from gradserve.ir.records import dataclass
from gradserve.service.admission.adaptive import Adaptive
from gradserve.service.admission.fair import Entry, FairQueue
from gradserve.service.admission.promises import Promises
from gradserve.service.admission.waiter import Waiter

STANDING_SECONDS = 0.1
"""A queue that has not been empty for so long is no burst; one that has been is gone, if no more come than leave."""
_LONGER = 4.0
"""Nor is one that has not been empty for so many times what a call takes."""
_FLOOD, _FLOODED_SECONDS = 3.0, 0.03
"""Where so many times as many come as leave, that is a flood, and the queue stands after so long."""
_BURST = 8.0
"""How many times as long as it takes a call may wait in a burst."""
_COME_MEANWHILE = 4.0
"""How many others come, on average, while a call waits in a queue that stands and grows."""
_LEAST_STANDING = 0.1
"""It may wait so many times as long as it takes itself in any case: so much predictions may be wrong by."""
_CHANCE = 16
"""Calls that come by chance although no more come than leave, in the long run."""
_JUST_COME = 0.03
"""Seconds for which one that waits may still be turned away for another: it is told soon enough."""
_PAUSE = 1.0
"""Seconds without calls that count as an end of what came before."""
_NEWS = 0.05
"""How much the last of them counts in what is their pace, at least; of the first few all count alike."""
_LATELY = 16
"""How many calls that have come tell of a flood, as soon as they have."""
_MEMORY = 0.9
"""How much of what was seen before each departure still counts after it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long calls may wait, in seconds."""

    burst: float
    """While the queue was empty a moment ago."""
    standing: float
    """In a queue that stands and grows."""


class Gate:
    """One kind of calls. Not safe for threads."""

    def __init__(self, name: str, patience: Patience, adaptive: Adaptive | None, rate: float) -> None:
        """`rate` is the cost that leaves in a second, until that is seen; without `adaptive` all may be inside."""
        self.name, self.adaptive = name, adaptive
        self.queue: FairQueue[Waiter] = FairQueue()
        self.inside = 0
        self._patience = patience
        self._cost, self._seconds, self._left = rate, 1.0, 0.0
        self._within = self._until = 0.0
        """The costs that are inside, and until when they are, about, if nothing follows."""
        self._gap, self._came, self._seen = _PAUSE, 0.0, 0
        """Seconds from one call that comes to the next, on average; when the last came; how many gaps since a pause."""
        self._lately = deque[float](maxlen=_LATELY)
        """When the last few came."""
        self._began = self._waited = 0.0
        """Since when the queue stands, and when somebody waited last."""
        self._stood: float | None = None
        """The costs that waited when it was first seen that the queue stands."""
        self._grown = 0.0
        """Costs that have come since then, turned away or not, without those that have left."""
        self._cleared = False
        """Whether those have been turned away who came before it was seen that the queue grows."""
        self._promises = Promises()

    @property
    def full(self) -> bool:
        """Whether one more would be too many."""
        return self.adaptive is not None and self.inside >= self.adaptive.limit

    def enters(self, cost: float, now: float) -> None:
        """Takes down that a call is let in."""
        self.inside += 1
        self._within += cost
        self._until = max(self._until, now) + cost * self._price

    def left(self, cost: float, now: float) -> None:
        """Takes down that a call has left, others waiting or not."""
        self.inside -= 1
        self._within = max(0.0, self._within - cost) if self.inside else 0.0
        self._until = min(self._until, now + self._within * self._price)
        self._grown = max(0.0, self._grown - cost)
        if self.queue and now - self._left < 1.0:
            self._cost = _MEMORY * self._cost + cost
            self._seconds = _MEMORY * self._seconds + now - self._left
        self._left = now

    def served(self, now: float) -> None:
        """Takes down that one is let in that has waited."""
        self._waited = now

    def comes(self, cost: float, now: float) -> None:
        """Takes down that a call has come, whatever becomes of it."""
        gap, self._came = now - self._came, now
        if gap < _PAUSE:
            self._seen += 1
            self._gap += max(_NEWS, 1 / self._seen) * (gap - self._gap)
        else:
            self._gap, self._seen = _PAUSE, 0
        self._lately.append(now)
        self._grown += cost

    def finds_full(self, cost: float, seconds: float, now: float) -> None:
        """Takes down that a call has come that will wait, or be turned away; see `too_long`."""
        if not self.queue and now - self._waited > STANDING_SECONDS and self._gap > cost * self._price:
            self._began, self._stood, self._cleared = now, None, False
        self._waited = now
        self.comes(cost, now)
        if self._stood is None and now - self._began > self._soonest(cost, seconds):
            self._stood, self._grown = self.queue.backlog, 0.0

    def too_long(self, caller: str, cost: float, seconds: float, now: float) -> bool:
        """Whether a call that came now and is predicted to take so many seconds itself would wait longer than it may.

        In a queue that stands and grows there is room for whoever is due: who has not been turned away before, or
        comes when it was told to. Others wait for all that waits, or take the place of one that would leave after them.
        """
        patience = self._patience_for(cost, seconds)
        if self.wait(caller) > patience:
            return True
        if not self._grows(cost) or not self._promises.knows(caller):
            return False
        whole = self._left_inside(now) + self._whole
        if whole <= patience or (self._promises.is_due(caller, now) and whole <= patience + cost * self._price):
            return False
        return self._behind(caller, now) is None

    def surplus(self, cost: float) -> list[Entry[Waiter]]:
        """Those at the end of the queue, the last one first, who wait too long if it is a flood; once in each.

        They were let in before that was seen. `cost` is that of the call which has just come.
        """
        if self._cleared or not (self._floods(cost) and self._grows(cost)):
            return []
        self._cleared = True
        found, ahead = [], self._whole
        for entry in reversed(self.queue.in_order()):
            ahead -= entry.cost * self._price
            if ahead <= self._patience_for(entry.cost, entry.item.seconds):
                break
            if entry.item.may_be_shed:
                found.append(entry)
        return found

    def gives_way(self, caller: str, cost: float, seconds: float, now: float) -> Entry[Waiter] | None:
        """Whose place a call takes that comes and would not wait too long; None if it needs nobody's."""
        if not self._grows(cost):
            return None
        if self._promises.is_due(caller, now):
            self._promises.keep(caller, cost * self._price, now)
            return None
        return self._behind(caller, now) if self._whole > self._patience_for(cost, seconds) else None

    def wait(self, caller: str) -> float:
        """The seconds that a call of a caller would wait, about, if it came now and no other came before it."""
        return self.queue.ahead(caller) * self._price

    def longest(self, seconds: float) -> float:
        """How long a call that is predicted to take so many seconds may wait at most, having been let wait."""
        return max(self._patience.burst, _BURST * seconds * self._pace)

    def come_back(self, caller: str, cost: float, now: float) -> float:
        """In how many seconds there will be room for a call that is turned away: after those told so before it."""
        return self._promises.make(caller, now + self._left_inside(now) + self._whole, cost * self._price, now)

    def _soonest(self, cost: float, seconds: float) -> float:
        """How long a queue has not been empty that is said to stand."""
        if self._floods(cost):
            return _FLOODED_SECONDS
        return max(STANDING_SECONDS, _LONGER * seconds * self._pace)

    def _floods(self, cost: float) -> bool:
        """Whether many times as many come as could leave."""
        return _FLOOD * self._every(cost) < cost * self._price

    def _every(self, cost: float) -> float:
        """Seconds from one call that comes to the next: of the last few if they come as in a flood, else on average.

        What came before it began counts in the average for long.
        """
        few = (self._came - self._lately[0]) / (_LATELY - 1) if len(self._lately) == _LATELY else self._gap
        return few if _FLOOD * few < cost * self._price else self._gap

    def _patience_for(self, cost: float, seconds: float) -> float:
        if self._grows(cost):
            most = min(_COME_MEANWHILE * self._every(cost), self.longest(seconds))
            return max(self._patience.standing, most, _LEAST_STANDING * seconds * self._pace)
        return self.longest(seconds)

    def _grows(self, cost: float) -> bool:
        """Whether the queue stands, and more comes than leaves."""
        return self._stood is not None and self._grown > self._stood + _CHANCE * cost

    def _behind(self, caller: str, now: float) -> Entry[Waiter] | None:
        """The last in line, if a call of a caller would leave before it, and it has only just come."""
        last = self.queue.last()
        if last is None or last.flow == caller or not last.item.may_be_shed or now - last.item.since > _JUST_COME:
            return None
        return last if self.queue.start(caller) < last.start else None

    def _left_inside(self, now: float) -> float:
        """Seconds until the first call leaves of those inside, about, if that is waited for.

        Of n that have entered one after the other, the first leaves after 2 / (n + 1) of what all of them take.
        """
        if not self.full:
            return 0.0
        return max(0.0, self._until - now) * 2 / (self.inside + 1)

    @property
    def _price(self) -> float:
        """Seconds in which a cost of 1 leaves."""
        return self._seconds / max(self._cost, 1e-9)

    @property
    def _whole(self) -> float:
        """Seconds in which all leave that wait."""
        return self.queue.backlog * self._price

    @property
    def _pace(self) -> float:
        return 1.0 if self.adaptive is None else self.adaptive.pace
