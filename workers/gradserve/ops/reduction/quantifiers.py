"""Statements about all truth values along axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.ops.family import Discrete
from gradserve.ops.reduction.reductions import OverAxes
from gradserve.ops.registry import register


class Quantifier(Discrete, OverAxes):
    """A statement about all truth values along the axes."""

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """Numbers become truth values: all but zero are true."""
        return tuple(g.convert(g.lift(operand), ElementType.BOOL) for operand in operands)

    def accepts(self, element_type: ElementType) -> bool:
        """Only truth values."""
        return element_type is ElementType.BOOL

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """One axis, both, none; a scalar, nothing to look at."""
        table = np.array([[True, True, False], [True, False, False]])
        for axes in ((0,), (0, 1), ()):
            yield Sample(cls(axes), (table,), differentiable=False)
        yield Sample(cls(()), (np.array(True),), differentiable=False)
        yield Sample(cls((0,)), (np.zeros((0, 2), bool),), differentiable=False)


@register
@dataclass(frozen=True)
class ReduceAny(Quantifier):
    """Whether one is true along the axes."""

    name = "reduce_any"
    function = "any"


@register
@dataclass(frozen=True)
class ReduceAll(Quantifier):
    """Whether all are true along the axes."""

    name = "reduce_all"
    function = "all"
