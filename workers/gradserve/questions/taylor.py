"""A Taylor model along a direction: what is asked, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.call import Argument, Call
from gradserve.questions.report import Report


@dataclass(frozen=True, slots=True)
class Deviation:
    """The distance of a function from its model at one step along the direction."""

    step: float
    error: float
    """The Euclidean norm over all outputs."""
    meaningful: bool
    """Whether it is more than rounding errors."""


@dataclass(frozen=True)
class Expansion:
    """The coefficients of the powers of the step, and the check of them."""

    coefficients: Mapping[str, tuple[Array, ...]]
    """By output: those of the powers 0, 1, ..., each in the shape of the output."""
    deviations: tuple[Deviation, ...]
    """At falling steps."""
    observed_order: float
    """The power of the step with which the deviation falls: one more than the order if the model is right, or higher.

    Infinite if no deviation is more than rounding errors; NaN if there is only one, or the function is not finite.
    """
    report: Report


@dataclass(frozen=True)
class ExpandAlong:
    """Asks for the Taylor polynomial of a graph's real outputs along a direction, and how far they are from it."""

    call: Call
    order: int
    """The highest power of the step, from 1 to 10."""
    direction: Mapping[str, Argument] = field(default_factory=dict)
    """One tangent for each input that moves, in its shape."""

    rpc: ClassVar[str] = "TaylorModel"
    answer: ClassVar[type] = Expansion

    @property
    def wrt(self) -> tuple[str, ...]:
        """The inputs that move."""
        return tuple(self.direction)
