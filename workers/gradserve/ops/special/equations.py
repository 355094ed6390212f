"""Solutions of differential equations of second order: each has its derivative beside it, of which that is known."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ops.family import Unary
from gradserve.ops.special.rare import OfScipy


@dataclass(frozen=True)
class Solution(OfScipy, Unary):
    """A function of x, or its derivative: of the even kinds and of the odd ones after them."""

    kind: int

    @property
    def part(self) -> int:  # type: ignore[override]
        """SciPy gives both at once."""
        return self.kind % 2

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """Its derivative, of which that is what the equation says."""
        even = self.kind % 2 == 0
        (beside,) = g.apply(replace(self, kind=self.kind + (1 if even else -1)), [x])
        return g.mul(beside if even else self.second(g, x, beside, y), dx)

    @abstractmethod
    def second(self, g: Builder, x: Value, y: Value, slope: Value) -> Value:
        """The second derivative, by the function and the first."""
