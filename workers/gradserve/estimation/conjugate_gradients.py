"""Preconditioned conjugate gradients for (A + damping I) x = b, that look at curvature and certify their residual."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from gradserve.estimation.recurrence import Product, Space
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.solve import SolveStop

_FALLS = 0.5
"""The share to which a residual has to fall between two times that it is taken anew."""

CODES = tuple(SolveStop)
"""Reasons to stop by the numbers that stand for them."""


@dataclass(frozen=True)
class ConjugateGradients:
    """Some iterations: those of one visit to a worker."""

    space: Space
    iterations: int
    tolerance: float
    damping: float
    epsilon: float
    """The spacing at 1 of the numbers that products are made of."""

    gives: ClassVar[tuple[str, ...]] = ("x", "r", "p", "scalars", "residuals")

    @property
    def products(self) -> int:
        """One for each iteration, and one for each residual that is taken anew: not every iteration meets the goal."""
        return 2 * self.iterations + 1

    @property
    def nbytes(self) -> int:
        """The vectors of the state, and six at work."""
        return 8 * 10 * self.space.size

    def __call__(self, product: Product, state: Mapping[str, Array]) -> dict[str, Array]:
        """The state after these iterations: solution, residual, direction, and what `Scalars` holds."""
        found, most = _Iteration(self, product, state), min(self.iterations, int(state["left"]))
        while found.done < most and found.stop is SolveStop.NONE:
            found.step()
        return found.state()


@dataclass
class Scalars:
    """The numbers of a state."""

    rho: float
    """<r, r> relative to the preconditioner."""
    scale: float
    """|b|."""
    certified: float
    """The residual that a product with x itself has, as a share of |b|."""
    renewed: float
    """That of the time before, when the residual was taken anew."""
    curvature: float
    stop: float
    products: float

    @staticmethod
    def of(array: Array) -> Scalars:
        """From an array of them."""
        return Scalars(*array.tolist())

    def array(self) -> Array:
        """All of them in order."""
        return np.array([*vars(self).values()], np.float64)


class _Iteration:
    """Conjugate gradients under way."""

    def __init__(self, method: ConjugateGradients, product: Product, state: Mapping[str, Array]) -> None:
        self._method, self._product = method, product
        self._b, self._m = state["b"], state["m"]
        self._x, self._r, self._p = (state[name].copy() for name in ("x", "r", "p"))
        self._numbers = Scalars.of(state["scalars"])
        self._residuals: list[float] = []
        self.done = 0
        self.stop = CODES[int(self._numbers.stop)]

    def step(self) -> None:
        """One iteration; the residual is taken anew where the recurrence says that the goal is met."""
        numbers, method = self._numbers, self._method
        unit = _unit(self._p)
        if not unit or not numbers.rho:  # too short for numbers to say
            self._certify(self._b - self._apply(self._x))
            self.stop = SolveStop.ROUNDING
            return
        direction = self._p / unit  # a preconditioner may make it so short or long that no number says its square
        image = self._apply(direction)
        length, bend = float(direction @ direction), float(direction @ image)
        numbers.curvature = min(numbers.curvature, bend / length)
        if bend <= method.epsilon * math.sqrt(length) * _norm(image):
            self.stop = SolveStop.NEGATIVE_CURVATURE
            return
        alpha = numbers.rho / unit / bend
        self._x += alpha * direction
        self._r -= alpha * image
        self.done += 1
        self._residuals.append(_norm(self._r) / numbers.scale)
        if self._residuals[-1] <= method.tolerance:
            self._renew()
            return
        z = self._r / self._m
        rho = float(self._r @ z)
        self._p = z + (rho / numbers.rho) * self._p
        numbers.rho = rho

    def state(self) -> dict[str, Array]:
        """Where it stands, with a residual of x itself."""
        numbers = self._numbers
        if self.stop in (SolveStop.NONE, SolveStop.NEGATIVE_CURVATURE):
            self._certify(self._b - self._apply(self._x))
        numbers.stop = float(CODES.index(self.stop))
        arrays = {"x": self._x, "r": self._r, "p": self._p, "scalars": numbers.array()}
        return {**arrays, "residuals": np.array(self._residuals)}

    def _renew(self) -> None:
        """Begins again from the residual that x has; stops if that is small enough, or falls no further."""
        numbers = self._numbers
        self._r = self._b - self._apply(self._x)
        self._certify(self._r)
        if numbers.certified <= self._method.tolerance:
            self.stop = SolveStop.TOLERANCE
        elif numbers.certified > _FALLS * numbers.renewed:
            self.stop = SolveStop.ROUNDING
        numbers.renewed = numbers.certified
        self._p = self._r / self._m
        numbers.rho = float(self._r @ self._p)

    def _certify(self, residual: Array) -> None:
        """Takes down the residual of x."""
        self._numbers.certified = _norm(residual) / self._numbers.scale

    def _apply(self, vector: Array) -> Array:
        self._numbers.products += 1
        return np.asarray(self._product(vector[None])[0] + self._method.damping * vector)


def beginning(b: Array, m: Array) -> dict[str, Array]:
    """The state before the first iteration; `m` is the preconditioner's diagonal."""
    p, scale = b / m, _norm(b)
    stop = SolveStop.NONE if scale else SolveStop.TOLERANCE
    numbers = Scalars(float(b @ p), scale, 1.0 if scale else 0.0, math.inf, math.inf, CODES.index(stop), 0.0)
    return {"x": np.zeros_like(b), "r": b.copy(), "p": p, "scalars": numbers.array()}


def _unit(vector: Array) -> float:
    """The power of two up to the largest element; 0 of nothing but zeros, 1 where an element is no finite number."""
    largest = float(np.max(np.abs(vector), initial=0.0))
    return math.ldexp(1.0, math.frexp(largest)[1] - 1) if 0.0 < largest < math.inf else float(largest != 0.0)


def _norm(vector: Array) -> float:
    """The length, of vectors whose squares no number says as well; to the bit that of others."""
    unit = _unit(vector)
    return unit * float(np.linalg.norm(vector / unit)) if unit else 0.0
