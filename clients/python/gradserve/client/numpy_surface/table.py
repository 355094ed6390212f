"""The table of traceable functions: one implementation each, on the values of a graph under construction."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ops import OP_SET

Implementation = TypeVar("Implementation", bound=Callable[..., Any])

HARMLESS = frozenset({"casting", "device", "optimize", "order", "subok", "writeable"})
"""Parameters that decide on memory and speed, not on numbers; implementations for which `order` matters take it."""


@dataclass(frozen=True)
class Entry:
    """What a NumPy function becomes."""

    call: Callable[..., Any]
    """Takes the builder and then the function's own arguments by NumPy's names; traced ones are values."""
    view: bool
    """Whether NumPy's result may share memory with the first argument."""

    @functools.cached_property
    def accepted(self) -> frozenset[str]:
        """The names of the parameters that it takes."""
        return frozenset(list(inspect.signature(self.call).parameters)[1:])


FUNCTIONS: dict[Callable[..., Any], Entry] = {}
"""By NumPy function, for `__array_function__`."""
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
"""By ufunc, for `__array_ufunc__`; operands arrive with the element types of NumPy's own loop."""
UFUNC_METHODS: dict[tuple[np.ufunc, str], Entry] = {}
"""By ufunc and method, for `np.add.reduce` and the like; they take `axis` by name."""
SPECIAL: dict[str, Callable[..., Any]] = {}
"""The same by name, for ufuncs of scipy.special, which need not be installed."""
OWN: list[str] = []
"""The names of our own functions of arrays."""


def enter(function: Callable[..., Any], entry: Entry) -> None:
    """Enters what a function becomes."""
    FUNCTIONS[function] = entry


def implements(*functions: Callable[..., Any], view: bool = False) -> Callable[[Implementation], Implementation]:
    """A decorator that enters an implementation for NumPy functions."""

    def enter(call: Implementation) -> Implementation:
        FUNCTIONS.update(dict.fromkeys(functions, Entry(call, view)))
        return call

    return enter


def implements_ufunc(*ufuncs: np.ufunc) -> Callable[[Implementation], Implementation]:
    """A decorator that enters an implementation for NumPy ufuncs."""

    def enter(call: Implementation) -> Implementation:
        UFUNCS.update(dict.fromkeys(ufuncs, call))
        return call

    return enter


def implements_method(ufunc: np.ufunc, method: str) -> Callable[[Implementation], Implementation]:
    """A decorator that enters an implementation for a method of a ufunc."""

    def enter(call: Implementation) -> Implementation:
        UFUNC_METHODS[ufunc, method] = Entry(call, view=False)
        return call

    return enter


def implements_special(name: str) -> Callable[[Implementation], Implementation]:
    """A decorator that enters an implementation for a ufunc of scipy.special."""

    def enter(call: Implementation) -> Implementation:
        SPECIAL[name] = call
        return call

    return enter


def emitting(op: str) -> Callable[..., Any]:
    """An implementation that is one op."""

    def emit(g: Builder, *operands: Value) -> Value:
        return g.emit(op, *operands)

    found = OP_SET.find(op)
    emit.__doc__ = found.__doc__ if found else None
    return emit


def find_ufunc(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """The implementation of a ufunc, or None."""
    found = UFUNCS.get(ufunc)
    if found is None and getattr(sys.modules.get("scipy.special"), ufunc.__name__, None) is ufunc:
        # The object itself must be SciPy's: anybody may call a ufunc of their own `erf`.
        found = SPECIAL.get(ufunc.__name__)
    return found


def supported_names() -> list[str]:
    """Every function that can be traced, under each of its names, such as `np.linalg.norm`; sorted."""
    importlib.import_module("gradserve.client.functions")  # enters its names; it needs the whole surface itself
    return sorted({*_numpy_names(), *(f"scipy.special.{name}" for name in SPECIAL), *OWN})


def _numpy_names() -> Iterator[str]:
    modules = {"np": np, "np.fft": np.fft, "np.linalg": np.linalg, "np.lib.stride_tricks": np.lib.stride_tricks}
    for prefix, module in modules.items():
        for name, member in vars(module).items():
            if callable(member) and not name.startswith("_") and (member in FUNCTIONS or member in UFUNCS):
                yield f"{prefix}.{name}"
