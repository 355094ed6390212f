"""The client of gradserve: plain NumPy losses in, derivatives, verification and estimates out."""

from gradserve.client.client import Client
from gradserve.client.function import Function
from gradserve.client.results import Explanation, Report, TraceEstimate, VerificationReport
from gradserve.ir.errors import GradserveError

__all__ = ["Client", "Explanation", "Function", "GradserveError", "Report", "TraceEstimate", "VerificationReport"]
