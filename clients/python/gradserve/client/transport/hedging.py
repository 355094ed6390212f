"""Asking a second time when an answer is late: the first answer counts, and the other call is cancelled.

All calls may be made twice, as all have the same answer however often they are made. A budget keeps a slow service from
being asked twice by everybody: of a hundred calls ten are asked again, in the long run.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from typing import TypeAlias

from gradserve.client.backend import Again, Backend, asked_anew
from gradserve.client.transport.attempt import Attempt, Pace
from gradserve.client.transport.budget import RetryBudget
from gradserve.client.transport.deadline import Deadline
from gradserve.client.transport.hedge import Hedge
from gradserve.ir.errors import DeadlineExceeded, Unavailable
from gradserve.questions.asked import Answer, Question, graph_of
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.streams import Block, Part
from gradserve.runtime.caches import Lru

ANSWERS = 10
"""How many answers pay for a call that is asked again, in the long run."""
AT_FIRST = 10
"""How many may be before any is."""
LEAST_SECONDS = 5e-3
"""Sooner than this nothing is asked again: the second call would hardly be the faster one."""
_KINDS = 1024


_Outcome: TypeAlias = tuple[Attempt, Answer | None, BaseException | None]


class HedgedBackend:
    """Two backends of one service. Safe for threads."""

    def __init__(self, first: Backend, second: Backend, hedge: Hedge) -> None:
        """What the first does not answer in time is asked of the second too."""
        self._first, self._second, self._hedge = first, second, hedge
        self._budget = RetryBudget(AT_FIRST, ANSWERS)
        self._paces: Lru[tuple[str, str], Pace] = Lru(_KINDS)
        self.hedged = self.won = 0
        """Calls that were asked twice, and those of them that the second answered."""

    def ask(self, question: Question, deadline: Deadline) -> Answer:
        """The answer of whoever answers first.

        An error that would be the same from both counts as an answer; that one of them is away does not.
        """
        pace, began = self._pace(question), time.monotonic()
        outcomes: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()
        running = [self._begin(self._first, question, deadline, outcomes)]
        try:
            found = self._within(outcomes, self._patience(pace))
            if found is None and self._budget.spend():
                self.hedged += 1
                running.append(self._begin(self._second, question, deadline, outcomes))
            attempt, answer, error = found or outcomes.get()
            if isinstance(error, Unavailable | DeadlineExceeded) and len(running) > 1:
                attempt, answer, error = outcomes.get()
        finally:
            for each in running:
                each.end()
        if error is not None:
            raise error
        self.won += attempt is not running[0]
        self._budget.earn()
        pace.note(began)
        assert answer is not None
        return answer

    def stream(self, question: Question, deadline: Deadline) -> Generator[Answer]:
        """The answers to a question, of the first alone: a stream that breaks off goes on by itself."""
        return self._first.stream(question, deadline)

    def again(self, question: Differentiate, arguments: Sequence[str], vectors: Sequence[str]) -> Again:
        """What answers questions like this one."""
        return asked_anew(self, question, arguments, vectors)

    def stream_gradient(
        self, question: Differentiate, blocks: Iterator[Block], timeout: float | None
    ) -> Generator[Part]:
        """What belongs to the points of blocks, from the first alone."""
        return self._first.stream_gradient(question, blocks, timeout)

    def close(self) -> None:
        """Closes both connections."""
        self._first.close()
        self._second.close()

    def _begin(
        self, backend: Backend, question: Question, deadline: Deadline, outcomes: queue.SimpleQueue[_Outcome]
    ) -> Attempt:
        attempt = Attempt(deadline)

        def run() -> None:
            try:
                outcomes.put((attempt, backend.ask(question, attempt), None))
            except BaseException as error:
                outcomes.put((attempt, None, error))

        # In the caller's context, for its spans.
        threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()
        return attempt

    def _within(self, outcomes: queue.SimpleQueue[_Outcome], seconds: float | None) -> _Outcome | None:
        """The first outcome, if it is there in time."""
        try:
            return outcomes.get(timeout=seconds)
        except queue.Empty:
            return None

    def _patience(self, pace: Pace) -> float | None:
        seconds = self._hedge.after
        if seconds is None:
            usual = pace.quantile(self._hedge.quantile)
            seconds = None if usual is None else max(LEAST_SECONDS, usual)
        return seconds

    def _pace(self, question: Question) -> Pace:
        kind = question.rpc, graph_of(question).digest
        found = self._paces.get(kind)
        if found is None:
            found = Pace()
            self._paces.put(kind, found)
        return found
