"""From a question to its answers: the one way into the jobs, for the service and for in-process clients alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from gradserve.jobs import dense, derivative, estimates, explain, inspect, taylor, verify
from gradserve.jobs.context import Context
from gradserve.questions.asked import Answer, Question
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.estimates import ESTIMATES
from gradserve.questions.explanation import Explain
from gradserve.questions.inspection import Inspect
from gradserve.questions.symmetry import VerifySymmetry
from gradserve.questions.taylor import ExpandAlong
from gradserve.questions.verification import VerifyGradient
from gradserve.runtime.control import Control

Page: TypeAlias = Callable[[Context, Any, Control], Iterator[Answer]]


def _derivatives(context: Context, question: Differentiate, control: Control) -> Iterator[Derivatives]:
    answering = dense.answers if question.derivation.dense else derivative.answers
    return answering(context, question, control)


PAGES: Mapping[type[Question], Page] = {
    Differentiate: _derivatives,
    Inspect: inspect.answers,
    ExpandAlong: taylor.answers,
    VerifyGradient: verify.verify_gradient,
    VerifySymmetry: verify.verify_symmetry,
    Explain: explain.answers,
    **dict.fromkeys(ESTIMATES.values(), estimates.answers),
}
"""What answers each kind of question."""


def answers(context: Context, question: Question, control: Control) -> Iterator[Answer]:
    """The answers to a question: one, or of a stream several, each a full current one.

    Raises:
        GradserveError: of the kind that says why there is no answer; see the pages.
    """
    return PAGES[type(question)](context, question, control)
