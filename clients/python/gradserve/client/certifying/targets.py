"""What may be claimed of a function, and which numbers certify it: derivatives linear in the vectors that probe them.

Each target pairs a claim with values along vectors of the claim's own space: their derivative in the step, or their
second one, is the claim times the vector. Everything else (directions, noise, bounds, the search for entries) is the
same for all of them.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from gradserve.ir.types import Array
from gradserve.verification.directions import Layout, scales

Value: TypeAlias = Callable[[Array], Array]
"""A function's value near the point, from what is added to the point; NaN where it has none."""


class Target(abc.ABC):
    """A claim, and the values along vectors that certify it."""

    second = False
    """Whether the claim is what second derivatives of the values are."""

    def __init__(self, value: Value, layout: Layout, claimed: Mapping[str, Array], point: Array) -> None:
        """Of a claim whose arrays, by name, have the layout's shapes, and a point in the same space."""
        self.value, self.layout, self.point = value, layout, point
        self.claimed = layout.pack(claimed)

    @abc.abstractmethod
    def along(self, vector: Array, step: float) -> float:
        """The value that belongs to a vector and a step."""


class Gradient(Target):
    """f(x + h d), whose derivative in h is <grad f, d>."""

    def along(self, vector: Array, step: float) -> float:
        """The function along the vector."""
        return float(self.value(step * vector))


class Product(Target):
    """<u, F(x + h v) - F(x)> for a fixed v, whose derivative in h is <u, J v>: J v is what is claimed.

    All vectors share the same evaluations, one for each step.
    """

    def __init__(self, value: Value, layout: Layout, claimed: Mapping[str, Array], tangent: Array, at: Array) -> None:
        """Of J v for the tangent v, laid out as the point is; `at` is the point."""
        super().__init__(value, layout, claimed, np.zeros(layout.size))
        self._unit = _unit(tangent, at)
        self._known = functools.cache(lambda step: np.ravel(value(step / self._unit * tangent)))
        self._offset = float(np.linalg.norm(self._known(0.0)))  # whose rounding that of the values is

    def along(self, vector: Array, step: float) -> float:
        """What the values at a step are more than those at the point, paired with the vector."""
        return self._unit * (self._offset + float(np.sum(vector * (self._known(float(step)) - self._known(0.0)))))


class HessianProduct(Target):
    """f + (f(x + h(w + v)) - f(x + h(w - v))) / 4 for a fixed v, whose second derivative in h is <w, H v>."""

    second = True

    def __init__(self, value: Value, layout: Layout, claimed: Mapping[str, Array], tangent: Array, at: Array) -> None:
        """Of H v for the tangent v, laid out as the point is; `at` is the point."""
        super().__init__(value, layout, claimed, at)
        self._unit = _unit(tangent, at)
        self._tangent, self._origin = tangent / self._unit, float(value(np.zeros_like(at)))

    def along(self, vector: Array, step: float) -> float:
        """The polarised function."""
        if step == 0:
            return self._unit * self._origin
        sum_, difference = (float(self.value(step * (vector + s * self._tangent))) for s in (1.0, -1.0))
        return self._unit * (self._origin + (sum_ - difference) / 4)


class Diagonal(Target):
    """f plus the sum over i of w_i (f(x + h e_i) - f(x)), whose second derivative in h is that of w_i H_ii.

    Every entry has to be moved alone, but all vectors share the evaluations.
    """

    second = True

    def __init__(self, value: Value, layout: Layout, claimed: Mapping[str, Array], at: Array) -> None:
        """Of the diagonal, laid out as the point `at` is."""
        super().__init__(value, layout, claimed, at)
        self._scales = scales(at)
        self._origin = float(value(np.zeros_like(at)))
        self._known = functools.cache(self._moved)

    def along(self, vector: Array, step: float) -> float:
        """The function with each entry moved alone, weighted."""
        weights = vector / self._scales**2
        if step == 0:
            return self._origin
        return self._origin + sum(float(weights[k]) * self._known(int(k), float(step)) for k in np.flatnonzero(weights))

    def _moved(self, position: int, step: float) -> float:
        displacement = np.zeros(self.layout.size)
        displacement[position] = step * self._scales[position]
        return float(self.value(displacement)) - self._origin


def _unit(tangent: Array, at: Array) -> float:
    """The power of two by which a tangent is to be divided for steps along it to move the point by its own size."""
    size = float(np.max(np.abs(tangent) / scales(at), initial=0.0))
    return float(2.0 ** np.floor(np.log2(size))) if 0 < size < np.inf else 1.0
