"""The client of gradserve: plain NumPy losses in, derivatives, verification and estimates out."""

from gradserve.client.certifying import Certificate, certify, moved
from gradserve.client.client import Client
from gradserve.client.function import Function
from gradserve.client.live import Live
from gradserve.client.tracing.declared import array, dim
from gradserve.client.transport.hedge import Hedge
from gradserve.client.transport.identity import Tls
from gradserve.ir.errors import (
    DeadlineExceeded,
    GradserveError,
    InvalidGraph,
    InvalidReply,
    InvalidRequest,
    LimitExceeded,
    NotDifferentiable,
    NumericalFailure,
    Overloaded,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    Untraceable,
    Violation,
)
from gradserve.questions.eigenpairs import Eigenpairs
from gradserve.questions.estimates import DiagonalEstimate, TraceEstimate
from gradserve.questions.explanation import Explanation
from gradserve.questions.report import Report
from gradserve.questions.solve import Solution
from gradserve.questions.spectrum import SpectrumEstimate
from gradserve.questions.symmetry import SymmetryReport
from gradserve.questions.verification import VerificationReport
from gradserve.questions.zero_order import GradientEstimate

__all__ = [
    "Certificate",
    "Client",
    "DeadlineExceeded",
    "DiagonalEstimate",
    "Eigenpairs",
    "Explanation",
    "Function",
    "GradientEstimate",
    "GradserveError",
    "Hedge",
    "InvalidGraph",
    "InvalidReply",
    "InvalidRequest",
    "LimitExceeded",
    "Live",
    "NotDifferentiable",
    "NumericalFailure",
    "Overloaded",
    "PermissionDenied",
    "Report",
    "Solution",
    "SpectrumEstimate",
    "SymmetryReport",
    "Tls",
    "TraceEstimate",
    "Unauthenticated",
    "Unavailable",
    "Untraceable",
    "VerificationReport",
    "Violation",
    "array",
    "certify",
    "dim",
    "moved",
]
