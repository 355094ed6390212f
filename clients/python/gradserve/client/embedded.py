"""The same jobs as the service's, in this process: what `Client()` without an address uses."""

from __future__ import annotations

import copy
import functools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from gradserve.client.backend import Again, asked_anew
from gradserve.client.transport.deadline import Deadline, late
from gradserve.client.transport.ended import Closed
from gradserve.ir.errors import BlobNotFound, DeadlineExceeded
from gradserve.ir.graph import BlobRef
from gradserve.ir.types import Array
from gradserve.jobs.answering import answers, ready_for
from gradserve.jobs.embedded import embedded_context
from gradserve.jobs.streams import parts
from gradserve.jobs.sweeps.calls import named_vectors
from gradserve.jobs.sweeps.context import Context
from gradserve.questions.asked import Answer, Question, arrays_of, graph_of
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.report import Report
from gradserve.questions.streams import Block, Part
from gradserve.runtime.control import Control
from gradserve.runtime.processors import processors


class EmbeddedBackend:
    """Runs jobs on threads of this process."""

    def __init__(self, threads: int | None = None) -> None:
        """`threads` defaults to the number of processors."""
        self._context = embedded_context(threads or processors())
        self._closed = False

    def ask(self, question: Question, deadline: Deadline) -> Answer:
        """The one answer to a question."""
        (answer,) = self.stream(question, deadline)
        return answer

    def stream(self, question: Question, deadline: Deadline) -> Generator[Answer]:
        """The answers to a question one by one."""
        context = self._open()
        unknown = [constant.digest for constant in graph_of(question).constants if isinstance(constant, BlobRef)]
        if unknown:
            raise BlobNotFound(unknown)
        given = {id(array) for array in arrays_of(question)}
        for answer in answers(context, question, Control.after(deadline.left())):
            yield _owned(answer, set(given))

    def again(self, question: Differentiate, arguments: Sequence[str], vectors: Sequence[str]) -> Again:
        """What answers questions like one that was answered; by what is ready for them, if anything is."""
        anew, ready = asked_anew(self, question, arguments, vectors), ready_for(self._context, question)
        inputs = (*arguments, *named_vectors(question.derivation.takes, question.vectors))

        def again(arrays: Sequence[Array], seconds: float | None) -> Derivatives:
            known = None if self._closed else ready()
            if known is None:
                return anew(arrays, seconds)
            control = Control.after(seconds)
            try:
                answer = known.answer(dict(zip(inputs, arrays, strict=True)), control)
                return answer or anew(arrays, control.remaining)
            except DeadlineExceeded:
                raise late(seconds or 0.0) from None

        return again

    def stream_gradient(
        self, question: Differentiate, blocks: Iterator[Block], timeout: float | None
    ) -> Generator[Part]:
        """What belongs to the points of blocks, in order."""
        for block in blocks:
            yield from parts(self._open(), question, block, Control.after(timeout))

    def close(self) -> None:
        """Ends the threads."""
        self._closed = True
        self._context.front_end.close()

    def _open(self) -> Context:
        if self._closed:
            raise Closed
        return self._context


def _owned(found: Any, taken: set[int]) -> Any:
    """The answer, with copies of arrays that share memory: with constants, with what was given, or with each other."""
    kind: Any = type(found)
    if kind is np.ndarray:
        flags = found.flags
        fresh = flags.owndata and flags.writeable and id(found) not in taken
        taken.add(id(found))
        return found if fresh else found.copy()
    if kind is dict:
        return {name: _owned(each, taken) for name, each in found.items()}
    if kind is tuple:
        return tuple([_owned(each, taken) for each in found])
    names = _fields(kind)
    if names:
        found = copy.copy(found)
        for name in names:
            object.__setattr__(found, name, _owned(getattr(found, name), taken))
    return found


@functools.cache
def _fields(kind: Any) -> tuple[str, ...]:
    """Where a record holds what may hold arrays: its fields, but not its report, which holds none."""
    return tuple(field.name for field in fields(kind) if field.type != Report.__name__) if is_dataclass(kind) else ()
