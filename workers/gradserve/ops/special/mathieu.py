"""Modified functions of Mathieu, of a fixed order and parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import TRANSCENDENTAL, require
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.equations import Solution
from gradserve.ops.special.erf import Special

MOST = 500.0
_FUNCTIONS = ("modcem1", "modcem2", "modsem1", "modsem2")
_FLOPS = 800.0
"""As measured: some 10 us for each element, of all orders and parameters within the bounds."""


def known(order: int, q: float) -> bool:
    """Whether SciPy's sums have ten digits: at high orders and small parameters all of them cancel."""
    return order >= 0 and 0.01 <= q <= MOST and (order <= 3 or order**3 <= 40.0 * q)


@register
@dataclass(frozen=True)
class ModifiedMathieu(Solution):
    """Mathieu's even modified functions of the first and second kinds, then the odd ones: the kinds 0, 2, 4, 6.

    Their derivatives are the kinds after them.
    """

    order: int
    q: float

    name = "modified_mathieu"
    function = "mathieu_modcem1"
    flops = _FLOPS + TRANSCENDENTAL
    points = ((0.5, 1.5, 0.1, 2.0),)
    constraints = {**Special.constraints, "C4": "the kind is one of 0 to 7, and the order is not high for q, up to 500"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        right = 0 <= self.kind <= 7 and known(self.order, self.q) and (self.order > 0 or self.kind < 4)
        require(right, "C4", f"the kind is {self.kind}, the order {self.order}, q {self.q}")
        return results

    def chosen(self, xp: Any) -> Callable[..., Any]:
        found = partial(routine(xp, f"mathieu_{_FUNCTIONS[self.kind // 2]}"), float(self.order), self.q)
        return lambda x: found(xp.astype(x, xp.float64))  # of which single precision has few digits

    def second(self, g: Builder, x: Value, y: Value, slope: Value) -> Value:
        """(a - 2 q cosh 2x) times the function, of the characteristic value a."""
        size = characteristic(self.order, self.q, odd=self.kind >= 4)
        return g.mul(g.sub(size, g.mul(g.cosh(g.mul(x, 2.0)), 2.0 * self.q)), y)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All kinds, a scalar, nothing."""
        points = np.array(cls.points[0])
        for kind in range(8):
            yield Sample(cls(kind, 2, 1.5), (points,))
        yield Sample(cls(0, 0, 0.5), (points[0],))
        yield Sample(cls(1, 1, 20.0), (np.zeros((2, 0)),))


def recurrence(order: int, odd: bool, terms: int) -> tuple[Array, Array]:
    """The matrices D, Q with D + q Q that of the recurrence of the coefficients, symmetric by a factor of the first."""
    first = order % 2 if not odd or order % 2 else 2
    k = first + 2.0 * np.arange(terms)
    beside = np.ones(terms - 1)
    if first == 0:
        beside[0] = np.sqrt(2.0)
    q = np.diag(beside, 1) + np.diag(beside, -1)
    if first == 1:
        q[0, 0] = -1.0 if odd else 1.0
    return np.diag(k * k), q


def position(order: int, odd: bool) -> int:
    """Which of the eigenvalues of the recurrence in rising order is that of the order."""
    return (order - 1) // 2 if odd else order // 2


def characteristic(order: int, q: float, odd: bool) -> float:
    """The characteristic value of an order."""
    squares, beside = recurrence(order, odd, position(order, odd) + 40)
    return float(np.linalg.eigvalsh(squares + q * beside)[position(order, odd)])
