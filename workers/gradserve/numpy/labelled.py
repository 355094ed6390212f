"""Products of arrays whose axes carry labels: what matmul, tensordot and einsum have in common."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import TypeAlias

from gradserve.ir.builder import Value
from gradserve.ir.records import dataclass
from gradserve.ops.movement.shapes import permuted

Label: TypeAlias = Hashable


@dataclass(frozen=True, slots=True)
class Labelled:
    """An array with one label for each axis, no label twice."""

    value: Value
    labels: tuple[Label, ...]

    def ordered(self, labels: Sequence[Label]) -> Value:
        """The array with its axes in this order."""
        return permuted(self.value.builder, self.value, [self.labels.index(label) for label in labels])

    def summed(self, keep: Collection[Label]) -> Labelled:
        """Sums over the axes whose labels are not to be kept."""
        axes = tuple(k for k, label in enumerate(self.labels) if label not in keep)
        if not axes:
            return self
        value = self.value.builder.emit("reduce_sum", self.value, axes=axes)
        return Labelled(value, tuple(label for label in self.labels if label in keep))

    def without(self, labels: Collection[Label]) -> Labelled:
        """The array without these axes, which have length 1."""
        remaining = tuple(label for label in self.labels if label not in labels)
        shape = tuple(n for n, label in zip(self.value.type.shape, self.labels, strict=True) if label in remaining)
        return Labelled(self.value.builder.reshape(self.value, shape), remaining)


def product(x: Labelled, y: Labelled, keep: Sequence[Label]) -> Labelled:
    """Products summed over the labels that both have and that are not to be kept.

    Axes of equal labels run together; labels of only one operand are all kept. The result has its axes in the order
    of `keep` where that costs nothing.
    """
    shared = [label for label in x.labels if label in y.labels]
    contracted = [label for label in shared if label not in keep]
    x_free = [label for label in x.labels if label not in shared]
    y_free = [label for label in y.labels if label not in shared]
    if not contracted and not (x_free and y_free):
        return _elementwise(x, y, keep)
    along = [label for label in shared if label not in contracted]
    along.sort(key=list(keep).index)
    if _position(y_free, keep) < _position(x_free, keep):
        x, y, x_free, y_free = y, x, y_free, x_free
    result = x.value.builder.emit(
        "contract",
        x.value,
        y.value,
        lhs_contract=tuple(map(x.labels.index, contracted)),
        rhs_contract=tuple(map(y.labels.index, contracted)),
        lhs_batch=tuple(map(x.labels.index, along)),
        rhs_batch=tuple(map(y.labels.index, along)),
    )
    return Labelled(result, (*along, *x_free, *y_free))


def _position(free: Sequence[Label], keep: Sequence[Label]) -> int:
    """Where the first of these labels comes in the result."""
    return min((list(keep).index(label) for label in free), default=0)


def _elementwise(x: Labelled, y: Labelled, keep: Sequence[Label]) -> Labelled:
    """The product where nothing is summed and one operand has all the labels: a `mul`, open to fusion."""
    if len(y.labels) > len(x.labels):
        return _elementwise(y, x, keep)
    g = x.value.builder
    order = [label for label in keep if label in x.labels]
    spread = y.ordered([label for label in order if label in y.labels])
    lengths = iter(spread.type.shape)
    shape = tuple(next(lengths) if label in y.labels else 1 for label in order)
    return Labelled(x.ordered(order) * g.reshape(spread, shape), tuple(order))
