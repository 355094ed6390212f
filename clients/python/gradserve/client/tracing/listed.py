"""Ufuncs of lists with traced arrays in them, `np.log([a, b])`: NumPy would ask each of these for numbers.

No protocol says so, and ufuncs are known by their identity, so nothing else may stand in their places in NumPy. In the
author's modules something may: under the names of ufuncs, and under that of NumPy as a whole.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from gradserve.client.tracing.names import first_tracer


def as_arrays(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments, lists with traced arrays in them as traced arrays."""
    return tuple(np.array(x) if type(x) in (list, tuple) and first_tracer(x) is not None else x for x in args)


class _OfLists:
    """A ufunc that takes such lists, as its methods do."""

    def __init__(self, own: np.ufunc) -> None:
        functools.update_wrapper(self, own)
        self._own = own

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._own(*as_arrays(args), **named)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._own, name)
        return _of_lists(found) if callable(found) else found

    def __repr__(self) -> str:
        return repr(self._own)


def _of_lists(method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **named: method(*as_arrays(args), **named)


class _NumPy(ModuleType):
    """NumPy, with such ufuncs."""

    def __getattr__(self, name: str) -> Any:
        return aware_of_lists(getattr(np, name))


@functools.cache
def _aware(own: np.ufunc) -> _OfLists:
    return _OfLists(own)


def aware_of_lists(own: Any) -> Any:
    """What stands in the place of NumPy and of its ufuncs; anything else itself."""
    return _aware(own) if isinstance(own, np.ufunc) else _NUMPY if own is np else own


_NUMPY = _NumPy("numpy", np.__doc__)
