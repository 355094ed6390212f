"""Start-time fair queueing: whoever asks for much waits for itself, not others for it.

After Goyal, Vin and Cheng, "Start-time Fair Queueing" (1997). An item is tagged when it comes: it starts where the one
before it of its flow ends, at the earliest at the virtual time, and ends later by its cost over the flow's weight.
Items leave in the order of their starts. So over any time in which two flows have items waiting, what has left of each,
over its weight, differs by no more than the two largest costs over their weights, however many items one of them has.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from gradserve.service.admission.brim import Brim

T = TypeVar("T")

_MOST_REMEMBERED = 1024
"""Flows that are remembered before some without items are forgotten."""


class Entry(Generic[T]):
    """An item that waits."""

    __slots__ = ("cost", "flow", "gone", "item", "order", "start")

    def __init__(self, flow: str, item: T, cost: float, start: float, order: int) -> None:
        self.flow, self.item, self.cost, self.start, self.order = flow, item, cost, start, order
        self.gone = False

    def __lt__(self, other: Entry[T]) -> bool:
        return (self.start, self.order) < (other.start, other.order)


class _Flow(Generic[T]):
    """What belongs to one name."""

    __slots__ = ("backlog", "entries", "finish")

    def __init__(self) -> None:
        self.finish = 0.0
        """Where its last item ends."""
        self.backlog = 0.0
        """Costs of its items that wait."""
        self.entries: deque[Entry[T]] = deque()


class FairQueue(Generic[T]):
    """Items of several flows; those of one flow leave in the order in which they came. Not safe for threads."""

    def __init__(self, weight: Callable[[str], float] | None = None) -> None:
        """A flow of twice the `weight` (above 0) gets twice as much; without, all get the same."""
        self._weight = weight or _even
        self._now = 0.0
        self._flows: dict[str, _Flow[T]] = {}
        self._busy: dict[str, _Flow[T]] = {}
        """Those that have items."""
        self._brim = Brim(_MOST_REMEMBERED)
        self._heap: list[Entry[T]] = []
        self._count = self._waiting = 0
        self.backlog = 0.0
        """Costs of all items that wait."""

    def __len__(self) -> int:
        return self._waiting

    @property
    def flows(self) -> list[str]:
        """The flows that have items."""
        return list(self._busy)

    def waiting(self, flow: str) -> int:
        """How many items a flow has."""
        found = self._flows.get(flow)
        return len(found.entries) if found else 0

    def push(self, flow: str, item: T, cost: float) -> Entry[T]:
        """Adds an item of a cost of at least 0; the entry is what takes it out again."""
        state = self._state(flow)
        start = max(self._now, state.finish)
        state.finish = start + cost / self._weight(flow)
        self._count += 1
        entry = Entry(flow, item, cost, start, self._count)
        state.entries.append(entry)
        self._busy[flow] = state
        state.backlog += cost
        self.backlog += cost
        self._waiting += 1
        heapq.heappush(self._heap, entry)
        return entry

    def passes(self, flow: str, cost: float) -> None:
        """Takes down an item that need not wait: it counts as if it had come and left at once."""
        state = self._state(flow)
        self._now = max(self._now, state.finish)
        state.finish = self._now + cost / self._weight(flow)

    def charge(self, flow: str, cost: float) -> None:
        """Adds what items of a flow cost beyond what was known when they came, or takes away what they cost less."""
        if flow in self._flows:
            self._flows[flow].finish += cost / self._weight(flow)

    def first(self) -> Entry[T] | None:
        """The entry that is to leave next; None if there is none."""
        while self._heap and self._heap[0].gone:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def pop(self) -> Entry[T]:
        """Takes out the entry that is to leave next; there must be one."""
        entry = self.first()
        if entry is None:
            raise IndexError("no item waits")
        self.serve(entry)
        return entry

    def serve(self, entry: Entry[T]) -> None:
        """Takes out an entry that is served, before others if they cannot be."""
        self._now = max(self._now, entry.start)
        self._take(entry)

    def remove(self, entry: Entry[T]) -> None:
        """Takes out an item that leaves unserved, and costs nothing: later ones of its flow start the earlier."""
        if not entry.gone:
            self._take(entry)
            self.charge(entry.flow, -entry.cost)

    def in_order(self) -> list[Entry[T]]:
        """All entries, as they would leave."""
        return sorted(entry for entry in self._heap if not entry.gone)

    def newest(self, flow: str) -> Entry[T] | None:
        """The last item of a flow; None if it has none."""
        found = self._flows.get(flow)
        return found.entries[-1] if found and found.entries else None

    def last(self) -> Entry[T] | None:
        """The entry that is to leave after all others; None if there is none."""
        return max((flow.entries[-1] for flow in self._busy.values()), default=None)

    def start(self, flow: str) -> float:
        """Where an item of a flow would start that came now."""
        state = self._flows.get(flow)
        return self._now if state is None else max(self._now, state.finish)

    def ahead(self, flow: str) -> float:
        """The costs of what leaves before an item that came now, about. Of flows that are all due, each is the next."""
        start = self.start(flow)
        total = 0.0
        for name, other in self._busy.items():
            if name == flow:
                total += other.backlog  # all of its own: that ends where the next begins
            else:
                until = start - other.entries[0].start
                total += min(other.backlog, max(0.0, until) * self._weight(name))
        return total

    def _state(self, flow: str) -> _Flow[T]:
        state = self._flows.get(flow)
        if state is None:
            if self._brim.reached(len(self._flows)):
                self._forget()
                self._brim.left(len(self._flows))
            state = self._flows[flow] = _Flow()
        return state

    def _take(self, entry: Entry[T]) -> None:
        entry.gone = True
        self._waiting -= 1
        state = self._flows[entry.flow]
        state.entries.remove(entry)
        state.backlog = state.backlog - entry.cost if state.entries else 0.0
        if not state.entries:
            del self._busy[entry.flow]
        self.backlog = self.backlog - entry.cost if self._waiting else 0.0
        if self._heap and self._heap[0] is entry:
            heapq.heappop(self._heap)
        elif len(self._heap) > 2 * self._waiting + 64:
            self._heap = [each for each in self._heap if not each.gone]
            heapq.heapify(self._heap)

    def _forget(self) -> None:
        """Drops flows without items: that owe nothing, and of the others those that owe least, if they are many."""
        idle = [name for name, flow in self._flows.items() if not flow.entries]
        idle.sort(key=lambda name: self._flows[name].finish)
        for position, name in enumerate(idle):
            if self._flows[name].finish <= self._now or len(idle) - position > _MOST_REMEMBERED // 2:
                del self._flows[name]


def _even(_flow: str) -> float:
    return 1.0
