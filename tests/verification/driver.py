"""Drives a verification over a Python function of one vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gradserve.questions.verification import DEFAULT_DIRECTIONS, VerificationReport
from gradserve.verification.directions import Layout
from gradserve.verification.gradient import verify
from gradserve.verification.measure import Problem

FINDING = ("noise", "noise, a larger spacing", "noise, larger spacings", "differences")
EPSILON = float(np.finfo(float).eps)


@dataclass
class Counted:
    """A report, and what it took."""

    report: VerificationReport
    evaluations: int
    stages: list[str]
    until_found: int
    """Evaluations of the stages that find a fault, before any that look for the entry."""


def verified(
    loss: Callable[[np.ndarray], float],
    point,
    gradient,
    shapes: dict[str, tuple[int, ...]] | None = None,
    directions: int = DEFAULT_DIRECTIONS,
    seed: int = 0,
    relative_tolerance: float = 1e-3,
) -> Counted:
    """The report on a gradient, every loss value computed here."""
    point, gradient = np.atleast_1d(np.asarray(point, float)), np.atleast_1d(np.asarray(gradient, float))
    layout = Layout(shapes or {"x": point.shape})
    problem = Problem(layout, point, gradient, np.zeros(layout.size), EPSILON, relative_tolerance)
    dialogue = verify(problem, directions, seed)
    evaluations, until_found, stages = 0, 0, []
    try:
        stage = next(dialogue)
        while True:
            stages.append(stage.name)
            evaluations += sum(len(steps) for steps in stage.steps)
            until_found = evaluations if stages[-1] in FINDING and len(set(stages)) == len(stages) else until_found
            with np.errstate(all="ignore"):
                values = [
                    np.array([loss(point + h * vector) for h in steps], float)
                    for vector, steps in zip(stage.vectors, stage.steps, strict=True)
                ]
            stage = dialogue.send(values)
    except StopIteration as ended:
        return Counted(ended.value, evaluations, stages, until_found)
