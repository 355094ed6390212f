"""All questions, by the RPC that answers each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from gradserve.ir.graph import Graph
from gradserve.questions.call import Argument
from gradserve.questions.derivations import DERIVATIONS
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.estimated import ESTIMATES
from gradserve.questions.estimates import Estimate
from gradserve.questions.explanation import Explain
from gradserve.questions.inspection import Inspect
from gradserve.questions.matrices import OfMatrix
from gradserve.questions.spectra import SPECTRA
from gradserve.questions.symmetry import VerifySymmetry
from gradserve.questions.taylor import ExpandAlong
from gradserve.questions.verification import VerifyGradient

Question: TypeAlias = (
    Differentiate | Inspect | ExpandAlong | Estimate | OfMatrix | VerifyGradient | VerifySymmetry | Explain
)
Answer: TypeAlias = Any
"""An instance of the question's `answer`."""

QUESTIONS: Mapping[str, type[Question]] = {
    **{derivation.__name__: Differentiate for derivation in DERIVATIONS.values()},
    **{question.rpc: question for question in ESTIMATES.values()},
    **{question.rpc: question for question in SPECTRA.values()},
    **{question.rpc: question for question in (Inspect, ExpandAlong, VerifyGradient, VerifySymmetry, Explain)},
}
"""The question of every RPC that asks one. `Differentiate` answers by the derivation of the RPC's own name."""


def graph_of(question: Question) -> Graph:
    """The graph that a question is about."""
    return graph_of(question.question) if isinstance(question, Explain) else question.call.graph


def arrays_of(question: Question) -> list[Argument]:
    """The arrays that a question holds."""
    if isinstance(question, Explain):
        return arrays_of(question.question)
    named = [question.call.arguments, *(each for each in vars(question).values() if isinstance(each, Mapping))]
    return [array for arrays in named for array in arrays.values()]
