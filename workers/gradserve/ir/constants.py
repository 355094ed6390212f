"""The constants of a graph under construction."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from gradserve.ir.graph import Constant, Literal
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ir.value import PYTHON, Scalar, Value


class Constants:
    """Constants by their elements: equal ones are one value."""

    def __init__(self, new: Callable[[TensorType], Value]) -> None:
        """None yet; `new` makes the value of one."""
        self._new = new
        self.values: dict[Constant, Value] = {}
        self.literals: dict[int, Constant] = {}
        """Constants by the indices of their values."""
        self._numbers: dict[Hashable, Value] = {}
        """Those of one element: by the type and the text of their number, and by what was asked for."""

    def of(self, literal: Constant | Array | Scalar | np.generic, element_type: ElementType | None) -> Value:
        """The constant with these elements."""
        if literal.__class__ in PYTHON:  # most are; NumPy takes long to tell what is the same of them
            asked = literal.__class__, repr(literal), element_type
            found = self._numbers.get(asked)
            if found is None:
                found = self._numbers[asked] = self._number(np.asarray(literal, _dtype(element_type)))
            return found
        if isinstance(literal, bool | int | float | complex | np.generic):
            return self._number(np.asarray(literal, _dtype(element_type)))
        if isinstance(literal, np.ndarray):
            if not literal.ndim:
                return self._number(np.asarray(literal, _dtype(element_type)))
            literal = Literal(literal if element_type is None else literal.astype(element_type.dtype, copy=False))
        return self._constant(literal)

    def _number(self, array: Array) -> Value:
        key = ElementType.of(array.dtype), repr(array.item())
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = self._constant(Literal(array))
        return found

    def _constant(self, constant: Constant) -> Value:
        found = self.values.get(constant)
        if found is None:
            found = self.values[constant] = self._new(constant.type)
            self.literals[found.index] = constant
        return found


def _dtype(element_type: ElementType | None) -> np.dtype | None:
    return None if element_type is None else element_type.dtype
