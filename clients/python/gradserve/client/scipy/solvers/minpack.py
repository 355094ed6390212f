"""MINPACK prints whatever a function raises: what is no number is refused before it is called."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any

from gradserve.client.tracing.names import Place, first_tracer, lead_always_by


def _places() -> Iterable[Place]:
    module = sys.modules.get("scipy.optimize._minpack_py")
    own = getattr(module, "_check_func", None)
    return () if own is None else [(module, "_check_func", _looking(own))]


def _looking(own: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def check(checker: str, argname: str, function: Callable[..., Any], *args: Any) -> Any:
        def looked(*x: Any) -> Any:
            found = function(*x)
            tracer = first_tracer(found)
            return found if tracer is None else tracer.__array__()

        return own(checker, argname, looked, *args)

    return check


lead_always_by(_places)
