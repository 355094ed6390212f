"""Names that NumPy's protocols do not lead to traced arrays: np.array of a list of them, np.take by them, np.r_.

A function that needs them is traced while something else stands in their places, which looks at its arguments first. If
there is a traced array among them it is what the table of functions has for it; otherwise it is NumPy's own, for every
thread.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from gradserve.client.tracing.holders import Holder
from gradserve.client.tracing.origins import is_calling, untraceable
from gradserve.client.tracing.tracer import Tracer

_OF_NUMPY = (
    *("asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "asarray_chkfinite"),
    *("take", "compress", "searchsorted", "digitize", "interp", "append", "insert", "geomspace", "linspace"),
    *("sum", "prod", "mean", "average", "median", "std", "var", "max", "min", "amax", "amin", "ptp", "any", "all"),
    *("cumsum", "cumprod", "diff", "sort", "argsort", "argmax", "argmin", "atleast_1d", "atleast_2d", "atleast_3d"),
    *("nansum", "nanmean", "nanmax", "nanmin", "reshape", "ravel", "transpose", "squeeze", "repeat", "tile", "diag"),
    *("poly", "polyadd", "polyder", "polyfit", "polyint", "polymul", "polysub", "polyval", "roots"),
    *("dot", "inner", "outer", "vdot", "tensordot", "kron", "cross", "trace", "where", "clip", "round", "roll"),
)
"""Functions that take lists of traced arrays, or traced arrays in places where NumPy does not look for any."""
_OF_LINALG = ("cholesky", "cond", "det", "eigh", "eigvalsh", "inv", "norm", "pinv", "qr", "slogdet", "solve", "svd")
_OF_COMPILED = frozenset({"ascontiguousarray", "asfortranarray"})
"""Names by which compiled code asks for memory, whatever else the author's line calls."""
Place: TypeAlias = tuple[Any, str, Any]
"""An owner, a name, and what stands there."""


