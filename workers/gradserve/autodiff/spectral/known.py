"""What is known of values while a graph is rewritten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

from gradserve.autodiff.spectral.algebras import Decomposition
from gradserve.autodiff.spectral.expressions import ONE, Number, Variable
from gradserve.autodiff.spectral.forms import Row, SpectralForm
from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.ops.family import Elementwise
from gradserve.ops.linalg.stacked import part
from gradserve.ops.movement.placement import Pad, Reverse, Slice
from gradserve.ops.movement.shapes import BroadcastTo, Reshape
from gradserve.ops.reduction.reductions import Extreme, ReduceMax
from gradserve.ops.spectral.eigen import OfSpectrum
from gradserve.ops.spectral.singular import OfSingular

Source: TypeAlias = OfSpectrum | OfSingular


@dataclass(frozen=True)
class Part:
    """A result of a decomposition as it is, or with its eigenvalues in the opposite order."""

    op: Source
    matrix: Value
    result: int
    reversed: bool = False

    @property
    def is_values(self) -> bool:
        """Whether these are eigenvalues or singular values, and not vectors."""
        return self.result == self.op.values

    def _form(self, op: Source) -> SpectralForm:
        source = Decomposition(self.matrix, isinstance(self.op, OfSpectrum))
        return replace(form_of_result(source, op, self.result), backwards=self.reversed)

    def taken(self, g: Builder, op: Any) -> Known | None:
        """A slice of it as the result of an op that decomposes that much: a cluster elsewhere does it no harm."""
        value = self._value(g, self.op)
        axis = value.type.rank - (2 if self.result == 2 else 1)
        if isinstance(op, Reverse) and op.axes == (axis,):
            turned = replace(self, reversed=not self.reversed)
            return Known(turned._value(g, self.op), turned._form(self.op), turned)
        if isinstance(op, Extreme) and self.is_values and op.axes == (axis,):
            return Known(self._without_axis(g, self._value(g, self._extreme(op))))
        if not isinstance(op, Slice):
            return None
        others = [(0, n) for k, n in enumerate(value.shape) if k != axis]
        given = [(a, b) for k, (a, b) in enumerate(zip(op.starts, op.stops, strict=True)) if k != axis]
        if given != others or op.strides[axis] != 1:
            return None
        start, stop = op.starts[axis], op.stops[axis]
        if self.reversed:
            start, stop = value.shape[axis] - stop, value.shape[axis] - start
        less = replace(self, op=replace(self.op, start=self.op.start + start, stop=self.op.start + stop))
        return Known(less._value(g, less.op), self._form(less.op), less)

    def extreme_form(self, op: Any) -> SpectralForm:
        """The form of the largest or smallest of all values, with the axis along which they run."""
        return self._form(self._extreme(op))

    def extreme(self, g: Builder, op: Any, value: Value) -> Value | None:
        """The largest or smallest of all values as an element of them, so that it has no derivative at a tie."""
        if not self.is_values or op.axes != (value.type.rank - 1,):
            return None
        chosen = self._extreme(op)
        start = chosen.start - self.op.start
        start = value.shape[-1] - 1 - start if self.reversed else start
        return self._without_axis(g, part(g, value, start, start + 1))

    def _extreme(self, op: Any) -> Source:
        ascending = isinstance(self.op, OfSpectrum)
        last = ascending == isinstance(op, ReduceMax)
        start = self.op.stop - 1 if last else self.op.start
        return replace(self.op, start=start, stop=start + 1)

    @staticmethod
    def _without_axis(g: Builder, value: Value) -> Value:
        return g.reshape(value, value.shape[:-1])

    def _value(self, g: Builder, op: Source) -> Value:
        value = g.apply(op, [self.matrix])[self.result]
        axis = value.type.rank - (2 if self.result == 2 else 1)
        return g.emit("reverse", value, axes=(axis,)) if self.reversed else value


@dataclass(frozen=True)
class Known:
    """A value, and its form if it has one."""

    value: Value
    form: SpectralForm | None = None
    part: Part | None = None
    spread: SpectralForm | None = None
    """The form of the vector whose elements lie in it with as many zeros between them."""
    diagonal: SpectralForm | None = None
    """The form of the vector on its diagonal, if it is a matrix of zeros elsewhere."""
    numbers: tuple[Decomposition, tuple[Array, ...]] | None = None
    """What it is made of, if that is d = det U det V and constants: its elements for some values of d."""
    dropped: SpectralForm | None = None
    """The form that it has with one more axis of length 1, that of the values."""
    half: tuple[Decomposition, bool] | None = None
    """What it is det U, or det V, of."""
    polar: Decomposition | None = None
    """What it is U V^T, or V U^T, of."""


def form_of_result(source: Decomposition, op: Source, result: int) -> SpectralForm:
    """The form of a result of a decomposition: of its values, or of the left or right vectors."""
    rank = len(source.stack) + 2
    if result == op.values:
        rank = len(source.stack) + 1
        return SpectralForm(source, rank - 1, Variable(), (), op.start, op.stop, rank)
    if result == 2:
        return SpectralForm(source, rank - 2, ONE, (Row(False, None, (rank - 1,)),), op.start, op.stop, rank)
    return SpectralForm(source, rank - 1, ONE, (Row(True, None, (rank - 2,)),), op.start, op.stop, rank)


def number_of(g: Builder, value: Value, stack: tuple[int, ...]) -> Number | None:
    """The one number, for each matrix of the stack, that fills a value; None if it is not known to be filled by one.

    The first axes of the value are those of the stack.
    """
    if value.type.size == 1:
        return Number(g.broadcast(g.reshape(value, ()), stack))
    found = _without_others(g, value, len(stack)) if value.shape[: len(stack)] == stack else None
    return None if found is None else Number(found)


def _without_others(g: Builder, value: Value, first: int) -> Value | None:
    """The value with its `first` axes alone, if it is known to be the same along all others."""
    if all(n == 1 for n in value.shape[first:]):
        return g.reshape(value, value.shape[:first])
    made = g.producer(value)
    if made is None:
        return None
    if isinstance(made.op, Elementwise):
        found = [_without_others(g, operand, first) for operand in made.operands]
        known = [x for x in found if x is not None]
        return g.apply(made.op, known)[0] if len(known) == len(found) else None
    if not isinstance(made.op, BroadcastTo | Reshape):
        return None
    (source,) = made.operands
    if isinstance(made.op, BroadcastTo):
        count = max(0, first - (value.type.rank - source.type.rank))  # a broadcast aligns the last axes
    elif _long(source.shape) == _long(value.shape):
        long_axes = [axis for axis, n in enumerate(source.shape) if n != 1]
        before = len(_long(value.shape[:first]))
        count = long_axes[before - 1] + 1 if before else 0
    else:
        return None
    same = _without_others(g, source, count)
    if same is None:
        return None
    kept = value.shape[:first]
    return g.broadcast(same, kept) if isinstance(made.op, BroadcastTo) else g.reshape(same, kept)


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def diagonal_of(op: Any, operand: Known) -> Known | None:
    """What becomes of a vector that is laid on a diagonal: zeros between its elements, then the shape of a matrix."""
    form = operand.form
    if isinstance(op, Pad) and form is not None and not form.rows and form.rank == 1:
        n = form.stop - form.start
        is_spread = (op.low, op.high, op.interior) == ((0,), (0,), (n,))
        return Known(operand.value, spread=form) if is_spread else None
    if isinstance(op, Reshape) and operand.spread is not None:
        n = operand.spread.stop - operand.spread.start
        return Known(operand.value, diagonal=operand.spread) if op.shape == (n, n) else None
    return None
