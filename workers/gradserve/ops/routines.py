"""Functions by the namespace of the arrays: what the array API leaves out, and what of it may fail us.

The former are special functions and the like, the latter factorisations of matrices that are not finite.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

MODULES: dict[str, tuple[str, ...]] = {
    "numpy": (
        "gradserve.ops.linalg.finite",
        "gradserve.ops.elementwise.assembled",
        "gradserve.ops.special.truncated",
        "scipy.special",
        "scipy.linalg",
    ),
    "gradserve.execution.fused.terms": ("gradserve.execution.fused.terms",),
    "jax.numpy": (
        "gradserve.execution.xla.finite",
        "gradserve.execution.xla.assembled",
        "jax.scipy.special",
        "jax.scipy.linalg",
        "jax.numpy",
    ),
}
"""Where each namespace keeps them, the first that has one first."""


def routine(xp: Any, name: str) -> Callable[..., Any]:
    """The function of this name, for the arrays of a namespace.

    Raises:
        AttributeError: the namespace has none.
    """
    return _found(xp.__name__, MODULES.get(xp.__name__, ()), name)


@functools.cache
def _found(namespace: str, modules: tuple[str, ...], name: str) -> Callable[..., Any]:
    for module in modules:
        found: Callable[..., Any] | None = getattr(importlib.import_module(module), name, None)
        if found is not None:
            return found
    raise AttributeError(f"{namespace} has no function {name}")
