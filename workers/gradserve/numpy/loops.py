"""Ufuncs on values: operands get the element types of NumPy's own loop, and so do results."""

from __future__ import annotations

import functools
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
    loop = _loop(ufunc, name, *map(_kind, given))
    results = implementation(g, *(_in_loop(g, x, own) for x, own in zip(given, loop, strict=False)))
    if ufunc.nout == 1:
        return _in_loop(g, results, loop[-1])
    return tuple(_in_loop(g, result, own) for result, own in zip(results, loop[ufunc.nin :], strict=True))


def _kind(operand: Any) -> Any:
    """What NumPy's promotion looks at: a dtype, or the type of a Python number, which adapts."""
    if isinstance(operand, Value):
        return operand.type.element_type.dtype
    return type(operand) if type(operand) in (int, float, complex) else np.asarray(operand).dtype


def _in_loop(g: Builder, operand: Any, element_type: ElementType) -> Value:
    return g.convert(operand, element_type) if isinstance(operand, Value) else g.constant(operand, element_type)


@functools.lru_cache(maxsize=1024)
def _loop(ufunc: np.ufunc, name: str, *kinds: Any) -> tuple[ElementType, ...]:
    """The element types of operands and results in the loop that NumPy takes for operands of these kinds."""
    found = []
    for dtype in ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout)):
        try:
            found.append(ElementType.of(dtype))
        except TypeError:
            raise Unsupported(
                f"NumPy computes {name} of these operands in {dtype}, and no graph has such elements",
                "convert them beforehand, such as by .astype(np.float64)",
            ) from None
    return tuple(found)
