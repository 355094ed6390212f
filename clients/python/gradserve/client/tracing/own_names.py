"""Python's own names in an author's code: `float` of a traced number, `max` of two, `isinstance` of a traced array.

No protocol leads from them to traced arrays. So as long as a function is traced, something else stands under these
names in the modules of its code, which looks for a traced array first; what has none is answered by Python.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import numpy as np

from gradserve.client.tracing.names import first_tracer, lead_always_by
from gradserve.client.tracing.origins import stands_inside
from gradserve.client.tracing.reached import Reached, is_own_code, names_in
from gradserve.client.tracing.tracer import Tracer


def kind_of(tracer: Tracer) -> type:
    """The class of what a traced array stands for: an array, or one of NumPy's scalars."""
    return np.ndarray if tracer.memory is not None else tracer.dtype.type


def _isinstance(each: Any, classes: Any) -> bool:
    return isinstance(each, classes) or (isinstance(each, Tracer) and issubclass(kind_of(each), classes))


def _hasattr(each: Any, name: str) -> bool:
    return hasattr(kind_of(each) if isinstance(each, Tracer) else each, name)


class _Class(type):
    """A class of Python's that tells, or makes, something else of traced arrays."""

    own: type
    convert: Callable[..., Any]

    def __call__(cls, *args: Any) -> Any:
        if any(isinstance(x, Tracer) for x in args):
            return cls.convert(*args)
        return cls.own(*args)

    def __instancecheck__(cls, each: Any) -> bool:
        return _isinstance(each, cls.own)

    def __subclasscheck__(cls, each: Any) -> bool:
        return issubclass(each, cls.own)

    def __eq__(cls, other: Any) -> bool:
        return other is cls or other is cls.own

    def __hash__(cls) -> int:
        return hash(cls.own)


def _real(x: Any) -> Any:
    # What float() raises of more elements, and of complex ones, it says of the traced array too.
    return x.__float__() if x.size != 1 or x.dtype.kind == "c" else x.reshape(()).astype(np.float64)


def _complex(real: Any, imag: Any = 0.0) -> Any:
    return np.asarray(real).reshape(()) + 1j * np.asarray(imag).reshape(())


def _class(own: type, convert: Callable[..., Any], **more: Any) -> type:
    """What stands under the name of a class."""
    return _Class(own.__name__, (own,), {"own": own, "convert": staticmethod(convert), **more})


def _extreme(own: Callable[..., Any], of_two: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """`max` or `min`, which go on from the best number so far if the next one is NaN."""

    def choose(best: Any, other: Any) -> Any:
        return np.where(np.isnan(other), best, of_two(best, other))

    @functools.wraps(own)
    def call(*args: Any, **named: Any) -> Any:
        given = [*args[0]] if len(args) == 1 else [*args]
        if first_tracer(given) is None or not named.keys() <= {"default"} or not _are_numbers(given):
            return own(given, **named) if len(args) == 1 else own(*args, **named)
        return functools.reduce(choose, (np.reshape(x, ()) for x in given))

    return call


def _are_numbers(given: Collection[Any]) -> bool:
    return all(np.size(x) == 1 for x in given if not isinstance(x, str | dict))


def _sorted(given: Any, *, key: Any = None, reverse: bool = False) -> list[Any]:
    given = [*given]
    if first_tracer(given) is None or key is not None or not _are_numbers(given):
        return sorted(given, key=key, reverse=reverse)
    ordered = [*np.sort(np.stack([np.reshape(x, ()) for x in given]))]
    return ordered[::-1] if reverse else ordered


def _type(each: Any, *made_of: Any) -> Any:
    return type(each, *made_of) if made_of or not isinstance(each, Tracer) else kind_of(each)


QUESTIONS: dict[str, Any] = {"isinstance": _isinstance, "hasattr": _hasattr, "type": _class(type, _type)}
"""What Python would answer for traced arrays as well, and otherwise."""
OF_NUMBERS: dict[str, Any] = QUESTIONS | {
    "float": _class(float, _real, dtype=np.dtype(float)),
    "complex": _class(complex, _complex, dtype=np.dtype(complex)),
    "max": _extreme(max, np.maximum),
    "min": _extreme(min, np.minimum),
    "sorted": _sorted,
}
"""All of them."""


def _isscalar(own: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def call(element: Any) -> bool:
        # SciPy's code takes what is no scalar of NumPy's for something that has operators of its own.
        is_asked = isinstance(element, Tracer) and not stands_inside(str(sys._getframe(1).f_globals.get("__name__")))
        return issubclass(kind_of(element), np.generic) if is_asked else bool(own(element))

    return call


lead_always_by(lambda: [(np, "isscalar", _isscalar(np.isscalar))])


@contextmanager
def standing_in(found: Reached, names: dict[str, Any]) -> Iterator[None]:
    """A context in which these stand under the names in the modules of the author's code that has them."""
    changed: dict[tuple[int, str], tuple[dict[str, Any], str]] = {}
    if not found.names.isdisjoint(names):
        for each in found.objects:
            if isinstance(each, FunctionType) and is_own_code(each):
                for name in names_in(each) & names.keys():
                    space = each.__globals__
                    if name not in space:
                        space[name] = names[name]
                        changed[id(space), name] = space, name
    try:
        yield
    finally:
        for space, name in changed.values():
            space.pop(name, None)
