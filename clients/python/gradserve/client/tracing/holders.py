"""Objects that hold traced arrays without being such, as a sparse matrix of them does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Holder:
    """An object that holds traced arrays, and is an argument of functions of these."""

    __slots__ = ()

    def held(self) -> Any:
        """The arrays that it holds."""
        raise NotImplementedError

    def with_values(self, values: Callable[[Any], Any]) -> Any:
        """What functions on values take in its place; `values` gives that of an array."""
        raise NotImplementedError


OF_SPARSE: list[Callable[[np.ufunc, Sequence[Any]], Any]] = []
"""What gives the result of a ufunc of a sparse matrix and a traced array, or NotImplemented."""
