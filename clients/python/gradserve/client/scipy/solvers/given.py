"""Functions that authors give to solvers, and what solvers give back."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from gradserve.client.scipy.kinds import by_name
from gradserve.client.tracing.choices import without_choices
from gradserve.client.tracing.names import first_tracer
from gradserve.client.tracing.origins import untraceable
from gradserve.ir.errors import Untraceable


class Found(dict[str, Any]):
    """What a solver has found, by key and by attribute, as SciPy's."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"a solver within a graph tells {', '.join(self)}, and nothing of {name}")


class Solver:
    """What finds within a graph what one of SciPy's functions finds, by that one's arguments."""

    def __init__(self, call: Callable[..., Any], positions: str, named: str = "") -> None:
        """The names of SciPy's arguments in order, and of those that have no place.

        Those that `call` does not take decide only on the way there: how steps are made, and how many.
        """
        self._call, self.positions = call, positions.split()
        self.known = {*self.positions, *named.split()}
        self._taken = inspect.signature(call).parameters.keys()

    def __call__(self, *args: Any, **named: Any) -> Any:
        """What it finds; raises TypeError if SciPy has no such argument."""
        unknown = named.keys() - self.known
        if unknown:
            raise TypeError(f"{self._call.__name__} has no place for the argument {min(unknown)}")
        given = by_name(self.positions, args) | named
        return self._call(**{name: value for name, value in given.items() if name in self._taken})


class _TracedError(Exception):
    """A function has returned a traced array where SciPy needs numbers."""


class _Watch:
    """Looks at what functions return while SciPy calls them with numbers."""

    def __init__(self) -> None:
        self.is_traced = False
        """Whether one has returned a traced array, or asked for its numbers: then SciPy is of no use."""

    def over(self, argument: Any) -> Any:
        """The argument, watched if it is a function or a list of such."""
        if isinstance(argument, list | tuple) and argument and all(map(callable, argument)):
            return type(argument)([self.over(each) for each in argument])
        if isinstance(argument, type) or not callable(argument):
            return argument

        @functools.wraps(argument)
        def call(*args: Any, **named: Any) -> Any:
            try:
                found = argument(*args, **named)
            except Untraceable:
                self.is_traced = True
                raise
            if first_tracer(found) is not None:
                self.is_traced = True
                raise _TracedError
            return found

        return call


def standing(own: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    """SciPy's solver where all are numbers, and else ours: as soon as a traced array is given or comes out."""

    @functools.wraps(own)
    def call(*args: Any, **named: Any) -> Any:
        if first_tracer((args, named)) is None:
            watch = _Watch()
            try:
                with without_choices():
                    return own(*map(watch.over, args), **{key: watch.over(value) for key, value in named.items()})
            except Exception:
                if not watch.is_traced:
                    raise
        return ours(*args, **named)

    call.own = own  # type: ignore[attr-defined]
    return call


def mirrored(full: str, ours: Callable[..., Any]) -> Callable[..., Any]:
    """The same by SciPy's name; without SciPy it is ours alone."""
    module, _, name = full.rpartition(".")

    @functools.wraps(ours)
    def call(*args: Any, **named: Any) -> Any:
        try:
            found = getattr(importlib.import_module(module), name)
        except ImportError:
            return ours(*args, **named)
        return standing(getattr(found, "own", found), ours)(*args, **named)

    return call


def floats(x: Any) -> Any:
    """Numbers, traced arrays or lists of both as an array of floats, or of complex numbers if they are."""
    array = np.array(x)
    return array if array.dtype.kind == "c" else array.astype(np.float64)


def vector(x: Any) -> Any:
    """The same as one vector."""
    return np.reshape(floats(x), (-1,))


def scalar(x: Any) -> Any:
    """The same as a scalar, which may come in an array of one element."""
    return np.reshape(floats(x), ())


def bound(function: Callable[..., Any], args: Any, like: Callable[[Any], Any], **named: Any) -> Callable[..., Any]:
    """The function with its further arguments, and what it returns as an array."""
    others = args if isinstance(args, tuple) else (args,)
    return lambda *x: like(function(*x, *others, **named))


def refuse(what: str, instead: str) -> NoReturn:
    """Refuses what a solver within a graph cannot do."""
    raise untraceable(f"{what} cannot be traced", instead)
