"""A value taken as a constant: for numbers on which the result does not depend, such as the shift in a softmax."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType
from gradserve.ops.family import Discrete, Elementwise
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class StopGradient(Discrete, Elementwise):
    """x, taken as a constant: its derivative is 0. Optimised graphs have none of it."""

    name = "stop_gradient"
    takes_complex = True
    flops = 0.0
    points = ((1.5, -2.0, 0.125),)

    def accepts(self, element_type: ElementType) -> bool:
        return True

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.asarray(arrays[0], copy=True)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """As of any such op, but differences do not tell its derivative."""
        return (replace(sample, differentiable=False) for sample in super().samples())
