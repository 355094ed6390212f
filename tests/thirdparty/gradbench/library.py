"""What the losses are written with: an array namespace, and the loops of whoever differentiates them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradserve.client import functions

Slope = Callable[[Any], tuple[Any, Any]]
"""From a point to the value of a loss and its gradient."""


@dataclass(frozen=True)
class Library:
    """NumPy's functions, and loops within a function."""

    np: Any
    scan: Callable[..., Any]
    """`carry, rows = scan(function, init, rows, length)`."""
    while_loop: Callable[[Callable[[Any], Any], Callable[[Any], Any], Any, int], Any]
    """The carry at the end of a loop of at most so many steps, from `go_on`, `function`, `init` and that number."""
    value_and_grad: Mapping[str, Callable[[Callable[[Any], Any]], Slope]]
    """From a loss to its value and its gradient within a function, by mode: `f`, forward, and `r`, reverse."""


def _while_loop(go_on: Callable[[Any], Any], function: Callable[[Any], Any], init: Any, most: int) -> Any:
    return functions.while_loop(go_on, function, init, most).carry


OURS = Library(
    np,
    functions.scan,
    _while_loop,
    {"f": partial(functions.value_and_grad, mode="forward"), "r": functions.value_and_grad},
)
