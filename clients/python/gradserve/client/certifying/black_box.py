"""A function that nobody can look into, with the values that verifications want of it; it runs in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client.certifying.arguments import Arguments, as_numpy
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.types import Array
from gradserve.questions.report import Report
from gradserve.questions.verification import VerificationProgress, VerificationReport
from gradserve.verification.directions import Layout
from gradserve.verification.gradient import verify
from gradserve.verification.measure import ALL, Problem, Stage

_SINGLE = float(np.finfo(np.float32).eps)
_FINEST_OF_SINGLE = 10
"""Steps 4**-k from this k on move numbers of single precision by less than they can tell."""


class BlackBox:
    """A loss, evaluated along directions in those of its arguments for which a gradient is claimed."""

    def __init__(self, function: Callable[..., Any], arguments: Arguments, claimed: dict[str, Array]) -> None:
        self._function, self._arguments = function, arguments
        self._point = {path: array for path, array in arguments.real.items() if path in claimed}
        self._claimed = {path: claimed[path] for path in self._point}
        self._layout = Layout({path: array.shape for path, array in self._point.items()})
        self.evaluations = 0
        self.single = any(a.dtype == np.float32 for a in (*self._point.values(), *self._claimed.values()))
        """Whether the point, the claim or the loss is in single precision."""

    def value(self) -> float:
        """The loss at the point itself."""
        return self._evaluated(self._point)

    def report(
        self, directions: int, seed: int, tolerance: float, progress: Callable[[VerificationProgress], object] | None
    ) -> VerificationReport:
        """The verification of what is claimed."""
        pack = self._layout.pack
        gradient, point = pack(self._claimed), pack(self._point)
        epsilon = _SINGLE if self.single else float(np.finfo(np.float64).eps)
        finest = _FINEST_OF_SINGLE if self.single else ALL.stop
        residue = np.zeros(self._layout.size)
        problem = Problem(self._layout, point, gradient, residue, epsilon, tolerance, finest=finest)
        dialogue = verify(problem, directions, seed)
        try:
            stage = next(dialogue)
            while True:
                values = self._at(stage, point)
                if progress is not None:
                    progress(VerificationProgress(stage.name, self.evaluations, Report()))
                stage = dialogue.send(values)
        except StopIteration as ended:
            found: VerificationReport = ended.value
            return found

    def _at(self, stage: Stage, point: Array) -> list[Array]:
        with np.errstate(all="ignore"):
            return [
                np.array([self._near(point + step * vector) for step in steps])
                for vector, steps in zip(stage.vectors, stage.steps, strict=True)
            ]

    def _near(self, point: Array) -> float:
        """The loss near the point; NaN where it cannot be computed, as a logarithm out of its domain."""
        try:
            return self._evaluated(self._layout.unpack(point))
        except (ArithmeticError, ValueError, np.linalg.LinAlgError):
            return float("nan")

    def _evaluated(self, arrays: dict[str, Array]) -> float:
        self.evaluations += 1
        positional, named = self._arguments.with_arrays(arrays)
        found = as_numpy("the function's value", self._function(*positional, **named))
        if found.size != 1 or found.dtype.kind == "c":
            text = f"the function's value is {found.dtype} of shape {found.shape}"
            raise InvalidRequest(f"{text}; a gradient belongs to one real number. Sum it, or take one element")
        self.single = self.single or found.dtype in (np.float32, np.float16)
        return float(found.reshape(()))
