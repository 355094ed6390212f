"""The commands on matrices of second derivatives."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from gradserve.client.cli import drawing, given, show, spectral_arguments
from gradserve.client.function import Function
from gradserve.ir.types import Array
from gradserve.questions.eigenpairs import TopEigenpairs
from gradserve.questions.solve import SolveHessian
from gradserve.questions.spectrum import EstimateSpectrum


def spectrum(function: Function, options: argparse.Namespace) -> int:
    """The spectrum of the Hessian."""
    _answer(function, options, {})
    return 0


def eigenpairs(function: Function, options: argparse.Namespace) -> int:
    """Eigenpairs; exit status 0 if all have converged and no other was found."""
    start = given.named(function, options, options.start, "vectors:") if options.start else None
    found = _answer(function, options, {"start": start})
    return 0 if found.complete else 1


def solve(function: Function, options: argparse.Namespace) -> int:
    """The solution of a system; exit status 0 if the residual is within the tolerance."""
    if options.right:
        right = given.named(function, options, options.right, given.GRADIENT)
    else:
        right = function.grad(*given.point(function, options.point), wrt=options.wrt)
    diagonal = given.named(function, options, options.diagonal, "values:") if options.diagonal else None
    found = _answer(function, options, {"right": right, "diagonal": diagonal})
    return 0 if found.converged else 1


COMMANDS: Mapping[str, Callable[[Function, argparse.Namespace], int]] = {
    EstimateSpectrum.command: spectrum,
    TopEigenpairs.command: eigenpairs,
    SolveHessian.command: solve,
}
"""What runs each command."""


def _answer(function: Function, options: argparse.Namespace, vectors: Mapping[str, Any]) -> Any:
    """The last answer, shown and written; meanwhile the current one is told."""
    given.require_folder(options.out)
    drawing.require(options)
    kind = spectral_arguments.COMMANDS[options.command].question
    method, point = getattr(function, kind.method), given.point(function, options.point)
    with show.following("products", lambda answer: answer.report.batch_size) as update:
        told = {**vectors, **given.resumable(options, update)}
        found = method(*point, wrt=options.wrt, **told, **given.chosen(kind, options))
    show.line(str(found))
    drawing.draw(found, options)
    given.write(options.out, _arrays(function, options, found))
    return found


_BY_INPUT = frozenset({"vectors", "solution", "direction", "gradient", "gradient_half_widths"})


def _arrays(function: Function, options: argparse.Namespace, found: Any) -> dict[str, Array]:
    """The arrays of an answer: by the field, and where it has one for each input by that as well."""
    arrays: dict[str, Array] = {}
    for field in fields(found):
        value = getattr(found, field.name)
        if field.name in _BY_INPUT:
            named = value if isinstance(value, Mapping) else {given.differentiated(function, options)[0]: value}
            arrays |= {f"{field.name}:{name}": array for name, array in named.items() if array is not None}
        elif isinstance(value, np.ndarray):
            arrays[field.name] = value
    return arrays
