"""From a question to its answers: the one way into the jobs, for the service and for in-process clients alike."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from gradserve.jobs import dense, derivative, estimates, explain, inspect, kinks, taylor, verify
from gradserve.jobs.context import Context
from gradserve.jobs.ready import Ready, key_of
from gradserve.questions.asked import Answer, Question
from gradserve.questions.call import AtKinks
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.estimates import ESTIMATES
from gradserve.questions.explanation import Explain
from gradserve.questions.inspection import Inspect
from gradserve.questions.symmetry import VerifySymmetry
from gradserve.questions.taylor import ExpandAlong
from gradserve.questions.transport import is_rounded, rounded, rounded_answer
from gradserve.questions.verification import VerifyGradient
from gradserve.runtime.control import Control

Page: TypeAlias = Callable[[Context, Any, Control], Iterator[Answer]]


def _derivatives(context: Context, question: Differentiate, control: Control) -> Iterator[Derivatives]:
    def answering(asked: Differentiate) -> Iterator[Derivatives]:
        answers_of = dense.answers if asked.derivation.dense else derivative.answers
        return answers_of(context, asked, control)

    if question.call.options.kinks is AtKinks.CONVENTION:
        return answering(question)
    return kinks.settled(context, question, lambda asked: next(answering(asked)), control)


def _unresolved(page: Page, what: str) -> Page:
    """What is answered by convention, or where that is not wanted and there are kinks not at all."""

    def answering(context: Context, question: Any, control: Control) -> Iterator[Answer]:
        kinks.refuse(context, question.call, question.wrt, control, what)
        yield from page(context, question, control)

    return answering


PAGES: Mapping[type[Question], Page] = {
    Differentiate: _derivatives,
    Inspect: inspect.answers,
    ExpandAlong: _unresolved(taylor.answers, "Taylor models are"),
    VerifyGradient: _unresolved(verify.verify_gradient, "what is verified is"),
    VerifySymmetry: _unresolved(verify.verify_symmetry, "what is verified is"),
    Explain: explain.answers,
    **dict.fromkeys(ESTIMATES.values(), _unresolved(estimates.answers, "estimates are")),
}
"""What answers each kind of question."""


def ready_for(context: Context, question: Differentiate) -> Callable[[], Ready | None]:
    """Tells what is ready for questions like one that was answered, as long as the context remembers it."""
    if question.call.options.kinks is not AtKinks.CONVENTION or is_rounded(question):
        return lambda: None
    key = key_of(question)
    known: weakref.ref[Ready] | None = None

    def tell() -> Ready | None:
        nonlocal known
        found = None if known is None else known()
        if found is None or not found.is_current:
            found = context.ready.get(key)
            known = None if found is None else weakref.ref(found)
        return found

    return tell


def answers(context: Context, question: Question, control: Control) -> Iterator[Answer]:
    """The answers to a question: one, or of a stream several, each a full current one.

    Raises:
        GradserveError: of the kind that says why there is no answer; see the pages.
    """
    question = rounded(question)
    found = PAGES[type(question)](context, question, control)
    while True:
        with np.errstate(all="ignore"):  # NaN is data, counted and reported; between answers the caller's state holds
            answer = next(found, None)
        if answer is None:
            return
        yield rounded_answer(question, answer)
