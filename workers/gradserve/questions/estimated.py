"""The estimates, by the names of their methods."""

from __future__ import annotations

from collections.abc import Mapping

from gradserve.questions.estimates import Estimate, EstimateDiagonal, EstimateTrace
from gradserve.questions.zero_order import EstimateGradient

ESTIMATES: Mapping[str, type[Estimate]] = {
    question.method: question for question in (EstimateTrace, EstimateDiagonal, EstimateGradient)
}
"""Those that clients may ask for."""
