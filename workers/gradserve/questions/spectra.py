"""The questions about matrices that are never made, by the names of their methods."""

from __future__ import annotations

from collections.abc import Mapping

from gradserve.questions.eigenpairs import TopEigenpairs
from gradserve.questions.matrices import OfMatrix
from gradserve.questions.solve import SolveHessian
from gradserve.questions.spectrum import EstimateSpectrum

SPECTRA: Mapping[str, type[OfMatrix]] = {
    question.method: question for question in (EstimateSpectrum, TopEigenpairs, SolveHessian)
}
"""Those that clients may ask."""
