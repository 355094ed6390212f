"""What is known of values that are made of eigenvalues and eigenvectors, or of singular values and vectors.

A form says that the element of a value at position k along one axis is f(x_k), times for each of its rows the inner
product of a known vector with the k-th eigenvector. A sum over that axis of a form with two rows is a bilinear form of
f(A), and of one without rows a trace: neither depends on which vectors a cluster has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum, auto
from string import ascii_letters

from gradserve.autodiff.spectral.algebras import Decomposition
from gradserve.autodiff.spectral.expressions import Expression, has_kink, has_turn, times, vector
from gradserve.ir.builder import Value
from gradserve.ir.records import dataclass
from gradserve.numpy.einstein import einsum
from gradserve.numpy.matrices import trace


class Sums(Enum):
    """What becomes of sums over eigenvalues alone."""

    CHECKED = auto()
    """They stay as they are: together they may depend on the choice of vectors."""
    FREE = auto()
    """Those over all eigenvalues are not checked: cheap, but second derivatives need vectors that a cluster lacks."""
    EACH = auto()
    """As FREE, and those over some are traces of functions of the matrix."""
    OF_MATRIX = auto()
    """All are traces of functions of the matrix, which have derivatives of every order."""


@dataclass(frozen=True)
class Row:
    """The vectors, each times a matrix from the left: axes of the base, then one for the elements of the vectors."""

    left: bool
    """Whether the vectors are eigenvectors or left singular ones."""
    base: Value | None
    """The matrix, its leading axes those of the stack; None for the identity."""
    axes: tuple[int, ...]
    """The axes of the value that are those of the base, in order; below 0 stand axes that are summed over."""

    def shifted(self, inner: int) -> Row:
        """The row with the axes that are summed over under numbers that leave `inner` of them free."""
        return replace(self, axes=tuple(axis - inner if axis < 0 else axis for axis in self.axes))


@dataclass(frozen=True)
class SpectralForm:
    """A value by what its elements are; its leading axes are those of the stack of matrices."""

    source: Decomposition
    axis: int
    """The axis along which the eigenvalues or singular values run."""
    expression: Expression
    """The function of each of them."""
    rows: tuple[Row, ...]
    """At most two."""
    start: int
    stop: int
    rank: int
    """The axes of the value; along those not named it is constant."""
    backwards: bool = False
    """Whether the values run in the opposite order."""

    def times(self, other: SpectralForm) -> SpectralForm | None:
        """The product, element by element; None if it is not known to have a form."""
        if self._values != other._values or len(self.rows) + len(other.rows) > 2:
            return None
        rows = self.rows + tuple(row.shifted(self.inner) for row in other.rows)
        return replace(self, expression=times(self.expression, other.expression), rows=rows)

    @property
    def _values(self) -> tuple[Decomposition, int, int, int, bool]:
        return (self.source, self.axis, self.start, self.stop, self.backwards)

    def sliced(self, start: int, stop: int) -> SpectralForm:
        """The form of a part along the axis of the values."""
        if self.backwards:
            return replace(self, start=self.stop - stop, stop=self.stop - start)
        return replace(self, start=self.start + start, stop=self.start + stop)

    @property
    def inner(self) -> int:
        """The number of axes that are summed over."""
        return -min((axis for row in self.rows for axis in row.axes if axis < 0), default=0)

    def within(self, axes: Iterable[int], kept: Sequence[int]) -> SpectralForm | None:
        """The sum over axes of the bases; `kept` are the other axes in their new order. None if it has no form."""
        gone = sorted(set(axes))
        if not set(gone) <= {axis for row in self.rows for axis in row.axes}:
            return None
        first = self.inner + 1
        numbers = {axis: k for k, axis in enumerate(kept)} | {axis: -(first + k) for k, axis in enumerate(gone)}
        return self.renumbered(numbers, len(kept))

    def renumbered(self, axes: Mapping[int, int], rank: int) -> SpectralForm | None:
        """The form with its axes under other numbers; None if one is gone, or the stack does not come first."""
        known = {self.axis, *range(self.stack_rank), *(axis for row in self.rows for axis in row.axes if axis >= 0)}
        if not known <= set(axes) or any(axes[k] != k for k in range(self.stack_rank)):
            return None
        rows = tuple(replace(row, axes=tuple(axes.get(axis, axis) for axis in row.axes)) for row in self.rows)
        return replace(self, axis=axes[self.axis], rows=rows, rank=rank)

    @property
    def stack_rank(self) -> int:
        """The number of leading axes."""
        return len(self.source.stack)

    @property
    def is_whole(self) -> bool:
        """Whether all values are there."""
        return (self.start, self.stop) == (0, self.source.length)

    def summed(self, axes: Iterable[int], shape: Sequence[int], sums: Sums) -> Value | None:
        """The sum over these axes, of which one is that of the values; None if it depends on the choice of vectors.

        `shape` is that of the value.
        """
        gone = set(axes)
        named = {axis for row in self.rows for axis in row.axes if axis >= 0} | {self.axis, *range(self.stack_rank)}
        if not gone <= named or len(self.rows) == 1:
            return None
        if not self.rows:
            return self._trace(shape, gone, sums) if self._is_symmetric(sums) else None
        kept = [axis for axis in range(self.rank) if axis not in gone]
        found = [axis for axis in kept if axis in named]
        result = self._contracted(found)
        if result is None:
            return None
        lengths = [shape[axis] if axis in found else 1 for axis in kept]
        g = result.builder
        return g.broadcast(g.reshape(result, tuple(lengths)), tuple(shape[axis] for axis in kept))

    def _is_symmetric(self, sums: Sums) -> bool:
        """Whether a sum treats all values alike, so that it has a derivative wherever the function has one.

        The trace of a function of the matrix for some of its values looks by itself whether they are part of a cluster.
        """
        if has_turn(self.expression):
            return self.is_whole
        # Singular values of zero are at a kink of their own, which only functions that are smooth there bear.
        smooth = self.source.symmetric or not has_kink(self.expression)
        return smooth and (sums in (Sums.EACH, Sums.OF_MATRIX) or (sums is Sums.FREE and self.is_whole))

    def _contracted(self, kept: Sequence[int]) -> Value | None:
        """The bilinear form of f(A), with these axes."""
        one, other = self.rows
        middle = self.source.sandwich(self.expression, self.start, self.stop, one.left, other.left)
        if middle is None:
            return None
        stack = _letters(range(self.stack_rank))
        ends, terms, operands = "", [], []
        for row, spare in zip((one, other), (self.rank, self.rank + 1), strict=True):
            own = _letters(row.axes)
            ends += own if row.base is None else _letters([spare])
            if row.base is not None:
                terms.append(f"{stack}{own}{_letters([spare])}")
                operands.append(row.base)
        return einsum(f"{','.join([*terms, stack + ends])}->{_letters(kept)}", *operands, middle)

    def _trace(self, shape: Sequence[int], gone: set[int], sums: Sums) -> Value | None:
        g = self.source.matrix.builder
        if has_turn(self.expression) or sums is Sums.OF_MATRIX or not self.is_whole or has_kink(self.expression):
            # The function of the matrix knows which eigenvalues are zero to rounding, and which form a cluster.
            whole = self.source.sandwich(self.expression, self.start, self.stop, True, True)
            if whole is None:
                return None
            total = trace(whole, 0, -2, -1)
        else:
            x = self.source.values(0, self.source.length, free=True)
            total = g.emit("reduce_sum", vector(self.expression, x), axes=(x.type.rank - 1,))
        over = tuple(axis for axis in range(self.stack_rank) if axis in gone)
        total = g.emit("reduce_sum", total, axes=over) if over else total
        kept = [axis for axis in range(self.rank) if axis not in gone]
        lengths = tuple(shape[axis] if axis < self.stack_rank else 1 for axis in kept)
        return g.broadcast(g.reshape(total, lengths), tuple(shape[axis] for axis in kept))


def multiplied(form: SpectralForm, factor: Expression) -> SpectralForm:
    """The form times a number for each matrix, or a function of its eigenvalues."""
    return replace(form, expression=times(form.expression, factor))


def through(
    form: SpectralForm, own: Sequence[int], other: Value, theirs: Sequence[int], result: Sequence[int]
) -> SpectralForm | None:
    """The form of a contraction with a value that has none, over axes of the only row; None if it has no form.

    `own` and `theirs` are the labels of the axes of both, `result` those of the result, all as numbers.
    """
    if len(form.rows) != 1:
        return None
    (row,) = form.rows
    if row.axes and min(row.axes) < 0:
        return None
    labels = [own[axis] for axis in row.axes]
    stack, eigen = list(own[: form.stack_rank]), own[form.axis]
    summed = {label for label in own if label not in result}
    constant = set(own) - {*stack, *labels, eigen}
    fits = bool(summed) and summed <= set(labels) and list(result[: len(stack)]) == stack
    if not fits or (constant | {eigen}) & set(theirs):
        return None
    # Of the identity, the axis summed over is that of the vectors' elements itself.
    spare = labels[0] if row.base is None else max((*own, *theirs)) + 1
    operands = [(theirs, other)] if row.base is None else [([*stack, *labels, spare], row.base), (theirs, other)]
    kept = [label for label in dict.fromkeys((*labels, *theirs)) if label in result and label not in stack]
    ahead = [label for label in stack if any(label in terms for terms, _ in operands)]
    terms = ",".join(_letters(labels) for labels, _ in operands)
    made = einsum(f"{terms}->{_letters([*ahead, *kept, spare])}", *(value for _, value in operands))
    base = made.builder.broadcast(made, (*form.source.stack, *made.shape[len(ahead) :]))
    new = Row(row.left, base, tuple(result.index(label) for label in kept))
    return replace(form, axis=result.index(eigen), rows=(new,), rank=len(result))


def _letters(labels: Sequence[int]) -> str:
    return "".join(ascii_letters[label] for label in labels)
