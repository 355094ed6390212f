"""What answers a client's questions: a remote service, or the same jobs in this process."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Protocol

from gradserve.client.transport.deadline import Deadline
from gradserve.questions.asked import Answer, Question
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.streams import Block, Part


class Backend(Protocol):
    """Answers questions. Arrays of answers may be written to, and share their memory with nothing else."""

    def ask(self, question: Question, deadline: Deadline) -> Answer:
        """The answer to a question that has one."""
        ...

    def stream(self, question: Question, deadline: Deadline) -> Generator[Answer]:
        """The answers to a question that has several; whoever leaves early closes the stream."""
        ...

    def stream_gradient(
        self, question: Differentiate, blocks: Iterator[Block], timeout: float | None
    ) -> Generator[Part]:
        """What belongs to the points of blocks, in order; blocks are drawn as they are wanted, in this thread.

        Of parts with points, rows may be taken by copy alone.
        """
        ...

    def close(self) -> None:
        """Ends connections and workers."""
        ...
