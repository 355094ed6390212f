"""Drives a verification of symmetry over a Python function of one vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.questions.symmetry import SymmetryReport
from gradserve.verification.directions import Layout
from gradserve.verification.pairs import DEFAULT_PAIRS, choose_pairs, entry_pair
from gradserve.verification.symmetry import Plane, Product, Products, verify

EPSILON = float(np.finfo(float).eps)


def verified(
    loss: Callable[[np.ndarray], float],
    point,
    gradient,
    hessian,
    pairs=(),
    count: int = DEFAULT_PAIRS,
    seed: int = 0,
    tolerance: float = 1e-3,
) -> SymmetryReport:
    """The report on a loss whose derived gradient and Hessian are given, every loss value computed here."""
    point, gradient, hessian = (np.asarray(array, float) for array in (point, gradient, hessian))
    problem = Plane(Layout({"x": point.shape}), point, gradient, EPSILON, tolerance)
    chosen = [entry_pair(point, *pair) for pair in pairs] or choose_pairs(point, count, seed)
    dialogue = verify(problem, chosen, seed)
    try:
        wanted = next(dialogue)
        answer: list[Any]
        while True:
            if isinstance(wanted, Products):
                answer = [Product(hessian @ vector, 0.0) for vector in wanted.vectors]
            else:
                with np.errstate(all="ignore"):
                    answer = [
                        np.array([loss(point + h * vector) for h in steps], float)
                        for vector, steps in zip(wanted.vectors, wanted.steps, strict=True)
                    ]
            wanted = dialogue.send(answer)
    except StopIteration as ended:
        report: SymmetryReport = ended.value
        return report
