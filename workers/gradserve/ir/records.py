"""Records that are made in great numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots, held frozen by the type checker alone: to make one takes a third of the time."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
