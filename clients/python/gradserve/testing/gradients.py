"""A gradient asserted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradserve.client import Certificate


def assert_gradient(
    function: Callable[..., Any],
    gradient: Any,
    *,
    at: Any,
    directions: int = 0,
    seed: int = 0,
    rel_tol: float = 0.0,
) -> Certificate:
    """The certificate of a gradient that agrees with differences of its function.

    The arguments are those of `gradserve.client.certify`: the function is any callable of arrays, which runs as it is.

    Raises:
        AssertionError: it does not agree; its text is the certificate's table, with the entries that are wrong.
        InvalidRequest: the point or the gradient is not of such a form; says what to give instead.
    """
    __tracebackhide__ = True
    from gradserve.client.certifying import certify  # pytest loads this module in every run, and most need no client

    found = certify(function, gradient, at=at, directions=directions, seed=seed, rel_tol=rel_tol)
    if not found.passed:
        raise AssertionError(str(found))
    return found
