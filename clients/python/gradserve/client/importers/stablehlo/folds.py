"""StableHLO's operations that are given functions: reductions of axes and of windows, and sorts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from gradserve.client.importers.lax import elementwise, folding, ordering, reductions
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.folding import Join
from gradserve.client.importers.lax.known import folded, known_array
from gradserve.client.importers.stablehlo.given import dtype_of_result, integer, ints
from gradserve.client.importers.stablehlo.placed import frame
from gradserve.client.importers.stablehlo.regions import combinations_of, extreme_of, fold_of, order_of, position_of
from gradserve.client.importers.stablehlo.scalars import NAMES
from gradserve.client.importers.stablehlo.syntax import Operation, Region
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder

Applied: TypeAlias = Callable[[Region], Join]
"""From a region to what it does with the elements of arrays."""
Fold: TypeAlias = Callable[[Builder, Operation, Sequence[Operand], Applied], Value | Sequence[Value]]
"""From the builder, an operation, its operands and what regions do to its results."""


def _joined(g: Builder, name: str, found: Operand, first: Operand) -> Value:
    """What a reduction gives, joined with what it begins with."""
    spread = Operand(g.broadcast(first.value, found.value.type.shape), first.dtype)
    return elementwise.ELEMENTWISE[NAMES[name]](g, found, spread)


def _only_region(op: Operation) -> Region:
    if len(op.regions) != 1:
        raise Unsupported("it has no function", "give one region")
    return op.regions[0]


def _reduce(g: Builder, op: Operation, x: Sequence[Operand], applied: Applied) -> Value | list[Value]:
    axes, known = ints(op, "dimensions"), fold_of(op)
    if known is not None:
        name, fold = known
        found = Operand(reductions.reduce(g, x[0], fold, axes), x[0].dtype)
        return _joined(g, name, found, x[1])
    position = position_of(_only_region(op)) if len(x) == 4 and len(axes) == 1 else None
    if position is not None and _counts(g, x, position[-3:], axes[0]):
        extreme = reductions.reduce(g, x[0], position[-3:], axes)
        return [extreme, reductions.position(g, x[0], position, axes[0], dtype_of_result(op, 1))]
    half = len(x) // 2
    return folding.reduce(g, x[:half], x[half:], axes, applied(_only_region(op)))


def _counts(g: Builder, x: Sequence[Operand], fold: str, axis: int) -> bool:
    """Whether the second operand says where each element stands, and what the search begins with decides nothing."""
    assert isinstance(g, Recorder)
    first, start, places = (known_array(g, folded(g, each)) for each in (x[2], x[3], x[1]))
    least = known_array(g, Operand(reductions.identity(g, fold, x[0].dtype), x[0].dtype))
    if places is None or first is None or start is None or least is None or first != least or start != 0:
        return False
    lengths = [n if k == axis else 1 for k, n in enumerate(x[1].shape)]
    return np.array_equal(places, np.broadcast_to(np.arange(x[1].shape[axis]).reshape(lengths), x[1].shape))


def _reduce_window(g: Builder, op: Operation, x: Sequence[Operand], applied: Applied) -> Value | list[Value]:
    how, known = frame(op, x[0].rank), fold_of(op)
    if known is not None:
        name, fold = known
        return _joined(g, name, Operand(reductions.reduce_window(g, x[0], fold, how), x[0].dtype), x[1])
    half = len(x) // 2
    return folding.reduce_window(g, x[:half], x[half:], how, applied(_only_region(op)))


def _select_and_scatter(g: Builder, op: Operation, x: Sequence[Operand], applied: Applied) -> Value:
    array, source, first = x
    chosen = extreme_of(op.regions[0]) if len(op.regions) == 2 else None
    if chosen is None or combinations_of(op.regions[1]) != ["add"]:
        raise Unsupported("it chooses by a function of its own", "choose the largest or the smallest element")
    found = reductions.select_and_scatter_add(g, source, array, chosen == "max", frame(op, array.rank))
    return _joined(g, "add", Operand(found, array.dtype), first)


def _sort(g: Builder, op: Operation, x: Sequence[Operand], applied: Applied) -> list[Value]:
    region = _only_region(op)
    keys, descending = order_of(g, region, applied(region))
    return ordering.sort(g, x, integer(op, "dimension"), keys, descending)


def _map(g: Builder, op: Operation, x: Sequence[Operand], applied: Applied) -> list[Value]:
    return [each.value for each in applied(_only_region(op))(g, list(x))]


FOLDS: Mapping[str, Fold] = {
    "map": _map,
    "reduce": _reduce,
    "reduce_window": _reduce_window,
    "select_and_scatter": _select_and_scatter,
    "sort": _sort,
}
"""By name, without the dialect."""
