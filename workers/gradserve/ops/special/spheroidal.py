"""Radial spheroidal functions of the first kind, of fixed orders and a fixed parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import require
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.equations import Solution
from gradserve.ops.special.erf import Special

MOST_ORDER = 30
MOST = 30.0
"""Up to which orders and parameters SciPy's tables are long enough: beyond, it writes past their ends."""
_WIDEST = 1000.0
"""The x up to which its sums are done within a millisecond; in single precision they need not end at all."""
_FLOPS, _ORDER_FLOPS, _LENGTH_FLOPS = 2000.0, 6000.0, 10_000.0
"""As measured: SciPy finds the characteristic value for each element, and sums as many terms as c x is long."""


@register
@dataclass(frozen=True)
class SpheroidalRadial(Solution):
    """The radial spheroidal function of the first kind: prolate and oblate for the kinds 0 and 2, then their slopes.

    NaN with x beyond 1000.
    """

    m: int
    n: int
    c: float

    name = "spheroidal_radial"
    function = "pro_rad1"
    points = ((1.5, 3.0, 1.1, 8.0),)
    kinks = ((0.5, -1.0),)
    constraints = {**Special.constraints, "C4": "the kind is one of 0 to 3, 0 <= m <= n <= 30, and 0 < c <= 30"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        right = 0 <= self.kind <= 3 and 0 <= self.m <= self.n <= MOST_ORDER and 0.0 < self.c <= MOST
        require(right, "C4", f"the kind is {self.kind}, m {self.m}, n {self.n}, c {self.c}")
        return results

    @property
    def flops(self) -> float:  # type: ignore[override]
        """SciPy looks for the characteristic value of every element."""
        return _FLOPS + _ORDER_FLOPS * self.n + _LENGTH_FLOPS * self.c

    @property
    def _sign(self) -> float:
        return 1.0 if self.kind < 2 else -1.0

    def chosen(self, xp: Any) -> Callable[..., Any]:
        name = "pro_rad1" if self.kind < 2 else "obl_rad1"
        found = partial(routine(xp, name), float(self.m), float(self.n), self.c)
        return lambda x: found(xp.astype(xp.where(xp.abs(x) > _WIDEST, xp.nan * x, x), xp.float64))

    def second(self, g: Builder, x: Value, y: Value, slope: Value) -> Value:
        """((a - (c x)^2 + s m^2 / (x^2 - s)) y - 2 x y') / (x^2 - s), with s = 1 for prolate and -1 for oblate ones."""
        square = g.mul(x, x)
        rest = g.sub(square, self._sign)
        value = characteristic(self.m, self.n, self.c, self._sign)
        size = g.add(g.sub(value, g.mul(square, self.c**2)), g.div(self._sign * self.m**2, rest))
        return g.div(g.sub(g.mul(size, y), g.mul(g.mul(x, slope), 2.0)), rest)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All kinds, a scalar, nothing."""
        points = np.array(cls.points[0])
        for kind in range(4):
            yield Sample(cls(kind, 1, 3, 1.5), (points,))
        yield Sample(cls(0, 0, 0, 0.5), (points[0],))
        yield Sample(cls(1, 1, 1, 2.0), (np.zeros((2, 0)),))


def recurrence(m: int, n: int, terms: int) -> tuple[Array, Array]:
    """The matrices L, X with L + s c^2 X that of the function among normalised Legendre functions of its parity.

    L has l (l + 1) on its diagonal, and X is what multiplies by the square of the argument.
    """
    degree = m + (n - m) % 2 + 2.0 * np.arange(terms)
    squares = _beside(m, degree) + _beside(m, degree - 1.0)
    steps = np.sqrt(_beside(m, degree) * _beside(m, degree + 1.0))[:-1]
    return np.diag(degree * (degree + 1.0)), np.diag(squares) + np.diag(steps, 1) + np.diag(steps, -1)


def _beside(m: int, degree: Array) -> Array:
    """The squared element of the argument between a degree and the next."""
    at = np.maximum(degree, m)  # below m there is no function
    return np.where(degree < m, 0.0, ((at + 1.0) ** 2 - m * m) / ((2.0 * at + 1.0) * (2.0 * at + 3.0)))


def characteristic(m: int, n: int, c: float, sign: float) -> float:
    """The characteristic value, of the sign 1 for prolate functions and -1 for oblate ones."""
    degrees, squares = recurrence(m, n, (n - m) // 2 + 60)
    return float(np.linalg.eigvalsh(degrees + sign * c * c * squares)[(n - m) // 2])
