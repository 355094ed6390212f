"""XLA's elements among ours: narrow and unsigned integers lie in wider ones, exactly, and wrap round as they do there.

| XLA's | held in |
| --- | --- |
| bool, int32, int64, float32, float64, complex64, complex128 | the same |
| int8, uint8, int16, uint16 | int32 |
| uint32 | int64 |
| uint64 | int64 of the same bits |
| float16, bfloat16 | float32, which importers note: less is rounded |

Others are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, Shape, TensorType
from gradserve.numpy.arguments import Unsupported

_HELD: dict[str, ElementType] = {
    "bool": ElementType.BOOL,
    **dict.fromkeys(("int8", "uint8", "int16", "uint16", "int32"), ElementType.INT32),
    **dict.fromkeys(("uint32", "int64", "uint64"), ElementType.INT64),
    "float32": ElementType.FLOAT32,
    "float64": ElementType.FLOAT64,
    "complex64": ElementType.COMPLEX64,
    "complex128": ElementType.COMPLEX128,
}
_SIGN = -(1 << 63)
HALVES = ("float16", "bfloat16")
"""Reals of 16 bits."""
BITS_OF_UINT64 = "a result of uint64 is given as int64 of the same bits; .view(np.uint64) has its numbers"


@dataclass(frozen=True, slots=True)
class Operand:
    """A value, and the elements that it has in XLA."""

    value: Value
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its lengths."""
        return self.value.shape

    @property
    def rank(self) -> int:
        """The number of axes."""
        return self.value.type.rank

    @property
    def is_float(self) -> bool:
        """Whether its elements are real."""
        return self.dtype.kind == "f"

    @property
    def is_complex(self) -> bool:
        """Whether its elements are complex."""
        return self.dtype.kind == "c"

    @property
    def is_whole(self) -> bool:
        """Whether its elements are integers or truth values."""
        return self.dtype.kind in "iub"

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


def half_note(dtype: Any, computed_as: str = "float32") -> str:
    """What is said of a program with reals of 16 bits."""
    return f"{dtype} is computed as {computed_as}: less is rounded"


def require_no_bits(name: str, dtypes: Iterable[Any]) -> None:
    """Sees that nothing reads or makes the bits of reals of 16 bits, which are not there.

    Raises:
        Unsupported: it does.
    """
    half = next((dtype for dtype in dtypes if str(dtype) in HALVES), None)
    if half is not None and name.startswith(("bitcast_convert", "next", "view.dtype")):
        raise Unsupported(f"{half} is computed as float32, which has other bits", "convert to float32 before it")


def computed(dtype: Any) -> np.dtype[Any]:
    """The elements that those of a dtype are computed as: reals of 16 bits as float32, others as they are."""
    return np.dtype(np.float32) if str(dtype) in HALVES else np.dtype(dtype)


def of_half(bits: Array, name: str) -> Array:
    """Reals of 16 bits, told by their bits as uint16, as float32."""
    if name == "float16":
        return bits.view(np.float16).astype(np.float32)
    return np.left_shift(bits.astype(np.uint32), 16).view(np.float32)


def held(dtype: Any) -> ElementType:
    """Our elements that hold those of a dtype.

    Raises:
        Unsupported: none do.
    """
    found = _HELD.get(str(dtype))
    if found is None:
        kinds = {"float": "float32 or float64", "complex": "complex64 or complex128"}
        wider = next((held for kind, held in kinds.items() if kind in str(dtype)), "int32 or int64")
        raise Unsupported(f"no graph has elements of {dtype}", f"convert to {wider}")
    return found


def held_type(dtype: Any, shape: Shape) -> TensorType:
    """The type of the value that holds an array of XLA's."""
    return TensorType(held(dtype), shape)


def constant(g: Builder, array: Array) -> Operand:
    """A constant array of XLA's elements."""
    array = array.astype(computed(array.dtype), copy=False)
    element_type = held(array.dtype)
    same_bits = array.view(np.int64) if array.dtype == np.uint64 else array.astype(element_type.dtype, copy=False)
    return Operand(g.constant(np.asarray(same_bits)), array.dtype)


def alike(g: Builder, operands: Sequence[Operand]) -> Sequence[Operand]:
    """Operands of one shape, where a scalar may stand for an array of it."""
    shapes = {x.shape for x in operands if x.rank}
    if len(shapes) != 1 or all(x.rank for x in operands):
        return operands
    (shape,) = shapes
    return [Operand(g.broadcast(x.value, shape), x.dtype) for x in operands]


