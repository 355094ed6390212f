"""Shapes as data, and arrays made of nothing but a shape."""

from __future__ import annotations

import math

import numpy as np

from gradserve.client.importers.lax.elements import Operand, held_type
from gradserve.client.importers.lax.known import FOLDED_BYTES
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.types import ElementType


@translates("Constant")
def constant(n: Node) -> Result:
    """An array that stands in the model."""
    kinds = ("value", "value_float", "value_floats", "value_int", "value_ints")
    name = next((kind for kind in kinds if n.get(kind) is not None), None)
    if name is None:
        raise n.refuse("it holds no array of numbers", "give it as an initialiser of numbers")
    array = np.asarray(n.get(name))
    if name.startswith("value_"):
        array = array.astype(n.reader.elements.dtype(1 if "float" in name else 7))
    return n.reader.constant(n.g, array)


@translates("Shape", uint64=True)
def shape(n: Node, x: Operand) -> Result:
    """The lengths of x, or some of them."""
    lengths = x.shape[slice(n.get("start", 0), n.get("end"))]
    return n.g.constant(np.array(lengths, np.int64))


@translates("Size", uint64=True)
def size(n: Node, x: Operand) -> Result:
    """The number of elements."""
    return n.g.constant(math.prod(x.shape), ElementType.INT64)


@translates("ConstantOfShape", known=(0,))
def constant_of_shape(n: Node, lengths: Operand) -> Result:
    """One number in a shape."""
    shape, fill = n.ints(0), n.get("value")
    assert shape is not None
    if any(length < 0 for length in shape):
        raise ValueError(f"{shape} has a negative length")
    dtype = n.reader.elements.dtype(1) if fill is None else fill.dtype
    number = 0 if fill is None else fill.reshape(-1)[0].item()
    return Operand(n.g.full(held_type(dtype, shape), number), dtype)


@translates("Range", known=(0, 1, 2))
def numbers(n: Node, start: Operand, limit: Operand, delta: Operand) -> Result:
    """Numbers from a start to before a limit."""
    first, last, step = (n.array(k) for k in range(3))
    assert first is not None
    assert last is not None
    assert step is not None
    if not step:
        raise ValueError("the numbers of a range are not apart")
    count = max(math.ceil((last.item() - first.item()) / step.item()), 0)
    if count * 8 > FOLDED_BYTES:
        raise LimitExceeded("onnx_constant_bytes", f"a range of {count} numbers is larger than {FOLDED_BYTES} bytes")
    return Operand(n.g.constant((first + np.arange(count) * step).astype(first.dtype)), start.dtype)


@translates("EyeLike")
def eye(n: Node, x: Operand) -> Result:
    """Ones on a diagonal of a matrix in the shape of x."""
    dtype = x.dtype if n.get("dtype") is None else n.reader.elements.dtype(n.get("dtype"))
    g, (rows, columns) = n.g, x.shape
    down, along = (g.emit("iota", length=length, element_type=ElementType.INT64) for length in (rows, columns))
    on = g.eq(g.add(g.reshape(down, (rows, 1)), n.get("k", 0)), g.reshape(along, (1, columns)))
    return Operand(g.convert(on, held_type(dtype, ()).element_type), dtype)


@translates("OneHot", known=(1,))
def one_hot(n: Node, indices: Operand, depth: Operand, values: Operand) -> Result:
    """One value where a new axis counts to an index, the other one elsewhere; what is out of range is nowhere."""
    g, found, rank = n.g, n.ints(1), indices.rank + 1
    assert found is not None
    axis, count = n.get("axis", -1) % rank, found[0]
    given = g.convert(indices.value, ElementType.INT64)
    position = g.select(g.lt(given, 0), g.add(given, count), given)
    wide = g.reshape(position, (*indices.shape[:axis], 1, *indices.shape[axis:]))
    line = g.emit("iota", length=count, element_type=ElementType.INT64)
    on = g.eq(wide, g.reshape(line, tuple(count if k == axis else 1 for k in range(rank))))
    off, one = (g.reshape(g.emit("slice", values.value, starts=(k,), stops=(k + 1,), strides=(1,)), ()) for k in (0, 1))
    return Operand(g.select(on, g.broadcast(one, on.shape), g.broadcast(off, on.shape)), values.dtype)
