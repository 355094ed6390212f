"""The builder that tracing records into: it knows the author's arrays by identity and converts constants at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client.origins import untraceable
from gradserve.ir.builder import Builder, Scalar, Value
from gradserve.ir.graph import Constant, Literal
from gradserve.ir.types import Array, ElementType
from gradserve.ops import OP_SET


class Recorder(Builder):
    """The graph of one traced call."""

    def __init__(self) -> None:
        """Starts an empty graph over the whole op set."""
        super().__init__(OP_SET)
        self._captured: dict[tuple[int, ElementType | None], tuple[Array, Literal, Value]] = {}

    def constant(
        self, literal: Constant | Array | Scalar | np.generic, element_type: ElementType | None = None
    ) -> Value:
        """The constant with these elements; an array captured again unchanged is found without hashing it.

        Raises:
            Untraceable: no graph has such elements.
        """
        if isinstance(literal, np.ndarray | np.generic) and element_type is None:
            _require_element_type(literal.dtype)
        if isinstance(literal, np.ndarray) and literal.ndim:
            return self._capture(literal, element_type)
        return super().constant(literal, element_type)

    def _capture(self, array: Array, element_type: ElementType | None) -> Value:
        key = (id(array), element_type)
        wanted = array if element_type is None else array.astype(element_type.dtype, copy=False)
        known = self._captured.get(key)
        # The author may have written into the array since: its identity alone does not tell.
        if known is not None and _same_bytes(wanted, known[1].array):
            return known[2]
        literal = Literal(wanted)
        value = super().constant(literal)
        # The array is kept alive, so that no other array gets its id.
        self._captured[key] = (array, literal, value)
        return value

    def convert(self, value: Value, element_type: ElementType) -> Value:
        """The value with other elements; a constant is converted here and now."""
        literal = self.literal(value)
        if isinstance(literal, Literal) and literal.type.element_type is not element_type:
            return super().constant(literal.array.astype(element_type.dtype))
        return super().convert(value, element_type)


def _same_bytes(array: Array, other: Array) -> bool:
    if array.shape != other.shape or array.dtype != other.dtype:
        return False
    return np.array_equal(_bytes(array), _bytes(other))


def _bytes(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _require_element_type(dtype: np.dtype[Any]) -> None:
    try:
        ElementType.of(dtype)
    except TypeError:
        raise untraceable(
            f"an array of {dtype} takes part in a traced computation, and no graph has such elements",
            "convert it beforehand, such as by .astype(np.float64)",
        ) from None
