"""Torch's elements: how they are promoted where arrays of several kinds and numbers meet.

An array with axes counts before one without, and that before a Python number, unless the latter are of a higher
category: truth values are below integers, and these below reals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gradserve.client.importers.lax.elements import Operand

_DEFAULT = {bool: "bool", int: "int64", float: "float32", complex: "complex64"}


def promoted_dtype(given: Sequence[Any]) -> np.dtype[Any]:
    """The elements that torch computes in, of operands and of Python numbers; its default dtype is float32."""
    arrays = [x for x in given if isinstance(x, Operand)]
    ranked = _joined(x.dtype for x in arrays if x.rank)
    scalars = _joined(x.dtype for x in arrays if not x.rank)
    numbers = _joined(np.dtype(_DEFAULT[type(x)]) for x in given if not isinstance(x, Operand))
    found = _combined(_combined(ranked, scalars), numbers)
    assert found is not None
    return found


def _combined(higher: np.dtype[Any] | None, lower: np.dtype[Any] | None) -> np.dtype[Any] | None:
    """The elements of those that count more, unless the others are of a higher category."""
    if higher is None or lower is None:
        return lower if higher is None else higher
    if _category(lower) <= _category(higher):
        return higher
    return np.promote_types(higher, lower) if lower.kind == "c" and higher.kind == "f" else lower


def _joined(dtypes: Iterable[np.dtype[Any]]) -> np.dtype[Any] | None:
    found: np.dtype[Any] | None = None
    for each in dtypes:
        found = each if found is None else _promoted(found, each)
    return found


def _promoted(one: np.dtype[Any], other: np.dtype[Any]) -> np.dtype[Any]:
    if _category(one) != _category(other):
        return one if _category(one) > _category(other) else other
    return np.promote_types(one, other)


def _category(dtype: np.dtype[Any]) -> int:
    return {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}[dtype.kind]
