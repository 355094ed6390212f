"""Memory that this client shares with a service on its machine: large arrays lie there, and are not sent."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gradserve import wire
from gradserve.ir.types import TensorType
from gradserve.questions.asked import Question
from gradserve.questions.call import Argument
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.memory import SharedMemory
from gradserve.runtime.shared import AVAILABLE, PAGE, Segment, in_pages
from gradserve.v1 import tensor_pb2

ROOM = 3
"""Bytes for results, for one of arguments; what is not used takes no memory."""
LARGEST = 1 << 30
"""Bytes of arguments above which none is shared."""
KEPT = 4
"""Segments that wait for the next call."""
_LOCAL = re.compile(r"unix:.*|(localhost|127(\.\d+){3}|\[::1\]):\d+")


class Lease:
    """The memory of one call."""

    def __init__(self, segment: Segment, arguments: int) -> None:
        """Has room for so many bytes of arguments, and the rest for results."""
        self.segment = segment
        self._next = PAGE
        self._end = PAGE + arguments
        self.name: SharedMemory = segment.name(self._end)

    def room(self, size: int) -> tuple[int, memoryview] | None:
        """Where so many bytes of an argument lie, and those bytes; None if there is no room."""
        start, self._next = self._next, self._next + in_pages(size)
        return (start, self.segment.at(start, size)) if self._next <= self._end else None

    def read(self, offset: int, size: int) -> memoryview | None:
        """These bytes of a result."""
        inside = self._end <= offset and offset + size <= self.segment.size
        return self.segment.at(offset, size) if inside else None

    def fill(self, message: tensor_pb2.Tensor, argument: Argument) -> bool:
        """Fills an empty message with an argument that lies here; answers whether it does."""
        return not isinstance(argument, TensorType) and wire.write_shared(message, argument, self.room)


class Memories:
    """The segments of one client. Safe for threads."""

    def __init__(self, address: str) -> None:
        """Nothing is shared but with a service that is here, as far as its address tells; an empty one is nowhere."""
        self._possible = AVAILABLE and _LOCAL.fullmatch(address) is not None
        self._free: list[Segment] = []
        self._lock = threading.Lock()
        self.shared = False
        """Whether the service has said that it can open what this client shares."""

    @contextmanager
    def offer(self) -> Iterator[SharedMemory | None]:
        """The name of memory to find that out by; None if there is no use in it."""
        segment = None if self.shared or not self._possible else self._segment(0)
        if segment is None:
            yield None
            return
        try:
            yield segment.name()
        finally:
            segment.close()

    def size_of(self, question: Question) -> int:
        """Bytes that the arguments of a question would take here; 0 if none of them is to lie here."""
        if not self.shared or not isinstance(question, Differentiate):
            return 0
        arrays = (*question.call.arguments.values(), *question.vectors.values())
        size = sum(in_pages(a.nbytes) for a in arrays if not isinstance(a, TensorType) and wire.may_share(a))
        return size if size <= LARGEST else 0

    @contextmanager
    def lease(self, question: Question) -> Iterator[Lease | None]:
        """Memory for asking a question; None if none of its arguments is to lie there.

        That of a call that was not answered is not used again: the service may yet write there.
        """
        size = self.size_of(question)
        segment = self._segment(PAGE + (1 + ROOM) * size) if size else None
        if segment is None:
            yield None
            return
        try:
            yield Lease(segment, size)
        except BaseException:
            segment.close()
            raise
        self._keep(segment)

    def _keep(self, segment: Segment) -> None:
        """Keeps the memory of a call for the next, instead of the smallest there is."""
        with self._lock:
            self._free.append(segment)
            self._free.sort(key=lambda each: each.size)
            dropped = self._free.pop(0) if len(self._free) > KEPT or not self._possible else None
        if dropped is not None:
            dropped.close()

    def close(self) -> None:
        """Lets go of what is not in use."""
        with self._lock:
            segments, self._free, self._possible, self.shared = self._free, [], False, False
        for segment in segments:
            segment.close()

    def _segment(self, size: int) -> Segment | None:
        """A segment of at least that size, and at most twice; None if there is no memory of the kind."""
        with self._lock:
            # After a fork, the memory is the parent's as well.
            self._free = [segment for segment in self._free if segment.process == os.getpid()]
            for position, segment in enumerate(self._free):
                if size <= segment.size <= 2 * size:
                    return self._free.pop(position)
        try:
            return Segment(size)
        except OSError:
            return None
