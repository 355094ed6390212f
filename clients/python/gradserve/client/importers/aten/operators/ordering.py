"""Elements in order."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.client.importers.aten.table import Node, Result, axis_in, translates
from gradserve.client.importers.lax import ordering as lax
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import ordering


def _key(n: Node, x: Operand) -> Value:
    return n.g.convert(x.value, ElementType.INT32) if x.dtype.kind == "b" else x.value


def _order(n: Node, x: Operand, axis: int, descending: bool) -> Value:
    """Where the elements are in ascending or descending order, of equal ones the earlier first."""
    key = _key(n, x)
    if not descending:
        return n.g.argsort(key, axis=axis)
    backward = n.g.emit("reverse", key, axes=(axis,))
    order = n.g.emit("reverse", n.g.argsort(backward, axis=axis), axes=(axis,))
    return n.g.sub(x.shape[axis] - 1, order)


@translates("sort")
def _sort(
    n: Node, x: Operand, dim: int | bool | None = -1, descending: bool = False, *, stable: bool | None = None
) -> Result:
    """The elements in order along an axis, and where they were."""
    if n.operation == "sort.stable" and isinstance(dim, bool):
        dim, descending = (descending if descending is not False else -1), False
    if not x.rank:
        return [x, n.g.constant(0)]
    axis = axis_in(-1 if dim is None else int(dim), x.rank)
    order = _order(n, x, axis, descending)
    return [lax.along_axis(n.g, x.value, order, axis), order]


@translates("argsort")
def _argsort(n: Node, x: Operand, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Result:
    """Where the elements are in order along an axis."""
    return _order(n, x, axis_in(dim, x.rank), descending) if x.rank else n.g.constant(0)


@translates("topk")
def _topk(n: Node, x: Operand, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Result:
    """The k largest or smallest elements along an axis in order, and where they were."""
    if not x.rank:
        return [x, n.g.constant(0)]
    axis = axis_in(dim, x.rank)
    order = part(n.g, _order(n, x, axis, largest), axis, 0, k)
    return [lax.along_axis(n.g, x.value, order, axis), order]


@translates("kthvalue")
def _kthvalue(n: Node, x: Operand, k: int, dim: int = -1, keepdim: bool = False) -> Result:
    """The element that is the k-th smallest along an axis, and where it is."""
    if not x.rank:
        return [x, n.g.constant(0)]
    return _ranked(n, x, axis_in(dim, x.rank), k - 1)


@translates("median.dim")
def _median(n: Node, x: Operand, dim: int, keepdim: bool = False) -> Result:
    """The lower median along an axis, and where it is."""
    if not x.rank:
        return [x, n.g.constant(0)]
    axis = axis_in(dim, x.rank)
    return _ranked(n, x, axis, (x.shape[axis] - 1) // 2)


@translates("median.default")
def _median_of_all(n: Node, x: Operand) -> Result:
    """The lower median of all elements."""
    size = x.value.type.size
    line = Operand(n.g.reshape(x.value, (size,)), x.dtype)
    return _ranked(n, line, 0, (size - 1) // 2)[0]


@translates("nanmedian.default")
def _nanmedian_of_all(n: Node, x: Operand) -> Result:
    """The lower median of all elements that are numbers."""
    line = Operand(n.g.reshape(x.value, (x.value.type.size,)), x.dtype)
    return _ranked_of_numbers(n, line, 0)[0]


@translates("nanmedian.dim")
def _nanmedian(n: Node, x: Operand, dim: int, keepdim: bool = False) -> Result:
    """The lower median along an axis of those elements that are numbers, and where it is."""
    return _ranked_of_numbers(n, x, axis_in(dim, x.rank)) if x.rank else [x, n.g.constant(0)]


def _ranked_of_numbers(n: Node, x: Operand, axis: int) -> list[Value]:
    """Numbers are sorted before what is none."""
    g = n.g
    some = g.convert(g.eq(x.value, x.value), ElementType.INT64)
    count = g.reduce_sum(some, axes=(axis,))
    rank = g.shift_right(g.maximum(g.sub(count, 1), 0), 1)
    wide = g.reshape(rank, tuple(1 if k == axis else m for k, m in enumerate(x.shape)))
    place = lax.along_axis(g, _order(n, x, axis, False), wide, axis)
    return _shaped(n, [lax.along_axis(g, x.value, place, axis), place])


@translates("mode")
def _mode(n: Node, x: Operand, dim: int = -1, keepdim: bool = False) -> Result:
    """The most frequent element along an axis, of equally frequent ones the least, and where the last such is."""
    if not x.rank:
        return [x, n.g.constant(0)]
    g, axis = n.g, axis_in(dim, x.rank)
    order = _order(n, x, axis, False)
    ordered = lax.along_axis(g, x.value, order, axis)
    shape = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
    turned = (*x.shape[:axis], 1, *x.shape[axis:])
    alike = g.eq(g.reshape(ordered, shape), g.reshape(ordered, turned))
    often = g.reduce_sum(g.convert(alike, ElementType.INT64), axes=(axis + 1,))
    first = g.emit("argmax", often, axis=axis)
    wide = g.reshape(first, tuple(1 if k == axis else m for k, m in enumerate(x.shape)))
    last = g.sub(g.add(wide, lax.along_axis(g, often, wide, axis)), 1)
    place = lax.along_axis(g, order, last, axis)
    return _shaped(n, [lax.along_axis(g, x.value, place, axis), place])


def _ranked(n: Node, x: Operand, axis: int, rank: int) -> list[Value]:
    place = part(n.g, _order(n, x, axis, False), axis, rank, rank + 1)
    return _shaped(n, [lax.along_axis(n.g, x.value, place, axis), place])


def _shaped(n: Node, found: Sequence[Value]) -> list[Value]:
    shapes = [n.shapes[0], n.shapes[1] if n.shapes[1:] else None]
    return [each if shape is None else n.g.reshape(each, shape) for each, shape in zip(found, shapes, strict=True)]


@translates("searchsorted", "bucketize")
def _searchsorted(
    n: Node,
    x: Operand,
    y: Operand,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Operand | None = None,
) -> Result:
    """Where elements belong in a sorted line, or in one for each row."""
    line, sought = (x, y) if n.name == "searchsorted" else (y, x)
    behind = right or side == "right"
    if sorter is not None:
        line = Operand(lax.along_axis(n.g, line.value, sorter.value, line.rank - 1), line.dtype)
    a, v = n.together(line, sought)
    if line.rank == 1:
        return ordering.searchsorted(a.value, v.value, "right" if behind else "left")
    g, wanted = n.g, v.value
    pairs = g.align([g.reshape(a.value, (*a.shape[:-1], 1, a.shape[-1])), g.reshape(wanted, (*wanted.shape, 1))])
    below = g.le(*pairs) if behind else g.lt(*pairs)
    return g.reduce_sum(g.convert(below, ElementType.INT64), axes=(below.type.rank - 1,))
