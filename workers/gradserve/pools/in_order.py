"""Results in chunk order from chunks that end in any order."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import TypeAlias

from gradserve.pools.work import ChunkResult
from gradserve.runtime.control import Control

Outcome: TypeAlias = ChunkResult | BaseException


class Inbox:
    """Outcomes of one work as they arrive from any thread. Who waits is woken by cancellation and by the deadline."""

    def __init__(self, control: Control) -> None:
        """Listens to `control` until closed."""
        self._control = control
        self._arrivals = arrivals = queue.SimpleQueue[tuple[int, Outcome] | None]()
        self._kept: dict[int, Outcome] = {}
        self._forget = control.on_cancel(lambda: arrivals.put(None))  # which does not hold the inbox that holds it

    def put(self, index: int, outcome: Outcome) -> None:
        """Delivers the outcome of a chunk."""
        self._arrivals.put((index, outcome))

    def take(self, index: int) -> ChunkResult:
        """The result of a chunk, once it is there.

        Raises:
            Cancelled, DeadlineExceeded: as the control says.
            Exception: what the chunk ended with, if not with a result.
        """
        while index not in self._kept:
            self._control.check()
            self._control.waits()
            try:
                arrival = self._arrivals.get(timeout=self._control.remaining)
            except queue.Empty:
                continue
            if arrival is not None:
                self._kept[arrival[0]] = arrival[1]
        outcome = self._kept.pop(index)
        if isinstance(outcome, BaseException):
            # A chunk that saw the deadline pass says `Cancelled`; the control knows which of the two it was.
            self._control.check()
            raise outcome
        return outcome

    def close(self) -> None:
        """Stops listening to the control."""
        self._forget()


def in_order(
    count: int, window: Callable[[], int], offer: Callable[[int], None], inbox: Inbox
) -> Iterator[ChunkResult]:
    """The results of chunks 0 to `count`, offering each chunk when it is less than `window()` ahead of the consumer."""
    offered = 0
    for index in range(count):
        while offered < min(count, index + max(1, window())):
            offer(offered)
            offered += 1
        yield inbox.take(index)