class _Names:
    """Names for which something else stands as long as something is traced, in any thread."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.more: list[Callable[[], Iterable[Place]]] = []
        """What gives more such places, by what is imported by then."""
        self.own: list[Place] = []
        """What stands there otherwise, as long as something is traced."""
        self._lock = threading.Lock()
        self._tracing = 0

    @contextmanager
    def lead(self) -> Iterator[None]:
        with self._lock:
            self._tracing += 1
            if self._tracing == 1:
                places = [*self.places, *(place for more in self.more for place in more())]
                self.own[:] = [(owner, name, vars(owner)[name]) for owner, name, _ in places]
                for owner, name, aware in places:
                    setattr(owner, name, aware)
        try:
            yield
        finally:
            with self._lock:
                self._tracing -= 1
                if not self._tracing:
                    for owner, name, own in self.own:
                        setattr(owner, name, own)


_USUAL, _ALWAYS = _Names(), _Names()


def lead(owner: Any, name: str, aware: Callable[..., Any]) -> None:
    """Has a name of a module or class stand for something else as long as a function is traced."""
    _USUAL.places.append((owner, name, aware))


def lead_by(places: Callable[[], Iterable[Place]]) -> None:
    """As `lead`, for names of modules that need not be imported."""
    _USUAL.more.append(places)


def lead_always_by(places: Callable[[], Iterable[Place]]) -> None:
    """As `lead_by`, for what would give other numbers of traced arrays instead of being refused."""
    _ALWAYS.more.append(places)


def some_names_lead_here() -> AbstractContextManager[None]:
    """A context in which those names take traced arrays that have to."""
    return _ALWAYS.lead()


@contextmanager
def names_lead_here() -> Iterator[None]:
    """A context in which the names take traced arrays as well."""
    with _ALWAYS.lead(), _USUAL.lead():
        yield


def stand_ins() -> dict[int, Any]:
    """What stands in the places of functions of modules, by their identity, as long as something is traced.

    It may stand wherever else authors keep these functions: under names of their own, as by `from numpy import array`.
    """
    places = [*_ALWAYS.own, *_USUAL.own]
    return {id(own): getattr(owner, name) for owner, name, own in places if isinstance(owner, ModuleType)}


def first_tracer(tree: Any) -> Tracer | None:
    """The first traced array in lists, tuples, dicts, and in what holds such."""
    if isinstance(tree, Tracer):
        return tree
    if isinstance(tree, Holder):
        return first_tracer(tree.held())
    if isinstance(tree, list | tuple | dict):
        for part in tree.values() if isinstance(tree, dict) else tree:
            found = first_tracer(part)
            if found is not None:
                return found
    return None


def _aware(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        tracer = first_tracer((args, named))
        if tracer is None or _is_anothers(call, function.__name__):
            return function(*args, **named)
        return tracer.__array_function__(function, (Tracer,), args, named)

    return call


def _is_anothers(call: Callable[..., Any], name: str) -> bool:
    """Whether SciPy's code called the function: it would ask for numbers next, and is refused by its own name.

    Compiled code has no frame, and may read what it gets as memory of an array: no frame of the author's mentions the
    function then.
    """
    frame: FrameType | None = sys._getframe(2)
    nearest = _package(frame)
    if name in _OF_COMPILED and frame is not None and nearest not in ("gradserve", "scipy"):
        return not is_calling(frame, call, name)
    while frame is not None and _package(frame) != "gradserve":
        if _mentions(frame, call, name):
            return nearest == "scipy"
        frame = frame.f_back
    return nearest != "gradserve"


def _package(frame: FrameType | None) -> str:
    return "" if frame is None else str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _mentions(frame: FrameType, call: Callable[..., Any], name: str) -> bool:
    code = frame.f_code
    known = (*code.co_names, *code.co_varnames, *code.co_freevars)
    return name in code.co_names or any(
        frame.f_locals.get(each) is call or frame.f_globals.get(each) is call for each in known
    )


def _joining(own: Any) -> Callable[..., Any]:
    """np.r_ and np.c_: arrays, numbers and slices one after the other along an axis, or as a text in front says."""

    def join(self: Any, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if first_tracer(parts) is None:
            return own(self, key)
        how = (self.axis, self.ndmin, self.trans1d)
        if isinstance(parts[0], str):
            how, parts = _how_to_join(parts[0], how), parts[1:]
        arrays = [own(np.r_, part) if isinstance(part, slice) else part for part in parts]
        return np.concatenate([_with_axes(array, *how[1:]) for array in arrays], axis=how[0])

    return join


def _how_to_join(text: str, usual: tuple[int, int, int]) -> tuple[int, int, int]:
    """The axis, how many axes there are at least, and before which the new ones are not."""
    try:
        told = [int(word) for word in text.split(",")]
        return (*told, *usual[len(told) :])[:3]  # type: ignore[return-value]  # of three
    except ValueError:
        raise untraceable(f"np.r_[{text!r}, ...] cannot be traced", "write np.concatenate or np.stack") from None


def _with_axes(part: Any, count: int, first: int) -> Any:
    """An array with so many axes at least: new ones stand before its own, of which the first stands at a place."""
    array, rank = np.array(part, ndmin=count), np.ndim(part)
    if rank >= count or first == -1:
        return array
    new, axes = count - rank, [*range(count)]
    place = first if first >= 0 else first + new + 1
    return np.transpose(array, axes[:place] + axes[new:] + axes[place:new])


def _enumerated(own: Any) -> Callable[..., Any]:
    """np.ndenumerate: positions, and the elements there."""

    @functools.wraps(own)
    def call(arr: Any) -> Any:
        return own(arr) if first_tracer(arr) is None else _placed(np.asarray(arr))

    return call


def _placed(array: Any) -> Iterator[Any]:
    return ((place, array[place]) for place in np.ndindex(array.shape))


def _refusing(own: Any, name: str, instead: str) -> Callable[..., Any]:
    """What looks into the memory of arrays, which traced ones have not."""

    @functools.wraps(own)
    def call(*args: Any, **named: Any) -> Any:
        if first_tracer((args, named)) is not None:
            raise untraceable(f"{name} of a traced array cannot be traced", instead)
        return own(*args, **named)

    return call


def _enter() -> None:
    lead(np, "ndenumerate", _enumerated(np.ndenumerate))
    nditer = _refusing(np.nditer, "np.nditer", "write for v in x.flat, or functions of whole arrays")
    lead_always_by(lambda: [(np, "nditer", nditer)])
    windows = "write np.lib.stride_tricks.sliding_window_view(x, shape), or x[positions]"
    lead(np.lib.stride_tricks, "as_strided", _refusing(np.lib.stride_tricks.as_strided, "as_strided", windows))
    for owner, names in ((np, _OF_NUMPY), (np.linalg, _OF_LINALG)):
        for name in names:
            lead(owner, name, _aware(getattr(owner, name)))
    joined: Any = type(np.r_).__mro__[1]
    lead(joined, "__getitem__", _joining(joined.__getitem__))


_enter()
