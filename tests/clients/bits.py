"""Answers compared bit by bit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


def same_bits(one: Any, other: Any) -> bool:
    """Whether two trees have the same structure and their leaves the same types, shapes and bits."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and bool(one.tobytes() == other.tobytes())
    if isinstance(one, dict):
        return list(one) == list(other) and all(same_bits(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same_bits, one, other))
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return all(same_bits(getattr(one, name), getattr(other, name)) for name in names)
    return bool(one == other) or (one != one and other != other)
