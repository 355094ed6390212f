"""Functions that the array API leaves out, such as special functions, by the namespace of the arrays."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

MODULES: dict[str, tuple[str, ...]] = {
    "numpy": ("scipy.special", "scipy.linalg"),
    "jax.numpy": ("jax.scipy.special", "jax.scipy.linalg", "jax.numpy"),
}
"""Where each namespace keeps them, the first that has one first. Executors put modules of their own in front."""


def routine(xp: Any, name: str) -> Callable[..., Any]:
    """The function of this name in SciPy, for the arrays of a namespace.

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
