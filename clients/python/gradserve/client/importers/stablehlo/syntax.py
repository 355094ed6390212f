"""A program as it is written: functions of operations, with their attributes and regions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeAlias

import numpy as np

from gradserve.client.importers.stablehlo.tokens import Token, invalid
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.records import dataclass

MOST_ELEMENTS = 1 << 40
"""Of one array; more than any memory holds."""
_DTYPES = {
    "i1": "bool",
    **{f"{sign}i{bits}": f"{kind}int{bits}" for sign, kind in (("", ""), ("u", "u")) for bits in (8, 16, 32, 64)},
    **{f"si{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **dict.fromkeys(("f16", "bf16", "f32"), "float32"),
    "f64": "float64",
    "complex<f32>": "complex64",
    "complex<f64>": "complex128",
    "index": "int64",
}
_HALVES = {"f16": "float16", "bf16": "bfloat16"}
_TYPE = re.compile(r"tensor<((?:(?:\d+|\?)x)*)([A-Za-z_]\w*(?:<[^<>]*>)?)>")
OPEN = -1
"""A length that is not known."""


@dataclass(frozen=True)
class ArrayType:
    """The type of an array: its elements as they are written, and its shape."""

    elements: str
    shape: tuple[int, ...]
    """Lengths, `OPEN` where none is known."""
    line: int = field(compare=False, default=0)

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The elements that its own are computed as, NumPy's; None if there are none."""
        name = _DTYPES.get(self.elements)
        return None if name is None else np.dtype(name)

    @property
    def half(self) -> str | None:
        """NumPy's name of its elements if they are reals of 16 bits."""
        return _HALVES.get(self.elements)

    def takes(self, shape: Sequence[int], dtype: np.dtype[Any]) -> bool:
        """Whether arrays of a shape and elements are of this type."""
        lengths = zip(self.shape, shape, strict=False)
        return self.dtype == dtype and len(shape) == len(self.shape) and all(n in (OPEN, m) for n, m in lengths)

    def __str__(self) -> str:
        return f"tensor<{''.join('?x' if n == OPEN else f'{n}x' for n in self.shape)}{self.elements}>"


def array_type(token: Token) -> ArrayType:
    """The type that a token writes.

    Raises:
        InvalidGraph: it is none of arrays.
        LimitExceeded: nothing could hold such an array.
    """
    found = _TYPE.fullmatch(token.text.replace(" ", ""))
    if found is None:
        raise invalid(token.line, f"{token.text[:80]} is no type of arrays that is known here")
    digits = found.group(1).split("x")[:-1]
    if len(digits) > 64 or any(len(each) > 18 for each in digits):
        raise LimitExceeded("elements", f"line {token.line}: {token.text[:80]} is larger than any memory")
    shape = tuple(OPEN if each == "?" else int(each) for each in digits)
    if math.prod(max(n, 1) for n in shape) > MOST_ELEMENTS:
        raise LimitExceeded("elements", f"line {token.line}: {token.text[:80]} is larger than any memory")
    return ArrayType(found.group(2), shape, token.line)


@dataclass(frozen=True)
class Dense:
    """The elements of a constant, as they are written."""

    text: str
    type: ArrayType


@dataclass(frozen=True)
class Region:
    """Operations on arguments; the last one returns."""

    arguments: tuple[tuple[str, ArrayType], ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Operation:
    """One operation: what it is called, reads and gives."""

    name: str
    results: tuple[tuple[str, int], ...]
    """Names, and how many values each of them has."""
    operands: tuple[str, ...]
    attributes: Mapping[str, Any]
    regions: tuple[Region, ...]
    types: tuple[ArrayType, ...]
    """Of the results."""
    line: int


@dataclass(frozen=True)
class Function:
    """A function of the program."""

    name: str
    public: bool
    arguments: tuple[tuple[str, ArrayType], ...]
    body: Region
    line: int


Module: TypeAlias = Mapping[str, Function]


def types_in(region: Region) -> Iterator[ArrayType]:
    """The types of all that a region computes."""
    yield from (type_ for _, type_ in region.arguments)
    for operation in region.operations:
        yield from operation.types
        for inner in operation.regions:
            yield from types_in(inner)


def numbers(given: Any, line: int) -> tuple[int, ...]:
    """An attribute as whole numbers.

    Raises:
        InvalidGraph: it is none.
    """
    values = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not all(type(value) is int for value in values):
        raise invalid(line, f"{given!r} are no whole numbers")
    return tuple(values)
