"""NumPy's functions of Python functions: np.apply_along_axis, np.apply_over_axes, np.piecewise, np.fromiter."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradserve.client.functions.control import scan
from gradserve.client.tracing.current import current
from gradserve.client.tracing.memory import Memory
from gradserve.client.tracing.names import first_tracer, lead
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.tracer import Tracer


def _along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """What a function gives of each vector along an axis, in one loop within the graph."""
    moved = np.moveaxis(np.asarray(arr), axis, -1)
    *others, length = moved.shape
    if not moved.size:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    vectors = np.reshape(moved, (-1, length))
    found = scan(lambda carry, vector: (carry, np.asarray(func1d(vector, *args, **kwargs))), None, vectors).rows
    whole = np.reshape(found, (*others, *found.shape[1:]))
    at = axis % (len(others) + 1)
    own = range(len(others), whole.ndim)
    return np.moveaxis(whole, tuple(own), tuple(at + k for k in range(len(own))))


def _over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """A function applied along one axis after the other."""
    result = np.asarray(a)
    for axis in np.atleast_1d(axes):
        found = func(result, int(axis))
        result = found if found.ndim == result.ndim else np.expand_dims(found, int(axis))
    return result


def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """By known conditions: what each function gives of the elements for which its condition is the last to hold."""
    if first_tracer(condlist) is not None:
        raise untraceable(
            "np.piecewise by traced conditions cannot be traced: how many elements its functions get depends on them",
            "write np.select([condition, ...], [value, ...], default)",
        )
    known = np.atleast_2d(np.asarray(condlist, bool)) if np.ndim(x) else np.asarray(condlist, bool).reshape(-1)
    conditions = [*known]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~functools.reduce(np.logical_or, conditions))
    elif len(funclist) != len(conditions):
        raise ValueError(
            f"with {len(conditions)} condition(s), either {len(conditions)} or 1 more functions are expected"
        )
    result = np.zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        if not np.any(condition):
            continue
        value = function(x[condition], *args, **kw) if callable(function) else function
        result = _with(result, condition, value)
    return result


def _with(array: Any, condition: Any, value: Any) -> Any:
    """The array with a value in the places of a known condition; a traced one from the first traced value on."""
    if first_tracer(value) is not None and not isinstance(array, Tracer):
        g = current()
        assert g is not None
        array = Tracer(g.constant(array), Memory())
    array[condition] = value
    return array


def _from_iter(iterable: Any, dtype: Any, count: int = -1) -> Any:
    """The array of what an iterable gives."""
    parts = [*iterable] if count < 0 else [part for part, _ in zip(iterable, range(count), strict=False)]
    return np.array(parts).astype(dtype)


def _aware(own: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def call(*args: Any, **named: Any) -> Any:
        args = tuple([*x] if isinstance(x, Iterator) else x for x in args)  # which can be looked into once
        # What functions give is not known before they are called.
        calls = ours is _piecewise and current() is not None
        return ours(*args, **named) if calls or first_tracer((args, named)) is not None else own(*args, **named)

    return call


_OURS: dict[str, Callable[..., Any]] = {
    "apply_along_axis": _along_axis,
    "apply_over_axes": _over_axes,
    "fromiter": _from_iter,
    "piecewise": _piecewise,
}
for _name, _ours in _OURS.items():
    lead(np, _name, _aware(getattr(np, _name), _ours))
