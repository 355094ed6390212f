"""Ops on the bits of integers, in two's complement: what generators of random numbers are made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.ops.family import Discrete, Elementwise
from gradserve.ops.registry import register


class OfBits(Discrete, Elementwise):
    """A function of the bits of two integers; truth values have ops of their own."""

    arity = 2

    def accepts(self, element_type: ElementType) -> bool:
        """Only integers."""
        return element_type.is_integer

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Vectors, scalars and nothing, of either width."""
        for dtype in (np.int32, np.int64):
            columns = np.array([[7, -3, 0, -(1 << 31)], [2, 5, 4, 31]], dtype)
            yield Sample(cls(), tuple(columns), differentiable=False)
            yield Sample(cls(), tuple(np.array(column[1]) for column in columns), differentiable=False)
            yield Sample(cls(), tuple(column[:0] for column in columns), differentiable=False)


@register
@dataclass(frozen=True)
class BitwiseAnd(OfBits):
    """The bits that both integers have."""

    name = "bitwise_and"
    commutative = True
    function = "bitwise_and"


@register
@dataclass(frozen=True)
class BitwiseOr(OfBits):
    """The bits that one of the integers has."""

    name = "bitwise_or"
    commutative = True
    function = "bitwise_or"


@register
@dataclass(frozen=True)
class BitwiseXor(OfBits):
    """The bits that just one of the integers has."""

    name = "bitwise_xor"
    commutative = True
    function = "bitwise_xor"


@register
@dataclass(frozen=True)
class ShiftLeft(OfBits):
    """x with its bits moved up by y places, from 0 to one less than it has; those that leave it are lost."""

    name = "shift_left"
    function = "bitwise_left_shift"


@register
@dataclass(frozen=True)
class ShiftRight(OfBits):
    """x with its bits moved down by y places, from 0 to one less than it has, and its sign kept: floor(x / 2^y)."""

    name = "shift_right"
    function = "bitwise_right_shift"
