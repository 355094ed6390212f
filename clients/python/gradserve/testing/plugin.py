"""The plugin of pytest: a fixture, and nothing that a run without gradients would notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gradserve.testing.gradients import assert_gradient as _assert_gradient


@pytest.fixture(scope="session")
def assert_gradient() -> Callable[..., Any]:
    """Asserts that a gradient is that of its function: `assert_gradient(function, gradient, at=point)`.

    The function is any callable of arrays, and the gradient is arrays or a callable as well. Where they disagree, the
    assertion tells the entries.
    """
    return _assert_gradient
