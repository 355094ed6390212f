"""From a question to its answers: the one way into the jobs, for the service and for in-process clients alike."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from gradserve.ir.account import Account, charging
from gradserve.jobs import explain
from gradserve.jobs.derivatives import inspect, kinks, taylor
from gradserve.jobs.estimates import eigenpairs, estimates, solve, spectrum, zero_order
from gradserve.jobs.estimates.probing import ESTIMATORS
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.ready import Ready, key_of
from gradserve.jobs.verifications import verify
from gradserve.questions.asked import Answer, Question
from gradserve.questions.call import AtKinks
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.eigenpairs import TopEigenpairs
from gradserve.questions.explanation import Explain
from gradserve.questions.inspection import Inspect
from gradserve.questions.solve import SolveHessian
from gradserve.questions.spectrum import EstimateSpectrum
from gradserve.questions.symmetry import VerifySymmetry
from gradserve.questions.taylor import ExpandAlong
from gradserve.questions.transport import is_rounded, rounded, rounded_answer
from gradserve.questions.verification import VerifyGradient
from gradserve.questions.zero_order import EstimateGradient
from gradserve.runtime.control import Control

Page: TypeAlias = Callable[[Context, Any, Control], Iterator[Answer]]


def _at_one_point(page: Page) -> Page:
    """A page on one point, where kinks are looked for first."""

    def answering(context: Context, question: Any, control: Control) -> Iterator[Answer]:
        call = kinks.looked_at(context, question.call, question.wrt, control)
        yield from page(context, replace(question, call=call), control)

    return answering


def _unresolved(page: Page) -> Page:
    """A page on one point of which the answer is no limit: kinks are refused where they are to be resolved."""

    def answering(context: Context, question: Any, control: Control) -> Iterator[Answer]:
        options = question.call.options
        if options.kinks is AtKinks.RESOLVE:
            call = replace(question.call, options=replace(options, kinks=AtKinks.REFUSE))
            question = replace(question, call=call)
        yield from _at_one_point(page)(context, question, control)

    return answering


PAGES: Mapping[type[Question], Page] = {
    Differentiate: kinks.answers,
    Inspect: inspect.answers,
    ExpandAlong: _at_one_point(taylor.answers),
    VerifyGradient: _at_one_point(verify.verify_gradient),
    VerifySymmetry: _at_one_point(verify.verify_symmetry),
    Explain: explain.answers,
    **dict.fromkeys(ESTIMATORS, _at_one_point(estimates.answers)),
    EstimateGradient: _unresolved(zero_order.answers),
    EstimateSpectrum: _unresolved(spectrum.answers),
    TopEigenpairs: _unresolved(eigenpairs.answers),
    SolveHessian: _unresolved(solve.answers),
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
    found, account = PAGES[type(question)](context, question, control), Account()
    while True:
        # NaN is data, counted and reported; between answers the caller's state holds.
        with np.errstate(all="ignore"), charging(account):
            answer = next(found, None)
        if answer is None:
            return
        yield rounded_answer(question, answer)
