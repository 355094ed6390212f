"""Derivatives as maps: products with vectors, and the dense matrix only for whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradserve.ir.records import dataclass


@dataclass(frozen=True)
class LinearOperator:
    """A matrix that is never stored. Vectors have the structures of a function's parameters and of its value."""

    mv: Callable[[Any], Any]
    """The product with a vector."""
    rmv: Callable[[Any], Any]
    """The product of the transpose with a vector."""
    to_dense: Callable[[], Any]
    """The matrix itself."""
