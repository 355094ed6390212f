"""A stream of gradients over gRPC: few blocks are under way at a time, and one that breaks off is gone on with."""

from __future__ import annotations

import contextlib
import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

from gradserve.client.transport.budget import RetryBudget
from gradserve.client.transport.connection import Connection
from gradserve.client.transport.deadline import Deadline, paused
from gradserve.client.transport.ended import Closed
from gradserve.client.transport.replies import require_answered, wrong
from gradserve.client.transport.session import ATTEMPTS, ENDLESS_SECONDS, PAUSES
from gradserve.ir.errors import (
    DeadlineExceeded,
    GradserveError,
    GraphNotRegistered,
    InvalidRequest,
    Overloaded,
    Unavailable,
    Violation,
)
from gradserve.ir.records import dataclass
from gradserve.questions.call import types_of
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.streams import RPC, Block, Part
from gradserve.questions.transport import rounded_arguments
from gradserve.wire.streams import decode_part, encode_block, encode_start, fill_of

BLOCKS = 8
"""Blocks under way at once, of those that are small."""
BYTES = 8 << 20
"""Bytes of blocks under way above which no further one is sent."""
PATIENCE = 0.02
"""Seconds for which blocks are drawn before answers to earlier ones are looked at."""

Register = Callable[[Deadline], None]
"""Sees to it that the service has the graph."""


class Stream:
    """One stream, over as many calls as it takes: each may end at its deadline, or with the service that answers it."""

    def __init__(
        self,
        connection: Connection,
        method: Callable[..., Any],
        question: Differentiate,
        blocks: Iterator[Block],
        timeout: float | None,
        budget: RetryBudget,
    ) -> None:
        """Within `timeout` seconds there must be another answer."""
        self._connection, self._method, self._timeout, self._budget = connection, method, timeout, budget
        self._question, self._blocks = question, blocks
        self._start = encode_start(question)
        self._fill_one = fill_of(question)
        self._open: deque[_Sent] = deque()
        """Blocks that are not answered, or not to the end."""
        self._bytes = self._number = 0
        self._more = True
        self._heard = time.monotonic()
        """Since when we have been waiting for an answer, however many calls have not brought it."""

    def parts(self, register: Register, forget: Callable[[], None]) -> Generator[Part]:
        """What belongs to the points of all blocks, in order."""
        failed = 0
        while self._more or self._open:
            deadline, answered = Deadline(self._left()), False
            try:
                register(deadline)
                for part in self._call(deadline):
                    answered, failed = True, 0
                    self._budget.earn()
                    yield part
            except Closed:
                raise
            except (Unavailable, GraphNotRegistered, DeadlineExceeded) as error:
                if isinstance(error, GraphNotRegistered):
                    forget()
                self._require_hope(error, answered, failed)
                failed += 1
                if isinstance(error, Overloaded):
                    if not self._budget.spend() or paused(deadline, error.retry_after, told=True) == 0.0:
                        raise
                elif not answered:
                    time.sleep(PAUSES[min(failed, len(PAUSES)) - 1])

    def _left(self) -> float | None:
        """The seconds in which there must be another answer."""
        return None if self._timeout is None else max(0.0, self._timeout - (time.monotonic() - self._heard))

    def _require_hope(self, error: GradserveError, answered: bool, failed: int) -> None:
        """Raises the error if another call would be no better."""
        waited = time.monotonic() - self._heard
        late = waited >= (ENDLESS_SECONDS if self._timeout is None else self._timeout)
        lost = isinstance(error, GraphNotRegistered) and failed >= ATTEMPTS
        if not answered and (late or lost or isinstance(error, DeadlineExceeded)):
            with Deadline(self._timeout):
                raise error

    def _call(self, deadline: Deadline) -> Iterator[Part]:
        """The parts that one call comes to. It begins with the blocks that none has answered."""
        requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        requests.put(self._start)
        for sent in self._open:
            requests.put(sent.data)
        replies = self._connection.stream(self._method, iter(requests.get, None), deadline)
        seen = 0
        try:
            with contextlib.closing(replies):
                while self._fill(requests):
                    number, part = decode_part(self._question, self._reply(replies))
                    sent = self._open[0]
                    self._require_next(sent, number, part, seen)
                    self._heard = time.monotonic()
                    seen += part.points
                    if seen >= sent.points:
                        self._open.popleft()
                        self._bytes -= len(sent.data)
                        seen = 0
                    news = _after(part, sent.done)
                    sent.done = max(sent.done, part.first + part.points)
                    if news is not None:
                        yield news
                        self._heard = time.monotonic()  # whoever has the answers may take his time
        finally:
            requests.put(None)

    def _require_next(self, sent: _Sent, number: int, part: Part, seen: int) -> None:
        """Sees that a part belongs to the block that is to be answered, of which so many points have been.

        Raises:
            InvalidReply: it does not, or is no answer there.
        """
        fits = min(1, sent.points) <= part.points <= sent.points - seen
        if sent.number != number or part.first != seen or not fits:
            text = f"points {part.first} to {part.first + part.points} of block {number} are answered, "
            text += f"where block {sent.number} of {sent.points} points goes on at {seen}"
            raise wrong(RPC, [Violation("id" if sent.number != number else "points", "A3", text)])
        if isinstance(part.found, Derivatives):
            require_answered(sent.asked, part.found, (part.points,) if sent.points else ())

    def _asked(self, block: Block) -> Differentiate:
        """The question at a point of the block: its types alone."""
        types = types_of(block.arguments)
        if block.points:
            types = {name: type_.with_shape(type_.shape[1:]) for name, type_ in types.items()}
        return self._question.of(types, {})

    def _rounded(self, block: Block) -> Block:
        """The block as it travels. What cannot be rounded is for the service to refuse, point by point."""
        try:
            return replace(block, arguments=rounded_arguments(self._question, block.arguments))
        except InvalidRequest:
            return block

    def _reply(self, replies: Iterator[bytes]) -> bytes:
        found = next(replies, None)
        if found is None:
            raise Unavailable("the service ended a stream before all was answered")
        return found

    def _fill(self, requests: queue.SimpleQueue[bytes | None]) -> bool:
        """Sends blocks while there is room for more; answers whether one is to be answered."""
        began = time.monotonic()
        while self._more and len(self._open) < BLOCKS and (self._bytes < BYTES or not self._open):
            block = next(self._blocks, None)
            if block is None:
                self._more = False
                break
            self._number += 1
            data = encode_block(self._number, self._rounded(block), self._fill_one)
            sent = _Sent(self._number, block.points, data, self._asked(block))
            self._open.append(sent)
            self._bytes += len(sent.data)
            requests.put(sent.data)
            if time.monotonic() - began > PATIENCE:
                break
        return bool(self._open)


@dataclass(slots=True)
class _Sent:
    """A block that has been sent."""

    number: int
    points: int
    data: bytes
    asked: Differentiate
    """The question at one of its points."""
    done: int = 0
    """How many of its points have been answered."""


def _after(part: Part, done: int) -> Part | None:
    """What is new in a part of a block, so many of whose points had been answered by a call before this one."""
    skip = done - part.first
    if part.points == 0 or skip <= 0:
        return part
    if skip >= part.points:
        return None
    if isinstance(part.found, GradserveError):
        return Part(done, part.points - skip, part.found)
    arrays = {role: {name: a[skip:] for name, a in named.items()} for role, named in part.found.arrays.items()}
    return Part(done, part.points - skip, Derivatives(arrays, part.found.report))
