"""The builder that tracers and importers record into: it knows arrays by identity and converts constants at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Scalar, Value
from gradserve.ir.graph import Constant, Literal
from gradserve.ir.types import Array, ElementType
from gradserve.numpy.arguments import Unsupported
from gradserve.ops import OP_SET


class Recorder(Builder):
    """The graph of one call, or of a function that is called within it.

    A function reads its inputs and nothing else. What it captures, arrays and values of the graph around it, becomes
    further inputs.
    """

    def __init__(self, parent: Recorder | None = None, continues: bool = False) -> None:
        """Starts an empty graph over the whole op set; a function's within that of its parent."""
        super().__init__(OP_SET)
        self.parent = parent
        self._continues = continues
        self.closed = False
        """Whether all is recorded: the function has returned."""
        self.captured: dict[int, tuple[Value, Value]] = {}
        """Values of the parent and the inputs that stand for them, by the numbers of the former."""
        self._around: dict[int, Value] = {}
        """The values of the parent that inputs stand for."""
        self._captured: dict[tuple[int, ElementType | None], tuple[Array, Literal, Value]] = {}

    def is_within(self, builder: Builder) -> bool:
        """Whether this is the graph of that builder, or of a function in it."""
        return self is builder or (self.parent is not None and self.parent.is_within(builder))

    def is_of_run(self, builder: Builder) -> bool:
        """Whether the same run of code records this graph and that one, whose arrays it may write to, then."""
        return self is builder or (self._continues and self.parent is not None and self.parent.is_of_run(builder))

    def adopt(self, value: Value) -> Value:
        """The value, which may be one of the graphs around this one, as one of this graph."""
        if value.builder is self or self.parent is None:
            return value
        outer = self.parent.adopt(value)
        if outer.index not in self.captured:
            inner = self.input(f"x{len(self._inputs)}", outer.type)
            self.captured[outer.index] = outer, inner
            self._around[inner.index] = outer
        return self.captured[outer.index][1]

    def around(self, value: Value) -> Value | None:
        """The value of the parent that an input stands for."""
        return self._around.get(value.index)

    def literal(self, value: Value) -> Constant | None:
        """The constant behind a value, also of a graph around this one."""
        outer = self.around(value)
        return super().literal(value) if outer is None or self.parent is None else self.parent.literal(outer)

    def constant(
        self, literal: Constant | Array | Scalar | np.generic, element_type: ElementType | None = None
    ) -> Value:
        """The constant with these elements; an array captured again unchanged is found without hashing it.

        Raises:
            Unsupported: no graph has such elements.
        """
        if isinstance(literal, np.ndarray | np.generic) and element_type is None:
            _require_element_type(literal.dtype)
        if self.parent is not None and isinstance(literal, np.ndarray | Literal) and _rank(literal):
            return self.adopt(self.parent.constant(literal, element_type))
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
        # Of an array that is read-only here, its owner may still write into the memory.
        literal = Literal(wanted if wanted.flags.writeable or wanted.base is None else wanted.copy())
        value = super().constant(literal)
        # The array is kept alive, so that no other array gets its id.
        self._captured[key] = (array, literal, value)
        return value

    def convert(self, value: Value, element_type: ElementType) -> Value:
        """The value with other elements; a constant is converted here and now."""
        if value.type.element_type is element_type:
            return value
        literal = self.literal(value)
        if isinstance(literal, Literal):
            return self.constant(literal.array.astype(element_type.dtype))
        return super().convert(value, element_type)


def _rank(literal: Array | Literal) -> int:
    return literal.type.rank if isinstance(literal, Literal) else literal.ndim


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
        raise Unsupported(
            f"an array of {dtype} takes part in a traced computation, and no graph has such elements",
            "convert it beforehand, such as by .astype(np.float64)",
        ) from None
