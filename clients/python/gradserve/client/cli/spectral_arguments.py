"""What the commands on matrices of second derivatives take."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from gradserve.client.cli.options import add_batch, add_drawing, add_groups, add_resume
from gradserve.ir.records import dataclass
from gradserve.questions.eigenpairs import TopEigenpairs
from gradserve.questions.matrices import OfMatrices, OfMatrix
from gradserve.questions.solve import SolveHessian
from gradserve.questions.spectrum import EstimateSpectrum


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its question, and what its help says."""

    question: type[OfMatrix]
    text: str
    epilog: str
    files: Mapping[str, str]
    """Options that name files of arrays, and what the help says of each."""


_SPECTRUM = """\
The Hessian is never made. From each of --probes random vectors --steps Hessian-vector products lead to a quadrature of
its spectrum: density, share of eigenvalues up to each point, ends, moments, log det, trace of the inverse and of exp,
Frobenius norm. Each comes with an interval that covers it with probability --confidence, for too few steps widened.
Negative eigenvalues leave log det and the inverse without a value: --damping adds a multiple of the identity.

examples:

  gradserve spectrum loss.pb point.npz
  gradserve spectrum loss.pb point.npz --probes 32 --steps 100 --plot density.png --out spectrum.npz
  gradserve spectrum net.pb point.npz --matrix gauss-newton --damping 1e-3
  gradserve spectrum net.pb point.npz --wrt w --batched x --batched y --reduction mean    # of all examples
  gradserve spectrum net.pb training.npz --batch --group first=w1,b1 --group last=w2,b2   # at each point, by group

--out writes points, density, cumulative and half their intervals; nodes and weights, with which n sum(weights f(nodes))
estimates tr f(A) for any f. Of several points and groups the names begin with each one's, such as point0-first/density.
"""
_EIGENPAIRS = """\
Each pair has a certificate: an eigenvalue lies within |A v - lambda v| of lambda. Repeated eigenvalues are found too:
when all have converged, a search begins from a new random vector, until one finds no other.

examples:

  gradserve eigenpairs loss.pb point.npz --count 10
  gradserve eigenpairs loss.pb point.npz --end smallest --out bottom.npz        # values, residuals, vectors:NAME
  gradserve eigenpairs loss.pb next.npz --end smallest --start bottom.npz       # begin with those

The exit status is 0 if all have converged and no other was found, and 1 if products were spent before.
"""
_SOLVE = """\
Solves (H + damping I) x = b by conjugate gradients, with |b - (H + damping I) x| / |b| as certificate. Without --right
b is the gradient, and -x the step of Newton's method. Where a direction of negative curvature is met H + damping I is
not positive: the answer names it, --out writes it, and more --damping avoids it.

examples:

  gradserve solve loss.pb point.npz --out step.npz                              # solution:NAME
  gradserve solve loss.pb point.npz --right b.npz --damping 0.1 --preconditioner diagonal

The exit status is 0 if the residual is within --tol, and 1 if not.
"""
COMMANDS: Mapping[str, Command] = {
    EstimateSpectrum.command: Command(
        EstimateSpectrum, "the spectrum of the Hessian: density, moments, log det, with intervals", _SPECTRUM, {}
    ),
    TopEigenpairs.command: Command(
        TopEigenpairs,
        "eigenvalues and eigenvectors at an end of its spectrum, with residuals",
        _EIGENPAIRS,
        {"start": "vectors to begin with, NAME or vectors:NAME as --out writes them"},
    ),
    SolveHessian.command: Command(
        SolveHessian,
        "solve a system with the Hessian, as Newton's method does",
        _SOLVE,
        {
            "right": "the right-hand side, NAME or gradient:NAME (default: the gradient)",
            "diagonal": "the diagonal of the preconditioner, NAME or values:NAME as hessian-diagonal --out writes it",
        },
    ),
}
"""The commands by name."""


def add(command: argparse.ArgumentParser, name: str) -> None:
    """Adds the files that a command reads and writes."""
    for option, text in COMMANDS[name].files.items():
        command.add_argument(f"--{option}", type=Path, metavar="FILE.npz", help=text)
    add_batch(command)
    if issubclass(COMMANDS[name].question, OfMatrices):
        add_groups(command, "whose own rows and columns are wanted")
    add_resume(command)
    command.add_argument("--out", type=Path, metavar="FILE.npz", help="write the arrays of the answer there")
    add_drawing(command)
