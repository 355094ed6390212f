"""Folds: how the results of chunks are put together, in chunk order and as they come."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.derivation import WithKinks
from gradserve.ir.types import Array
from gradserve.questions.call import Reduction
from gradserve.questions.derivations import Derivation
from gradserve.questions.report import Kinks


class Gathered:
    """The outputs of chunks side by side along the axis, or their sum, of which there is never more than one."""

    def __init__(self, reduction: Reduction, size: int) -> None:
        """`size` is the number of points that a mean is taken over."""
        self._reduction, self._size = reduction, size
        self._parts: dict[str, list[Array]] = {}

    def add(self, outputs: Mapping[str, Array]) -> None:
        """Takes the outputs of the next chunk."""
        for key, array in outputs.items():
            if names.tells_of_kinks(key):
                continue
            seen = self._parts.setdefault(key, [])
            if seen and self._reduction is not Reduction.NONE:
                seen[0] = np.asarray(seen[0] + array)
            else:
                seen.append(array)

    def done(self) -> dict[str, Array]:
        """The outputs of all chunks; parts are given up one by one, so that one output at most is held twice."""
        return {key: self._together(self._parts.pop(key)) for key in list(self._parts)}

    def _together(self, seen: list[Array]) -> Array:
        if self._reduction is Reduction.MEAN:
            return mean(seen[0], self._size)
        return seen[0] if len(seen) == 1 else np.concatenate(seen)


@np.errstate(all="ignore")
def mean(total: Array, size: int) -> Array:
    """The mean of so many numbers whose sum is known: of integers and truths a real."""
    return np.asarray(total / size)


class KinkCount:
    """How many nodes sit on a kink at one point or more, and at how many points."""

    def __init__(self, derivation: Derivation) -> None:
        """Counts if the derivation does."""
        self._counts = isinstance(derivation, WithKinks)
        self._nodes: set[str] = set()
        self._examples = 0

    def add(self, outputs: Mapping[str, Array], one_point: bool = False) -> None:
        """Takes what the next chunk tells; `one_point` says that all of a job is at one point."""
        if not self._counts:
            return
        found = {name for name, told in outputs.items() if names.tells_of_kinks(name) and told}
        examples = int(outputs.get(names.KINKED_EXAMPLES, bool(found)))
        self._nodes |= found - {names.KINKED_EXAMPLES}
        self._examples = max(self._examples, min(examples, 1)) if one_point else self._examples + examples

    def done(self) -> Kinks | None:
        """The counts; None if the derivation does not count."""
        if not self._counts:
            return None
        return Kinks(len(self._nodes), self._examples)


_IS_FINITE: Mapping[str, Callable[[Any], bool]] = {"f": math.isfinite, "c": cmath.isfinite}
"""By kind of elements: to see reals as complex numbers takes longer than all else here."""


def count_nonfinite(arrays: Iterable[Array]) -> int:
    """The number of elements that are infinite or not a number."""
    count = 0
    for array in arrays:
        is_finite = _IS_FINITE.get(array.dtype.kind)
        if is_finite is None:
            continue
        # A sum is finite only if all elements are, and reads them once; it may overflow where they are.
        axes = array.ndim
        if not is_finite(array.dot(array) if axes == 1 else _at_once(array) if axes else array):
            count += array.size - int(np.count_nonzero(np.isfinite(array)))
    return count


def _at_once(array: Array) -> Any:
    """The sum of the squares of all elements; where that would take a copy, the sum."""
    return np.vdot(array, array) if array.flags.c_contiguous else _sum(array)


@np.errstate(all="ignore")
def _sum(array: Array) -> Any:
    return np.add.reduce(array, axis=None)


def has_nan(arrays: Mapping[str, Array], among: Iterable[str]) -> bool:
    """Whether an element of one of these arrays is not a number."""
    return any(np.any(np.isnan(arrays[name])) for name in among)


def by_role(outputs: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Outputs of a derived graph by role, then by name: `gradient:w` under `["gradient"]["w"]`."""
    split: dict[str, dict[str, Array]] = {}
    for key, array in outputs.items():
        role, name = names.split(key)
        split.setdefault(role, {})[name] = array
    return split
