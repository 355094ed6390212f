"""Calls of what np.vectorize makes: one loop over the elements, within the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client.functions.control import scan
from gradserve.client.tracing.current import current
from gradserve.client.tracing.names import first_tracer, lead
from gradserve.client.tracing.origins import untraceable

_numpys = np.vectorize.__call__


def _vectorized(self: Any, *args: Any, **named: Any) -> Any:
    if first_tracer((args, named)) is None:
        return _of_known(self, args, named)
    if named or self.signature is not None or self.excluded:
        raise untraceable(
            "np.vectorize with a signature, or of named arguments, cannot be traced",
            "write gradserve.client.functions.scan(lambda carry, row: (carry, function(row)), None, rows).rows",
        )
    return _each(self.pyfunc, args)


def _of_known(self: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Of known elements: a function may give traced numbers of them all the same, by what it captures."""
    plain = current() is not None and not named and self.signature is None and not self.excluded
    arrays = [np.asarray(x) for x in np.broadcast_arrays(*args)] if plain and args else []
    if not arrays or not arrays[0].size or first_tracer(self.pyfunc(*(x.flat[0] for x in arrays))) is None:
        return _numpys(self, *args, **named)
    rows = [self.pyfunc(*row) for row in zip(*(x.ravel() for x in arrays), strict=True)]
    parts = zip(*rows, strict=True) if isinstance(rows[0], tuple) else [rows]
    found = tuple(np.reshape(np.array([*part]), arrays[0].shape) for part in parts)
    return found if isinstance(rows[0], tuple) else found[0]


def _each(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """What a function of numbers gives for each element of arrays, broadcast together."""
    arrays = np.broadcast_arrays(*args)
    if not arrays[0].ndim:
        return function(*args)
    rows = scan(lambda carry, row: (carry, function(*row)), None, [np.ravel(array) for array in arrays]).rows
    shape = arrays[0].shape
    return tuple(np.reshape(row, shape) for row in rows) if isinstance(rows, tuple) else np.reshape(rows, shape)


lead(np.vectorize, "__call__", _vectorized)
