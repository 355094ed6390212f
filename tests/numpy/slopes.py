"""Slopes of losses along a direction of all their arguments."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client import Client


def assert_slope_is_that_of_values(
    loss: Callable[[Any], Any], arguments: Sequence[Any], directions: Sequence[Any]
) -> None:
    """Both modes give the slope that central differences of the loss's own values have."""

    def along(t: float) -> Any:
        return loss([x + t * d for x, d in zip(arguments, directions, strict=True)])

    h = 1e-4
    expected = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
    with Client() as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f = client.function(loss)
        pushed = f.jvp(arguments, tangent=directions)[1]
        slopes = f.grad(arguments)
    inner = sum(np.sum(slope * d) for slope, d in zip(slopes, directions, strict=True))
    size = max(1.0, abs(expected))
    assert abs(inner - expected) < 1e-6 * size
    assert abs(pushed - inner) < 1e-9 * size
