"""Captured arrays that take traced indices, `X[i]`: NumPy asks i for numbers there, and nobody can tell it not to.

So where that happens, the function is traced once more with arrays in the places of those that it reads that know
better. They share the memory of those whose places they take, and give them back afterwards. Functions that were
imported alone have others in their places likewise, and so have objects of compiled code.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np

from gradserve.client.tracing.buffers import as_buffer
from gradserve.client.tracing.listed import as_arrays, aware_of_lists
from gradserve.client.tracing.names import first_tracer, names_lead_here, stand_ins
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.reached import Reached, is_own_code, is_own_owner, names_in, reached
from gradserve.client.tracing.recording import traced
from gradserve.client.tracing.tracer import Operands, tracers

_lock = threading.RLock()
_MAKE: list[Callable[[Any], Any]] = []
"""What makes stand-ins of objects that are no arrays."""


class Captured(np.ndarray[Any, Any]):
    """An array that takes traced indices as well."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **named: Any) -> Any:
        """What NumPy gives, of lists with traced arrays in them as well; results take traced indices too."""
        outs = {key: tuple(map(_plain, out)) for key, out in named.items() if key == "out"}
        result = getattr(ufunc, method)(*map(_plain, as_arrays(inputs)), **named | outs)
        return result.view(Captured) if type(result) is np.ndarray else result

    def __getitem__(self, key: Any) -> Any:
        operands = Operands()
        operands.values(key)
        if not operands.are_traced:
            return super().__getitem__(key)
        whole = np.asarray(self)
        return tracers(traced(operands.builder, "indexing", lambda g: g.constant(whole)))[key]

    def __setitem__(self, key: Any, item: Any) -> None:
        operands = Operands()
        operands.values((key, item))
        if operands.are_traced:
            raise untraceable(
                "traced numbers are assigned to an array from outside of the function, or to one made of it",
                "make it within: result = np.array(x), which takes assignments as np.zeros does",
            )
        super().__setitem__(key, item)

    def dot(self, b: Any, out: Any = None) -> Any:
        """The product with another, which may be traced: NumPy would ask that for numbers."""
        return super().dot(b) if out is None and first_tracer(b) is None else np.dot(self, b, out)

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> Any:
        """The elements at indices, which may be traced."""
        if out is not None or first_tracer(indices) is None:
            return super().take(indices, axis, out, mode)
        return np.take(np.asarray(self), indices, axis, mode=mode)

    def copy(self, order: Any = "C") -> Any:
        """A copy, which the author may write to."""
        return as_buffer(np.array(self, order=order))


def stand_in_by(make: Callable[[Any], Any]) -> None:
    """Has what `make` gives of an object that a function reads stand in its place, unless that is None."""
    _MAKE.append(make)


@contextmanager
def taking_traced_indices(function: Any) -> Iterator[None]:
    """A context in which the arrays that a function reads take traced indices, and names lead to traced arrays."""
    with _lock, names_lead_here():
        found = reached(function)
        standing: dict[int, Any] = {id(a): a.view(Captured) for a in found.arrays if type(a) is np.ndarray}
        places = [(space, key, space[key]) for space in _spaces(found) for key in space.keys()]  # noqa: SIM118  # not all are dicts
        made = {id(own): stand_in for _, _, own in places for make in _MAKE if (stand_in := make(own)) is not None}
        standing |= made | stand_ins()
        changed = [(space, key, own) for space, key, own in places if id(own) in standing]
        # NumPy's own modules keep their ufuncs, which are known by their identity there.
        authors = [place for place in places if not getattr(place[0], "is_of_library", False)]
        listed = {id(own): aware_of_lists(own) for _, _, own in authors if isinstance(own, ModuleType | np.ufunc)}
        changed += [(space, key, own) for space, key, own in authors if listed.get(id(own), own) is not own]
        standing |= listed
        for space, key, own in changed:
            space[key] = standing[id(own)]
        try:
            yield
        finally:
            for space, key, own in changed:
                if space[key] is standing[id(own)]:  # the function may have put something else there
                    space[key] = own


def _plain(each: Any) -> Any:
    return each.view(np.ndarray) if isinstance(each, Captured) else each


class _Cells:
    """The cells of a function, by position."""

    def __init__(self, cells: tuple[CellType, ...]) -> None:
        self._cells = [cell for cell in cells if _is_filled(cell)]

    def keys(self) -> range:
        return range(len(self._cells))

    def __getitem__(self, key: int) -> Any:
        return self._cells[key].cell_contents

    def __setitem__(self, key: int, item: Any) -> None:
        self._cells[key].cell_contents = item


class _Some:
    """Elements of a list, or some names of a module or an object."""

    def __init__(self, space: Any, keys: Any, is_of_library: bool = False) -> None:
        self._space, self._keys = space, [*keys]
        self.is_of_library = is_of_library

    def keys(self) -> list[Any]:
        return self._keys

    def __getitem__(self, key: Any) -> Any:
        return self._space[key]

    def __setitem__(self, key: Any, item: Any) -> None:
        self._space[key] = item


def _spaces(found: Reached) -> Iterator[Any]:
    """Where arrays stand that can be put there: cells, global names, attributes, elements of dicts and lists."""
    for each in found.objects:
        if isinstance(each, FunctionType) and is_own_code(each):
            yield _Cells(each.__closure__ or ())
            yield _Some(each.__globals__, names_in(each) & each.__globals__.keys())
        elif isinstance(each, list):
            yield _Some(each, range(len(each)))
        elif isinstance(each, dict):
            yield _Some(each, each)
        elif isinstance(each, ModuleType):
            yield _Some(each.__dict__, found.names & each.__dict__.keys(), not is_own_owner(each))
        elif not isinstance(each, type) and isinstance(space := getattr(each, "__dict__", None), dict):
            yield _Some(space, space)


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
