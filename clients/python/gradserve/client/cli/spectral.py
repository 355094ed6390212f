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
    _answers(function, options, {"groups": dict(options.group) or None})
    return 0


def eigenpairs(function: Function, options: argparse.Namespace) -> int:
    """Eigenpairs; exit status 0 if all have converged and no other was found."""
    start = given.named(function, options, options.start, "vectors:") if options.start else None
    found = _answers(function, options, {"start": start, "groups": dict(options.group) or None})
    return 0 if all(answer.complete for answer in found) else 1


def solve(function: Function, options: argparse.Namespace) -> int:
    """The solution of a system; exit status 0 if the residual is within the tolerance."""
    if options.right:
        right = given.named(function, options, options.right, given.GRADIENT)
    else:
        right = function.grad(*given.point(function, options.point), wrt=options.wrt, **given.batch(options))
    diagonal = given.named(function, options, options.diagonal, "values:") if options.diagonal else None
    (found,) = _answers(function, options, {"right": right, "diagonal": diagonal})
    return 0 if found.converged else 1


COMMANDS: Mapping[str, Callable[[Function, argparse.Namespace], int]] = {
    EstimateSpectrum.command: spectrum,
    TopEigenpairs.command: eigenpairs,
    SolveHessian.command: solve,
}
"""What runs each command."""


def _answers(function: Function, options: argparse.Namespace, more: Mapping[str, Any]) -> list[Any]:
    """The last answers, about one matrix or several, shown and written; meanwhile the current one is told."""
    given.require_folder(options.out)
    drawing.require(options)
    kind = spectral_arguments.COMMANDS[options.command].question
    method, point = getattr(function, kind.method), given.point(function, options.point)
    with show.following("products", lambda answer: answer.report.batch_size) as update:
        told = {**more, **given.batch(options), **given.resumable(options, update)}
        found = method(*point, wrt=options.wrt, **told, **given.chosen(kind, options))
    written: dict[str, Array] = {}
    for about, answer in given.about(found):
        if about:
            show.heading(about)
        show.line(str(answer))
        drawing.draw(answer, options, about)
        arrays = _arrays(function, options, answer)
        written |= {f"{about}/{name}" if about else name: array for name, array in arrays.items()}
    given.write(options.out, written)
    return [answer for _, answer in given.about(found)]


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
