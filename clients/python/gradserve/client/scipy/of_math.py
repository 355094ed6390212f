"""Functions of the module math: of traced numbers they are NumPy's, and NaN where those of math would raise."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradserve.client.tracing.names import first_tracer, lead
from gradserve.client.tracing.tracer import Tracer

_SAME = (
    *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "copysign", "cos", "cosh", "degrees", "exp"),
    *("exp2", "expm1", "fabs", "fmod", "isfinite", "isinf", "isnan", "log10", "log1p", "log2", "pow", "radians"),
    *("sin", "sinh", "sqrt", "tan", "tanh"),
)
"""Names that mean the same in NumPy."""


def _log(x: Any, *base: Any) -> Any:
    return np.log(x) / np.log(base[0]) if base else np.log(x)


def _whole(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: function(x).astype(np.int64)


def _special(name: str) -> Callable[..., Any]:
    """A function of scipy.special, which need not be installed."""

    def call(x: Any) -> Any:
        from gradserve.client.scipy.mirror import member  # whose import would be a good part of the client's

        return member(f"scipy.special.{name}")(x)

    return call


_OF_NUMBERS: dict[str, Callable[..., Any]] = {
    "ceil": _whole(np.ceil),
    "erf": _special("erf"),
    "erfc": _special("erfc"),
    "floor": _whole(np.floor),
    "gamma": _special("gamma"),
    "hypot": lambda *x: functools.reduce(np.hypot, x),
    "lgamma": _special("gammaln"),
    "log": _log,
    "trunc": _whole(np.trunc),
} | {name: getattr(np, name) for name in _SAME}
_OF_LISTS: dict[str, Callable[..., Any]] = {
    "dist": lambda p, q: np.linalg.norm(np.subtract(np.asarray(p), np.asarray(q))),
    "fsum": lambda x: np.sum(np.asarray([*x])),
    "prod": lambda x, *, start=1: np.prod(np.asarray([*x])) * start,
}


def _of_numbers(own: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    """The function of numbers alone, as arrays of one element are; `own` refuses other traced arrays."""

    @functools.wraps(own)
    def call(*args: Any) -> Any:
        traced = [x for x in args if isinstance(x, Tracer)]
        if not traced or any(x.size != 1 for x in traced):
            return own(*args)
        return ours(*(x.reshape(()) if isinstance(x, Tracer) else x for x in args))

    return call


def _of_lists(own: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def call(*args: Any, **named: Any) -> Any:
        args = tuple([*x] if isinstance(x, Iterator) else x for x in args)  # which can be looked into once
        return own(*args, **named) if first_tracer((args, named)) is None else ours(*args, **named)

    return call


for _aware, _functions in ((_of_numbers, _OF_NUMBERS), (_of_lists, _OF_LISTS)):
    for _name, _ours in _functions.items():
        lead(math, _name, _aware(getattr(math, _name), _ours))
