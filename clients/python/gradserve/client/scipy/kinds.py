"""What stands for functions, classes and methods of SciPy: they see traced values, and else are SciPy's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from gradserve.client.tracing.names import first_tracer


def aware(own: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    """SciPy's function of numbers, and ours of traced values."""

    @functools.wraps(own)
    def call(*args: Any, **named: Any) -> Any:
        return own(*args, **named) if first_tracer((args, named)) is None else ours(*args, **named)

    return call


def by_name(names: Sequence[str], given: Sequence[Any]) -> dict[str, Any]:
    """What is given by position, by the names of the positions; raises TypeError if there are more than names."""
    if len(given) > len(names):
        raise TypeError(f"{len(given)} further arguments are given by position, and there are {len(names)}")
    return dict(zip(names, given, strict=False))


class Kind(type):
    """Stands for a class: what is made of traced values is the mirror's, else all is that class's own."""

    own: type
    ours: tuple[Callable[..., Any]]
    """What makes the mirror's, alone in a tuple: a function would become a method."""

    def __call__(cls, *args: Any, **named: Any) -> Any:
        """One of SciPy's, or of the mirror's."""
        if first_tracer((args, named)) is None:
            return cls.own(*args, **named)
        return cls.ours[0](*args, **named)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.own)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind.own if isinstance(kind, Kind) else kind, cls.own)

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls.own, name)


def standing_kind(own: type, ours: Callable[..., Any]) -> Any:
    """What stands for a class, where ours makes what is of traced values."""
    return Kind(own.__name__, (), {"own": own, "ours": (ours,)})


def calling(
    own: Callable[..., Any],
    ours: Callable[..., Any],
    kind: type,
    made_of: Callable[[Any], dict[str, Any]],
    further: tuple[str, ...] = (),
) -> Callable[..., Any]:
    """A method of what is made of numbers, at traced points; `further` names its arguments after the point."""

    @functools.wraps(own)
    def call(self: Any, x: Any, *args: Any, **named: Any) -> Any:
        if first_tracer((x, args, named)) is None or not isinstance(self, kind):
            return own(self, x, *args, **named)
        given = (by_name(further, args) | named).items()
        return ours(x, **made_of(self) | {name: value for name, value in given if value is not None})

    return call
