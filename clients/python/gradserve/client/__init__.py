"""The client of gradserve: plain NumPy losses in, derivatives, verification and estimates out."""

from gradserve.client.client import Client
from gradserve.client.function import Function
from gradserve.client.results import Explanation, Report, TraceEstimate, VerificationReport
from gradserve.client.symmetry import SymmetryReport
from gradserve.ir.errors import (
    DeadlineExceeded,
    GradserveError,
    InvalidGraph,
    InvalidRequest,
    LimitExceeded,
    NotDifferentiable,
    NumericalFailure,
    Unavailable,
    Untraceable,
    Violation,
)

__all__ = [
    "Client",
    "DeadlineExceeded",
    "Explanation",
    "Function",
    "GradserveError",
    "InvalidGraph",
    "InvalidRequest",
    "LimitExceeded",
    "NotDifferentiable",
    "NumericalFailure",
    "Report",
    "SymmetryReport",
    "TraceEstimate",
    "Unavailable",
    "Untraceable",
    "VerificationReport",
    "Violation",
]
