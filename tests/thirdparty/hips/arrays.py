"""NumPy as the suite imports it: NumPy's own functions, and what it builds arrays by that NumPy cannot pass on."""

from __future__ import annotations

import functools
import types
from typing import Any

import numpy as np

from gradserve.client.tracing.tracer import Tracer

_OF_ARRAYS = frozenset({"append", "mean", "norm", "std", "var"})
"""Functions that NumPy does not pass on when an array is given as a list of traced ones."""


def array(tree: Any, *args: Any, **named: Any) -> Any:
    """np.array, and np.stack for lists with traced arrays in them."""
    if isinstance(tree, Tracer):
        return tree
    return np.stack([array(part) for part in tree]) if _is_traced(tree) else np.array(tree, *args, **named)


def _is_traced(tree: Any) -> bool:
    return isinstance(tree, Tracer) or (isinstance(tree, list | tuple) and any(map(_is_traced, tree)))


def make_diagonal(x: Any, axis1: int = -1, axis2: int = -2) -> Any:
    """Diagonal matrices with the last axis as their diagonals."""
    assert {axis1, axis2} == {-1, -2}
    return x[..., None] * np.eye(x.shape[-1])


def partition(x: Any, kth: Any, axis: int = -1) -> Any:
    """np.partition, but all sorted, as traced arrays are: NumPy's order between the places varies with CPUs."""
    return np.partition(x, kth, axis) if isinstance(x, Tracer) else np.sort(x, axis)


class Joined:
    """np.r_ and np.c_ of arrays and slices."""

    def __init__(self, columns: bool) -> None:
        self._columns = columns

    def __getitem__(self, key: Any) -> Any:
        parts = [
            np.r_[part] if isinstance(part, slice) else part for part in (key if isinstance(key, tuple) else (key,))
        ]
        return np.column_stack(parts) if self._columns else np.concatenate([np.atleast_1d(part) for part in parts])


class Numpy(types.ModuleType):
    """A module of NumPy under another name."""

    def __init__(self, module: types.ModuleType, **own: Any) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(own)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._module, name)
        if name not in _OF_ARRAYS:
            return member
        return functools.wraps(member)(
            lambda *args, **named: member(*(array(x) if _is_traced(x) else x for x in args), **named)
        )


numpy = Numpy(
    np,
    array=array,
    make_diagonal=make_diagonal,
    partition=partition,
    r_=Joined(False),
    c_=Joined(True),
    row_stack=np.vstack,
    linalg=Numpy(np.linalg, _dot=np.matmul, T=np.matrix_transpose),
)
