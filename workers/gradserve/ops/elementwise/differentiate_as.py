"""The value of one expression with the derivatives of another that equals it: where algebra knows a smoother form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.ops.family import Binary
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class DifferentiateAs(Binary):
    """x, to the last bit, with the derivatives of y, which is x but for rounding. Optimised graphs have none of it."""

    name = "differentiate_as"
    takes_complex = True
    internal = True
    flops = 0.0
    points = ((1.5, -2.0, 0.125), (1.5, -2.0, 0.125))

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.asarray(arrays[0], copy=True)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """dy."""
        return (tangents[1],)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """As of any such op, but differences do not tell its derivative."""
        return (replace(sample, differentiable=False) for sample in super().samples())
