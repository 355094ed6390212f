"""Loops that end by a condition, and what becomes of those that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from gradserve.client.functions.control import while_loop

OnMost: TypeAlias = Literal["refuse", "report"]
"""What becomes of a solver that would go on after its largest number of steps."""


def until(
    ended: Callable[[Any], Any], step: Callable[[Any], Any], init: Any, most: int, on_most: OnMost
) -> tuple[Any, Any, Any]:
    """The state that steps lead to, how many, and whether they have ended; NaN ends nothing."""

    def go_on(state: Any) -> Any:
        return np.logical_not(ended(state))

    if on_most == "report":
        reported = while_loop(go_on, step, init, most, "report")
        return reported.carry, reported.steps, reported.ended
    found = while_loop(go_on, step, init, most, on_most)
    return found.carry, found.steps, np.bool_(True)
