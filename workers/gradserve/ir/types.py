"""Types of arrays: an element type and a shape."""

from __future__ import annotations

import enum
import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gradserve.ir.records import dataclass, once

Array: TypeAlias = NDArray[Any]


class ElementType(enum.Enum):
    """The type of one array element; the value is its short name in the text form."""

    BOOL = "bool"
    INT32 = "i32"
    INT64 = "i64"
    FLOAT32 = "f32"
    FLOAT64 = "f64"
    COMPLEX64 = "c64"
    COMPLEX128 = "c128"

    __hash__ = object.__hash__

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the same elements."""
        return _DTYPES[self]

    def dtype_in(self, xp: Any) -> Any:
        """The dtype of the same elements in an array namespace."""
        return getattr(xp, self.dtype.name)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return _DTYPES[self].itemsize

    @property
    def is_float(self) -> bool:
        """Whether it is a floating-point number, real or complex: one may differentiate with respect to it."""
        return self in _REAL or self in _PARTS

    @property
    def is_real(self) -> bool:
        """Whether it is a real floating-point number."""
        return self in _REAL

    @property
    def is_complex(self) -> bool:
        """Whether it is a complex number."""
        return self in _PARTS

    @property
    def part(self) -> ElementType:
        """The type of the real part: its own, unless it is complex."""
        return _PARTS.get(self, self)

    @property
    def with_parts(self) -> ElementType:
        """The complex type with real parts of this type; complex128 for integers and truth values, as in NumPy."""
        return self if self.is_complex else _WITH_PARTS.get(self, ElementType.COMPLEX128)

    @property
    def is_integer(self) -> bool:
        """Whether it is a signed integer (a truth value is not)."""
        return self in (ElementType.INT32, ElementType.INT64)

    @staticmethod
    def of(dtype: Any) -> ElementType:
        """The element type of a NumPy dtype.

        Raises:
            TypeError: gradserve has no such element type.
        """
        found = _BY_DTYPE.get(np.dtype(dtype))
        if found is None:
            names = ", ".join(str(t) for t in _BY_DTYPE)
            raise TypeError(f"no element type for dtype {np.dtype(dtype)}; convert to one of {names}")
        return found


_DTYPES: dict[ElementType, np.dtype[Any]] = {
    ElementType.BOOL: np.dtype(np.bool_),
    ElementType.INT32: np.dtype(np.int32),
    ElementType.INT64: np.dtype(np.int64),
    ElementType.FLOAT32: np.dtype(np.float32),
    ElementType.FLOAT64: np.dtype(np.float64),
    ElementType.COMPLEX64: np.dtype(np.complex64),
    ElementType.COMPLEX128: np.dtype(np.complex128),
}
_REAL = frozenset({ElementType.FLOAT32, ElementType.FLOAT64})
_PARTS = {ElementType.COMPLEX64: ElementType.FLOAT32, ElementType.COMPLEX128: ElementType.FLOAT64}
_WITH_PARTS = {part: element_type for element_type, part in _PARTS.items()}
_BY_DTYPE = {dtype: element_type for element_type, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Symbol:
    """A length that the author of a graph does not know; equal only to itself, bound at plan time."""

    name: str

    def __str__(self) -> str:
        return self.name


Length: TypeAlias = int | Symbol
Shape: TypeAlias = tuple[Length, ...]


@dataclass(frozen=True)
class TensorType:
    """The type of an array, printed as `f64[3,4]`. What is asked of it is worked out once: values share their types."""

    element_type: ElementType
    shape: Shape = ()

    @once
    def _hash(self) -> int:
        """By its text: tuples of numbers have hashes that anybody can make alike, texts do not."""
        return hash(self.text)

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[TensorType], tuple[ElementType, Shape]]:
        """Without what was worked out: hashes of texts are others in each process."""
        return TensorType, (self.element_type, self.shape)

    @once
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @once
    def is_concrete(self) -> bool:
        """Whether every length is a number."""
        return not any(isinstance(length, Symbol) for length in self.shape)

    @once
    def lengths(self) -> tuple[int, ...]:
        """The shape, all numbers.

        Raises:
            TypeError: a length is still a symbol.
        """
        if not self.is_concrete:
            raise TypeError(f"{self} has unbound lengths")
        return self.shape  # type: ignore[return-value]

    @once
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.lengths)

    @once
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.size * self.element_type.itemsize

    @once
    def is_float(self) -> bool:
        """Whether one may differentiate with respect to it: its elements are real or complex."""
        return self.element_type.is_float

    @once
    def is_complex(self) -> bool:
        """Whether its elements are complex."""
        return self.element_type.is_complex

    @once
    def is_real(self) -> bool:
        """Whether its elements are real floating-point numbers."""
        return self.element_type.is_real

    @once
    def part(self) -> TensorType:
        """The type of its real part: its own, unless it is complex."""
        return self.with_element_type(self.element_type.part)

    def with_shape(self, shape: Shape) -> TensorType:
        """The type of the same elements in another shape."""
        return TensorType(self.element_type, shape)

    def with_element_type(self, element_type: ElementType) -> TensorType:
        """The type of other elements in the same shape."""
        return TensorType(element_type, self.shape)

    @once
    def text(self) -> str:
        """How it is printed: messages are written before it is known whether they are needed."""
        return f"{self.element_type.value}[{','.join(map(str, self.shape))}]"

    def __str__(self) -> str:
        return self.text


def type_of(array: Array) -> TensorType:
    """The type of a NumPy array."""
    return TensorType(ElementType.of(array.dtype), array.shape)