def bits_of(dtype: np.dtype[Any]) -> int:
    """The number of bits of an integer."""
    return dtype.itemsize * 8


def finished(g: Builder, value: Value, dtype: np.dtype[Any]) -> Value:
    """What was computed in wider elements as XLA's integers have it: without what does not fit in."""
    value = g.convert(value, held(dtype))
    if dtype.kind not in "iu" or bits_of(dtype) == bits_of(value.type.element_type.dtype):
        return value
    mask, half = (1 << bits_of(dtype)) - 1, 1 << (bits_of(dtype) - 1)
    if dtype.kind == "u":
        return g.bitwise_and(value, mask)
    return g.sub(g.bitwise_and(g.add(value, half), mask), half)


def unsigned(g: Builder, x: Operand) -> Value:
    """The bits of an integer as a number from 0 on, in int64; of 64 bits, as they are."""
    value = g.convert(x.value, ElementType.INT64)
    return value if bits_of(x.dtype) == 64 else g.bitwise_and(value, (1 << bits_of(x.dtype)) - 1)


def ordered(g: Builder, x: Operand) -> Value:
    """A value whose order is that of x in XLA."""
    return g.bitwise_xor(x.value, _SIGN) if x.dtype == np.uint64 else x.value


def converted(g: Builder, x: Operand, dtype: np.dtype[Any]) -> Value:
    """x with other elements: reals lose their fraction, complex numbers their imaginary part, integers wrap round.

    All but zero is true.
    """
    if x.is_complex and dtype.kind in "fiu":
        real = np.dtype(x.value.type.element_type.part.dtype)
        return converted(g, Operand(g.real(x.value), real), dtype)
    if x.dtype == np.uint64 and dtype.kind == "c":
        part = np.dtype(held(dtype).part.dtype)
        return g.convert(converted(g, x, part), held(dtype))
    if x.dtype == np.uint64 and dtype.kind == "f":
        half = g.bitwise_or(shifted_right(g, x, g.constant(1, ElementType.INT64)), g.bitwise_and(x.value, 1))
        doubled = g.mul(g.convert(half, held(dtype)), 2.0)
        return g.select(g.lt(x.value, 0), doubled, g.convert(x.value, held(dtype)))
    if dtype.kind == "b":
        return g.ne(x.value, 0) if x.dtype.kind != "b" else x.value
    return finished(g, x.value, dtype)


def shifted_right(g: Builder, x: Operand, places: Value) -> Value:
    """The bits of x moved down, with zeros from above; 0 where they all leave it."""
    bits, steps = unsigned(g, x), g.convert(places, ElementType.INT64)
    inside = g.minimum(g.maximum(steps, 0), 63)
    moved = g.shift_right(bits, inside)
    if bits_of(x.dtype) == 64:  # the sign came down as well
        highest = g.sub(g.shift_left(g.constant(1, ElementType.INT64), g.sub(63, inside)), 1)
        moved = g.bitwise_and(moved, g.add(g.mul(highest, 2), 1))
    within = g.logical_and(g.ge(steps, 0), g.lt(steps, bits_of(x.dtype)))
    return finished(g, g.select(within, moved, 0), x.dtype)


def shifted_left(g: Builder, x: Operand, places: Value) -> Value:
    """The bits of x moved up; 0 where they all leave it."""
    steps = g.convert(places, ElementType.INT64)
    moved = g.shift_left(g.convert(x.value, ElementType.INT64), g.minimum(g.maximum(steps, 0), 63))
    within = g.logical_and(g.ge(steps, 0), g.lt(steps, bits_of(x.dtype)))
    return finished(g, g.select(within, moved, 0), x.dtype)


def shifted_right_signed(g: Builder, x: Operand, places: Value) -> Value:
    """The bits of x moved down, with copies of the highest one from above."""
    signed = np.dtype(f"int{bits_of(x.dtype)}")
    steps = g.convert(places, ElementType.INT64)
    within = g.logical_and(g.ge(steps, 0), g.lt(steps, bits_of(x.dtype)))
    value = g.convert(finished(g, x.value, signed), ElementType.INT64)
    return finished(g, g.shift_right(value, g.select(within, steps, 63)), x.dtype)
