"""What an op says of the pieces that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gradserve.ir.builder import Builder, Value
    from gradserve.ir.op import Op


class Pieces(Protocol):
    """How an op of real numbers is made of pieces that are smooth, each a number for each element of the result."""

    def on(self, g: Builder, op: Op, operands: Sequence[Value], result: Value) -> Value:
        """The piece that the operands are on; a float64 like the result."""

    def continued(self, g: Builder, op: Op, operands: Sequence[Value], piece: Value) -> Value:
        """The result on this piece, wherever the operands are."""

    def gap(self, g: Builder, operands: Sequence[Value], piece: Value, other: Value) -> Value:
        """What is 0 where one piece ends on the way to another, and changes its sign there."""
