"""Arrays in other shapes and orders, cut, joined and padded."""

from __future__ import annotations

import math

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import padded, part, permute
from gradserve.client.importers.lax.ordering import along_axis
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.builder import Value
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.types import ElementType
from gradserve.numpy import padding, repeating


@translates("Reshape", known=(1,), moves=True)
def reshape(n: Node, x: Operand, shape: Operand) -> Result:
    """x in another shape: 0 stands for the length that it has there, -1 for what is left."""
    wanted = n.ints(1)
    assert wanted is not None
    zero_is_zero = n.get("allowzero", 0)
    lengths = [x.shape[k] if m == 0 and not zero_is_zero else m for k, m in enumerate(wanted)]
    if -1 in lengths:
        rest = math.prod(m for m in lengths if m != -1)
        lengths[lengths.index(-1)] = math.prod(x.shape) // rest if rest else 0
    return n.g.reshape(x.value, tuple(lengths))


@translates("Flatten", moves=True)
def flatten(n: Node, x: Operand) -> Result:
    """x as a matrix."""
    axis = n.get("axis", 1)
    axis = axis + x.rank if axis < 0 else axis
    return n.g.reshape(x.value, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@translates("Transpose", moves=True)
def transpose(n: Node, x: Operand) -> Result:
    """The axes in another order."""
    return permute(n.g, x.value, n.get("perm", list(reversed(range(x.rank)))))


@translates("Squeeze", known=(1,), moves=True)
def squeeze(n: Node, x: Operand, axes: Operand | None = None) -> Result:
    """Axes of length 1 dropped."""
    given = n.ints(1, "axes")
    named = {k for k, m in enumerate(x.shape) if m == 1} if given is None else {axis_in(k, x.rank) for k in given}
    if any(x.shape[k] != 1 for k in named):
        raise ValueError(f"axes {sorted(named)} of {x} have not the length 1")
    return n.g.reshape(x.value, tuple(m for k, m in enumerate(x.shape) if k not in named))


@translates("Unsqueeze", known=(1,), moves=True)
def unsqueeze(n: Node, x: Operand, axes: Operand | None = None) -> Result:
    """New axes of length 1."""
    given = n.ints(1, "axes") or ()
    rank = x.rank + len(given)
    named, rest = {axis_in(k, rank) for k in given}, iter(x.shape)
    if len(named) < len(given):
        raise ValueError(f"axes {given} name one of {rank} twice")
    return n.g.reshape(x.value, tuple(1 if k in named else next(rest) for k in range(rank)))


@translates("Expand", known=(1,), moves=True)
def expand(n: Node, x: Operand, shape: Operand) -> Result:
    """x repeated to the shape that its own and another one broadcast to."""
    wanted = n.ints(1)
    assert wanted is not None
    return n.g.broadcast(x.value, np.broadcast_shapes(x.shape, wanted))


@translates("Tile", known=(1,), moves=True)
def tile(n: Node, x: Operand, repeats: Operand) -> Result:
    """x repeated as a whole."""
    return repeating.tile(x.value, n.ints(1))


@translates("Concat", moves=True)
def concat(n: Node, *operands: Operand) -> Result:
    """Arrays one behind the other."""
    axis = axis_in(n.get("axis"), operands[0].rank)
    return n.g.emit("concatenate", *(x.value for x in operands), axis=axis)


@translates("Split", known=(1,), moves=True)
def split(n: Node, x: Operand, lengths: Operand | None = None) -> Result:
    """Parts along an axis."""
    axis = axis_in(n.get("axis", 0), x.rank)
    found = n.ints(1, "split")
    if found is None:
        count = n.get("num_outputs", n.outputs)
        if count != n.outputs:
            raise ValueError(f"{n.outputs} results are asked for, and num_outputs is {count}")
        each = -(-x.shape[axis] // count)
        found = tuple(min(each, max(x.shape[axis] - k * each, 0)) for k in range(count))
    if sum(found) != x.shape[axis]:
        raise ValueError(f"parts of {found} are not the {x.shape[axis]} elements there are")
    stops = np.cumsum(found).tolist()
    return [part(n.g, x.value, axis, stop - m, stop) for stop, m in zip(stops, found, strict=True)]


@translates("Slice", known=(1, 2, 3, 4), moves=True)
def cut(n: Node, x: Operand, *bounds: Operand | None) -> Result:
    """Every so many elements from starts to before stops, backwards as well."""
    starts, stops = n.ints(1, "starts"), n.ints(2, "ends")
    assert starts is not None
    assert stops is not None
    axes, steps = n.ints(3, "axes") or tuple(range(len(starts))), n.ints(4) or (1,) * len(starts)
    found, turned = [slice(0, m, 1) for m in x.shape], []
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        k = axis_in(axis, x.rank)
        chosen = range(x.shape[k])[slice(start, None if step < 0 and stop < -x.shape[k] else stop, step)]
        forward = chosen if step > 0 else chosen[::-1]
        found[k] = slice(forward.start, forward[-1] + 1, forward.step) if len(forward) else slice(0, 0, 1)
        turned += [k] if step < 0 and len(forward) > 1 else []
    made = n.g.emit(
        "slice",
        x.value,
        starts=tuple(each.start for each in found),
        stops=tuple(each.stop for each in found),
        strides=tuple(each.step for each in found),
    )
    return n.g.emit("reverse", made, axes=tuple(sorted(turned))) if turned else made


_WIDEST = 1 << 26
"""How many elements are written beside an array, whose places are known while importing."""


@translates("Pad", known=(1, 3), moves=True)
def pad(
    n: Node, x: Operand, pads: Operand | None = None, fill: Operand | None = None, axes: Operand | None = None
) -> Result:
    """x with more elements around it: one number, or its own; negative numbers take elements away."""
    given, named, mode = n.ints(1, "pads"), n.ints(3), n.get("mode", "constant")
    assert given is not None
    count = len(given) // 2
    pairs = [(0, 0)] * x.rank
    for k, axis in enumerate(range(x.rank) if named is None else named):
        pairs[axis_in(axis, x.rank)] = (given[k], given[k + count])
    g, value = n.g, x.value
    starts = tuple(max(-low, 0) for low, _ in pairs)
    stops = tuple(m - max(-high, 0) for m, (_, high) in zip(x.shape, pairs, strict=True))
    if any(starts) or stops != x.shape:
        value = g.emit("slice", value, starts=starts, stops=stops, strides=(1,) * x.rank)
    widths = [(max(low, 0), max(high, 0)) for low, high in pairs]
    longest = max((m + low + high for m, (low, high) in zip(value.shape, widths, strict=True) if low + high), default=0)
    if mode != "constant" and longest > _WIDEST:
        raise LimitExceeded("onnx_length", f"an axis of {longest} elements that are repeated; the limit is {_WIDEST}")
    if mode == "constant":
        number = g.full(x.value.type.with_shape(()), n.get("value", 0)) if fill is None else g.reshape(fill.value, ())
        return padded(g, value, number, *([pair[side] for pair in widths] for side in (0, 1)))
    return padding.pad(value, widths, mode=mode)


@translates("DepthToSpace", moves=True)
def depth_to_space(n: Node, x: Operand) -> Result:
    """Channels moved to blocks of pixels."""
    g, b, (m, c, h, w) = n.g, n.get("blocksize"), x.shape
    if n.get("mode", "DCR") == "DCR":
        apart, order = (m, b, b, c // (b * b), h, w), (0, 3, 4, 1, 5, 2)
    else:
        apart, order = (m, c // (b * b), b, b, h, w), (0, 1, 4, 2, 5, 3)
    return g.reshape(permute(g, g.reshape(x.value, apart), order), (m, c // (b * b), h * b, w * b))


@translates("SpaceToDepth", moves=True)
def space_to_depth(n: Node, x: Operand) -> Result:
    """Blocks of pixels moved to channels."""
    g, b, (m, c, h, w) = n.g, n.get("blocksize"), x.shape
    apart = g.reshape(x.value, (m, c, h // b, b, w // b, b))
    order = (0, 1, 3, 5, 2, 4) if n.get("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return g.reshape(permute(g, apart, order), (m, c * b * b, h // b, w // b))


@translates("Trilu", moves=True)
def triangle(n: Node, x: Operand, diagonal: Operand | None = None) -> Result:
    """The part of matrices above a diagonal, or below it, with zeros in the other."""
    g, (rows, columns) = n.g, x.shape[-2:]
    down, along = (g.emit("iota", length=m, element_type=ElementType.INT64) for m in (rows, columns))
    ahead = g.sub(g.reshape(along, (1, columns)), g.reshape(down, (rows, 1)))
    bound = 0 if diagonal is None else g.reshape(diagonal.value, (1, 1))
    kept = g.ge(ahead, bound) if n.get("upper", 1) else g.le(ahead, bound)
    return _chosen(n, kept, x)


def _chosen(n: Node, kept: Value, x: Operand) -> Value:
    which = n.g.broadcast(kept, x.shape)
    return n.g.logical_and(which, x.value) if x.dtype.kind == "b" else n.g.select(which, x.value, 0)


@translates("ReverseSequence", moves=True)
def reverse_sequence(n: Node, x: Operand, lengths: Operand) -> Result:
    """The first elements of each example in reverse order."""
    g, time, batch = n.g, n.get("time_axis", 0), n.get("batch_axis", 1)
    rank, count = x.rank, x.shape[time]
    line = g.emit("iota", length=count, element_type=ElementType.INT64)
    own = g.reshape(g.convert(lengths.value, ElementType.INT64), _one(rank, batch, x.shape[batch]))
    step = g.reshape(line, _one(rank, time, count))
    place = g.select(g.lt(*g.align([step, own])), g.sub(g.sub(own, 1), step), g.broadcast(step, _wide(step, own)))
    return along_axis(g, x.value, g.broadcast(place, x.shape), time)


def _one(rank: int, axis: int, length: int) -> tuple[int, ...]:
    return tuple(length if k == axis else 1 for k in range(rank))


def _wide(a: Value, b: Value) -> tuple[int, ...]:
    return np.broadcast_shapes(a.shape, b.shape)
