"""What answers a client's questions: a remote service, or the same jobs in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol, TypeAlias

from gradserve.client.transport.deadline import Deadline
from gradserve.ir.types import Array
from gradserve.questions.asked import Answer, Question
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.streams import Block, Part

Again: TypeAlias = Callable[[Sequence[Array], float | None], Derivatives]
"""The answer to a question that was asked before, with other arrays of the same types in the same order.

It is there within so many seconds, or DeadlineExceeded tells of them; None stands for no end.
"""


class Backend(Protocol):
    """Answers questions. Arrays of answers may be written to, and share their memory with nothing else."""

    def ask(self, question: Question, deadline: Deadline) -> Answer:
        """The answer to a question that has one."""
        ...

    def stream(self, question: Question, deadline: Deadline) -> Generator[Answer]:
        """The answers to a question that has several; whoever leaves early closes the stream."""
        ...

    def again(self, question: Differentiate, arguments: Sequence[str], vectors: Sequence[str]) -> Again:
        """What answers questions like one that was answered, by arrays for these names; it keeps none of that one's."""
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


def with_others(
    question: Differentiate, arguments: Sequence[str], vectors: Sequence[str]
) -> Callable[[Sequence[Array]], Differentiate]:
    """What asks the same about other arrays, given in the order of these names; it keeps none of the question's."""
    asked, count = question.of({}, {}), len(arguments)

    def of(arrays: Sequence[Array]) -> Differentiate:
        return asked.of(
            dict(zip(arguments, arrays[:count], strict=True)), dict(zip(vectors, arrays[count:], strict=True))
        )

    return of


def asked_anew(backend: Backend, question: Differentiate, arguments: Sequence[str], vectors: Sequence[str]) -> Again:
    """What asks questions like this one as any other."""
    of = with_others(question, arguments, vectors)

    def again(arrays: Sequence[Array], seconds: float | None) -> Derivatives:
        with Deadline(seconds) as deadline:
            answer: Derivatives = backend.ask(of(arrays), deadline)
            return answer

    return again
