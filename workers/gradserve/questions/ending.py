"""Where answers end that come one by one, each better than the one before."""

from __future__ import annotations

from gradserve.questions.asked import Answer
from gradserve.questions.estimates import Estimate
from gradserve.questions.matrices import OfMatrices, OfMatrix
from gradserve.questions.symmetry import VerifySymmetry
from gradserve.questions.verification import VerifyGradient


def is_last(question: Estimate | OfMatrix | VerifyGradient | VerifySymmetry, answer: Answer) -> bool:
    """Whether no answer follows this one: it is about the last matrix in question, and the last about that.

    A service tells of each point, and there of each group, one after the other.
    """
    groups = question.groups if isinstance(question, OfMatrices) else ()
    point, group = question.call.points - 1, groups[-1].name if groups else ""
    about = getattr(answer, "point", point), getattr(answer, "group", group)
    return bool(answer.ended) and about == (point, group)
