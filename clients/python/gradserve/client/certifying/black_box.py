"""A function that nobody can look into, with the values that verifications want of it; it runs in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradserve.client.certifying.arguments import Arguments, as_numpy
from gradserve.client.certifying.targets import Diagonal, Gradient, HessianProduct, Product, Target
from gradserve.client.claims import OUTPUT
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.types import Array
from gradserve.questions.report import Report
from gradserve.questions.verdicts import Verdict
from gradserve.questions.verification import EntryReport, VerificationProgress, VerificationReport
from gradserve.verification.directions import Layout, sign_directions
from gradserve.verification.gradient import verify
from gradserve.verification.measure import ALL, Problem, Stage

_SINGLE = float(np.finfo(np.float32).eps)
_FINEST_OF_SINGLE = 10
"""Steps 4**-k from this k on move numbers of single precision by less than they can tell."""
_COLUMNS = 4
"""Wrong columns of a Jacobian of which the rows are told."""


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
        of: str,
        claimed: Mapping[str, Array],
        tangent: Mapping[str, Array],
        shape: tuple[int, ...],
        wishes: Wishes,
    ) -> VerificationReport:
        """The verification of a claim; `shape` is that of the function's value, of a Jacobian."""
        if of == "jacobian":
            return self._jacobian(claimed, shape, wishes)
        v = self.layout.pack(self._in_order(tangent)) if tangent else np.empty(0)
        if of == "jvp":
            return self._product(claimed[OUTPUT], v, wishes)
        parts = self._number, self.layout, self._in_order(claimed)
        targets: Mapping[str, Callable[[], Target]] = {
            "gradient": lambda: Gradient(*parts, self.point),
            "hvp": lambda: HessianProduct(*parts, v, self.point),
            "diagonal": lambda: Diagonal(*parts, self.point),
        }
        return self._report(targets[of](), wishes)

    def _jacobian(self, claimed: Mapping[str, Array], shape: tuple[int, ...], wishes: Wishes) -> VerificationReport:
        """The verification of a Jacobian's blocks, of the shapes of value and input: columns first, then their rows."""
        rows = int(np.prod(shape))
        blocks = [block.reshape(rows, -1) for block in self._in_order(claimed).values()]
        matrix = np.concatenate(blocks, axis=1).astype(np.float64)
        (u,) = sign_directions(np.zeros(rows), 1, wishes.seed) * (1 + np.arange(rows) / max(1, rows))

        def paired(displacement: Array) -> Array:
            return np.asarray(u @ np.ravel(self._near(displacement) + np.zeros(shape)))

        claim = self.layout.unpack(u @ matrix)
        found = self._report(Gradient(paired, self.layout, claim, self.point), wishes)
        told = [self._rows(entry, matrix, shape, wishes) for entry in found.entries[:_COLUMNS]]
        return replace(found, entries=(*(row for rows in told for row in rows), *found.entries[_COLUMNS:]))

    def _rows(self, column: EntryReport, matrix: Array, shape: tuple[int, ...], wishes: Wishes) -> list[EntryReport]:
        """What is wrong in a column of a Jacobian, row by row; the column itself if no row is."""
        position = self.layout.position(column.input, column.index)
        tangent = np.zeros(self.layout.size)
        tangent[position] = 1.0
        found = self._product(matrix[:, position].reshape(shape), tangent, wishes)
        wrong = [entry for entry in found.entries if entry.verdict is not Verdict.AGREES]
        return [replace(entry, input=column.input, index=column.index, output=entry.name) for entry in wrong] or [
            column
        ]

    def _product(self, claimed: Array, tangent: Array, wishes: Wishes) -> VerificationReport:
        layout = Layout({OUTPUT: claimed.shape})
        return self._report(Product(self._near, layout, {OUTPUT: claimed}, tangent, self.point), wishes)

    def _report(self, target: Target, wishes: Wishes) -> VerificationReport:
        epsilon = _SINGLE if self._single else float(np.finfo(np.float64).eps)
        problem = Problem(
            target.layout,
            target.point,
            target.claimed,
            np.zeros(target.layout.size),
            epsilon,
            wishes.tolerance,
            finest=_FINEST_OF_SINGLE if self._single else ALL.stop,
            second=target.second,
        )
        dialogue = verify(problem, wishes.directions, wishes.seed)
        try:
            stage = next(dialogue)
            while True:
                values = _values(target, stage)
                if wishes.progress is not None:
                    wishes.progress(VerificationProgress(stage.name, self.evaluations, Report()))
                stage = dialogue.send(values)
        except StopIteration as ended:
            found: VerificationReport = ended.value
            return found

    def _in_order(self, claimed: Mapping[str, Array]) -> dict[str, Array]:
        self._single = self._single or any(array.dtype == np.float32 for array in claimed.values())
        return {path: claimed[path] for path in self._moved if path in claimed}

    def _number(self, displacement: Array) -> Array:
        """The function near the point, of which there is a gradient.

        Raises:
            InvalidRequest: it is no single number.
        """
        found = self._near(displacement)
        if found.size != 1:
            text = f"the function's value is {found.dtype} of shape {found.shape}"
            raise InvalidRequest(f"{text}; a gradient belongs to one real number. Sum it, or take one element")
        return found.reshape(())

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


def _values(target: Target, stage: Stage) -> list[Array]:
    return [
        np.array([target.along(vector, step) for step in steps])
        for vector, steps in zip(stage.vectors, stage.steps, strict=True)
    ]
