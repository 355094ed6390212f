"""Calls of what np.vectorize makes: one loop over the elements, within the graph."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from gradserve.client.functions.control import scan
from gradserve.client.tracing.current import current
from gradserve.client.tracing.names import first_tracer, lead_always_by

_numpys = np.vectorize.__call__


def _vectorized(self: Any, *args: Any, **named: Any) -> Any:
    if first_tracer((args, named)) is None:
        return _of_known(self, args, named)
    function, moved = self.pyfunc, args
    if named or self.excluded:
        function, moved = _of_moved(self.pyfunc, args, named, self.excluded)
    cores = [0] * len(moved) if self.signature is None else _cores(self.signature)
    found = _each(function, moved, cores)
    if not self.otypes:
        return found
    parts = zip(found if isinstance(found, tuple) else (found,), self.otypes, strict=True)
    typed = tuple(np.asarray(part).astype(kind) for part, kind in parts)
    return typed if isinstance(found, tuple) else typed[0]


def _of_moved(
    function: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any], excluded: Collection[Any]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function of those arguments alone that it is vectorized in, and these: the others are as they are."""
    places = [k for k in range(len(args)) if k not in excluded]
    names = [name for name in named if name not in excluded]

    def of(*moved: Any) -> Any:
        given = dict(zip([*places, *names], moved, strict=True))
        return function(
            *(given.get(k, x) for k, x in enumerate(args)), **{n: given.get(n, x) for n, x in named.items()}
        )

    return of, (*(args[k] for k in places), *(named[name] for name in names))


def _cores(signature: str) -> list[int]:
    """How many axes of each argument the function takes as a whole: `(n,k),(k)->(n)` says 2 and 1."""
    arguments = re.findall(r"\(([^()]*)\)", signature.partition("->")[0])
    return [len(re.findall(r"\w+", axes)) for axes in arguments]


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


def _each(function: Callable[..., Any], args: Sequence[Any], cores: Sequence[int]) -> Any:
    """What a function gives for each place of arrays, broadcast together but for as many last axes as it takes."""
    shapes = [
        (np.shape(x)[: np.ndim(x) - core], np.shape(x)[np.ndim(x) - core :])
        for x, core in zip(args, cores, strict=True)
    ]
    loop = np.broadcast_shapes(*(outer for outer, _ in shapes))
    if not loop:
        return function(*args)
    pairs = zip(args, shapes, strict=True)
    given = [np.reshape(np.broadcast_to(x, loop + inner), (math.prod(loop), *inner)) for x, (_, inner) in pairs]
    rows = scan(lambda carry, row: (carry, function(*row)), None, given).rows
    found = tuple(np.reshape(row, loop + row.shape[1:]) for row in (rows if isinstance(rows, tuple) else (rows,)))
    return found if isinstance(rows, tuple) else found[0]


lead_always_by(lambda: [(np.vectorize, "__call__", _vectorized)])
