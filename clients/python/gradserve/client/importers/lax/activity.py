"""Which values move: those that real inputs, or others, lead to, by ops that have derivatives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.numpy.recorder import Recorder
from gradserve.ops.elementwise.stop_gradient import StopGradient


class Activity:
    """What is known of the values of graphs and of functions in them."""

    def __init__(self, first: Iterable[Value] | None = None) -> None:
        """What is first to move: these values, or all real inputs."""
        self._moves: dict[tuple[Builder, int], bool] = {_key(value): True for value in first or ()}
        self._inputs = first is None

    def stand(self, inputs: Iterable[Value]) -> None:
        """These inputs of a function do not move."""
        self._moves |= {_key(value): False for value in inputs}

    def moves(self, value: Value) -> bool:
        """Whether a value does."""
        left = [value]
        while left:
            known = self._known(left[-1])
            if isinstance(known, bool):
                self._moves[_key(left.pop())] = known
            else:
                left += known
        return self._moves[_key(value)]

    def _known(self, value: Value) -> bool | Sequence[Value]:
        """Whether it moves, or else the values of which that must be known first."""
        if _key(value) in self._moves:
            return self._moves[_key(value)]
        if not (value.type.is_float or value.type.is_complex):
            return False
        made, g = value.producer, value.builder
        assert isinstance(g, Recorder)
        if made is None:
            outer = g.around(value)
            return (
                self._any([outer]) if outer is not None else self._inputs and not isinstance(g.literal(value), Literal)
            )
        return not isinstance(made.op, StopGradient) and self._any(made.operands)

    def _any(self, values: Sequence[Value]) -> bool | Sequence[Value]:
        known = [self._moves.get(_key(value)) for value in values]
        if True in known:
            return True
        return [value for value, moves in zip(values, known, strict=True) if moves is None] or False


def _key(value: Value) -> tuple[Builder, int]:
    return value.builder, value.index
