"""Streams that are gone on with: where the work of a job stands is data that the client keeps.

See `gradserve.questions.resuming` for what a token promises.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Self, TypeVar

import numpy as np

from gradserve.jobs.sweeps.context import Context
from gradserve.questions.report import Report
from gradserve.questions.resuming import State, digest_of
from gradserve.wire.stream_tokens import decode_token, encode_token

A = TypeVar("A")


class Resumable:
    """A question whose stream can be gone on with: where its work stood, and the tokens of its answers."""

    def __init__(self, question: Any) -> None:
        """Reads the token of the question, if it has one.

        Raises:
            InvalidRequest: it is no token, or that of another question.
        """
        self._digest = digest_of(question)
        self.stood = decode_token(question.resume, self._digest) if question.resume else None
        """Where the work stood; None if it begins."""
        self._more: State = {}

    def part(self, name: str, position: int, stands: bool) -> Self:
        """The same for one of several parts of the work, done one after the other; whether it `stands` in this one."""
        part = copy.copy(self)
        part._more = {name: np.asarray(position)}
        part.stood = self.stood if stands else None
        return part

    def context(self, context: Context) -> Context:
        """What the work goes on in: on the executor that it began on."""
        return context if self.stood is None else context.going_on(self.stood.report.executor)

    def marked(self, answer: A, state: State | None, report: Report) -> A:
        """The answer, which has cost what the report says, with its token; without one if there is no state."""
        if state is None:
            return answer
        token = encode_token(self._digest, {**state, **self._more}, report.timeless)
        marked: A = replace(answer, token=token)  # type: ignore[type-var]
        return marked
