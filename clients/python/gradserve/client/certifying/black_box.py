"""A function that nobody can look into, with the values that verifications want of it; it runs in this process."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradserve.client.certifying.arguments import Arguments, as_numpy
from gradserve.client.claims import OUTPUT
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.claimed import Claimed
from gradserve.questions.report import Report
from gradserve.questions.verification import VerificationProgress, VerificationReport
from gradserve.verification.claims import Claim, verified
from gradserve.verification.directions import Layout
from gradserve.verification.measure import ALL, Dialogue

_SINGLE = float(np.finfo(np.float32).eps)
_FINEST_OF_SINGLE = 10
"""Steps 4**-k from this k on move numbers of single precision by less than they can tell."""


@dataclass(frozen=True)
class Wishes:
    """How a claim is to be verified."""

    directions: int
    seed: int
    tolerance: float
    progress: Callable[[VerificationProgress], object] | None = None


class BlackBox:
    """A function of the arrays of a point that are in question, evaluated around it and counted."""

    def __init__(self, function: Callable[..., Any], arguments: Arguments, moved: Mapping[str, Array]) -> None:
        """`moved` names the arrays in question."""
        self._function, self._arguments = function, arguments
        self._moved = {path: array for path, array in arguments.real.items() if path in moved}
        self.layout = Layout({path: array.shape for path, array in self._moved.items()})
        self.point = self.layout.pack(self._moved)
        self.evaluations = 0
        self._single = any(array.dtype == np.float32 for array in self._moved.values())

    def value(self) -> Array:
        """The function at the point itself.

        Raises:
            InvalidRequest: it is no array of real numbers.
        """
        return self._evaluated(self._moved)

    def report(
        self,
        of: Claimed,
        claimed: Mapping[str, Array],
        tangent: Mapping[str, Array],
        shape: tuple[int, ...],
        wishes: Wishes,
    ) -> VerificationReport:
        """The verification of a claim of a function whose value has a shape.

        Raises:
            InvalidRequest: the claim is of a loss, and the function's value is no single number.
        """
        if not of.of_arrays and math.prod(shape) != 1:
            text = f"the function's value is of shape {shape}"
            raise InvalidRequest(f"{text}; such a derivative belongs to one real number. Sum it, or take one element")
        if of is Claimed.JVP:
            values = np.ravel(self._noted(claimed)[OUTPUT])
        elif of is Claimed.JACOBIAN:
            blocks = [block.reshape(math.prod(shape), -1) for block in self._in_order(claimed).values()]
            values = np.concatenate(blocks, axis=1)
        else:
            values = self.layout.pack(self._in_order(claimed))
        claim = Claim(
            of,
            values.astype(np.float64),
            self.layout,
            self.point,
            _SINGLE if self._single else float(np.finfo(np.float64).eps),
            wishes.tolerance,
            self.layout.pack(self._in_order(tangent)) if tangent else np.empty(0),
            OUTPUT,
            shape,
            _FINEST_OF_SINGLE if self._single else ALL.stop,
        )
        return self._told(verified(claim, wishes.directions, wishes.seed), math.prod(shape), wishes)

    def _told(self, dialogue: Dialogue[VerificationReport], size: int, wishes: Wishes) -> VerificationReport:
        """What a dialogue comes to that is told values of the function, of so many numbers each."""
        try:
            stage = next(dialogue)
            while True:
                values = [
                    np.array([np.broadcast_to(self._near(step * vector).ravel(), size) for step in steps])
                    for vector, steps in zip(stage.vectors, stage.steps, strict=True)
                ]
                if wishes.progress is not None:
                    wishes.progress(VerificationProgress(stage.name, self.evaluations, Report()))
                stage = dialogue.send(values)
        except StopIteration as ended:
            found: VerificationReport = ended.value
            return found

    def _noted(self, claimed: Mapping[str, Array]) -> Mapping[str, Array]:
        """The arrays, with a note of whether any is of single precision."""
        self._single = self._single or any(array.dtype == np.float32 for array in claimed.values())
        return claimed

    def _in_order(self, claimed: Mapping[str, Array]) -> dict[str, Array]:
        noted = self._noted(claimed)
        return {path: noted[path] for path in self._moved if path in noted}

    def _near(self, displacement: Array) -> Array:
        """The function near the point; NaN where it cannot be computed, as a logarithm out of its domain."""
        try:
            return self._evaluated(self.layout.unpack(self.point + displacement))
        except (ArithmeticError, ValueError, np.linalg.LinAlgError):
            return np.asarray(np.nan)

    def _evaluated(self, arrays: Mapping[str, Array]) -> Array:
        self.evaluations += 1
        positional, named = self._arguments.with_arrays(arrays)
        with np.errstate(all="ignore"):
            found = as_numpy("the function's value", self._function(*positional, **named))
        if found.dtype.kind == "c":
            raise InvalidRequest(f"the function's value is {found.dtype}; derivatives of real numbers are certified")
        self._single = self._single or found.dtype in (np.float32, np.float16)
        return found.astype(np.float64)
