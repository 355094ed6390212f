"""Ufuncs on values: operands get the element types of NumPy's own loop, and so do results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported, as_operand


def apply_ufunc(
    g: Builder, ufunc: np.ufunc, implementation: Callable[..., Any], name: str, operands: Sequence[Any]
) -> Any:
    """The result of a ufunc by its implementation, a value or a tuple of values.

    Raises:
        Unsupported: NumPy computes it in elements that no graph has.
    """
    given = [as_operand(g, operand) for operand in operands]
    loop = ufunc.resolve_dtypes((*(_kind(operand) for operand in given), *(None,) * ufunc.nout))
    _require_element_types(name, loop)
    results = implementation(g, *(_in_loop(g, x, dtype) for x, dtype in zip(given, loop, strict=False)))
    if ufunc.nout == 1:
        return _in_loop(g, results, loop[-1])
    return tuple(_in_loop(g, result, dtype) for result, dtype in zip(results, loop[ufunc.nin :], strict=True))


def _kind(operand: Any) -> Any:
    """What NumPy's promotion looks at: a dtype, or the type of a Python number, which adapts."""
    if isinstance(operand, Value):
        return operand.type.element_type.dtype
    return type(operand) if type(operand) in (int, float, complex) else np.asarray(operand).dtype


def _in_loop(g: Builder, operand: Any, dtype: np.dtype[Any]) -> Value:
    element_type = ElementType.of(dtype)
    return g.convert(operand, element_type) if isinstance(operand, Value) else g.constant(operand, element_type)


def _require_element_types(name: str, loop: Sequence[np.dtype[Any]]) -> None:
    for dtype in loop:
        try:
            ElementType.of(dtype)
        except TypeError:
            raise Unsupported(
                f"NumPy computes {name} of these operands in {dtype}, and no graph has such elements",
                "convert them beforehand, such as by .astype(np.float64)",
            ) from None
