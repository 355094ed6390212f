"""What a Python function reads that no caller gives it: captured and global names, defaults, attributes, elements.

The walk follows the author's own code: names in the code of a function are looked up where Python would, attributes
are followed by the names that the code has, and functions that it calls are walked as well. Code of libraries is not.
"""

from __future__ import annotations

import argparse
import array
import functools
import operator
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from pathlib import Path
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType, SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from gradserve.ir.records import dataclass

Read: TypeAlias = Callable[[], Iterable[Any]]
"""The objects that are in a place now; raises LookupError, ValueError or AttributeError if one is missing."""

MOST_PLACES = 2000
"""Places that are followed; what lies behind them is not seen."""
LARGE = 256
"""Elements of a container from which on it counts as large."""
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, range, slice, type(Ellipsis))
"""Objects that never change."""
_PARTS = operator.attrgetter("__code__", "__defaults__", "__kwdefaults__")
_CONTENTS = operator.attrgetter("cell_contents")
_REFLECTION = frozenset({"__dict__", "asdict", "astuple", "fields", "getattr", "vars"})
"""Names by which code may read attributes that it does not name."""
_FOREIGN = frozenset({"builtins", "gradserve", "numpy", "scipy"})
_OPEN = (SimpleNamespace, argparse.Namespace)
"""Classes of the standard library that hold what their users put there."""
_MADE = frozenset(
    f"__{name}__"
    for name in (
        *("class_getitem", "del", "delattr", "eq", "getstate", "hash", "init", "init_subclass", "new", "post_init"),
        *("reduce", "reduce_ex", "replace", "repr", "setattr", "setstate", "str"),
    )
)
"""Methods that Python calls, but not where numbers are computed."""


_HOLDERS = (np.ndarray, list, tuple, set, frozenset, dict, deque, MappingProxyType)
"""What is known by what it holds."""


@dataclass
class Reached:
    """What a walk has found, in its order."""

    places: list[tuple[Read, list[Any]]] = field(default_factory=list)
    """Small places, and the objects in them."""
    large: list[tuple[Read, list[Any]]] = field(default_factory=list)
    """Containers of many elements."""
    arrays: list[np.ndarray[Any, Any]] = field(default_factory=list)
    generators: list[Any] = field(default_factory=list)
    """Sources of random numbers."""
    facts: list[Any] = field(default_factory=list)
    """What was met on the way, so that two walks can be compared: numbers, codes, lengths, and objects themselves."""
    objects: list[Any] = field(default_factory=list)
    """Everything that was met and followed."""
    names: set[str] = field(default_factory=set)
    """All names in the codes that were met."""


def reached(function: Any) -> Reached:
    """Everything that a function reads by itself, as it is now."""
    walk = _Walk()
    walk.visit(function, frozenset())
    while walk.waiting and len(walk.seen) < MOST_PLACES:
        walk.enter(*walk.waiting.popleft())
    return walk.found


class _Walk:
    """A walk, breadth first."""

    def __init__(self) -> None:
        """Nothing is met."""
        self.found = Reached()
        self.waiting: deque[tuple[Any, frozenset[str]]] = deque()
        self.seen: dict[tuple[int, frozenset[str]], Any] = {}

    def visit(self, each: Any, names: frozenset[str]) -> None:
        """Notes an object, and what is to be followed from it by these attribute names."""
        if isinstance(each, PLAIN):
            self.found.facts.append((type(each), each))
            return
        self.found.facts.append((type(each), _fact(each)))
        key = (id(each), names if isinstance(each, ModuleType | type) else frozenset())
        if key not in self.seen:
            self.seen[key] = each
            self.waiting.append((each, names))

    def enter(self, each: Any, names: frozenset[str]) -> None:
        """Follows an object."""
        self.found.objects.append(each)
        if isinstance(each, np.ndarray):
            self._array(each, names)
        elif isinstance(each, FunctionType):
            self._function(each)
        elif isinstance(each, MethodType):
            self._place(lambda: (each.__self__, each.__func__), names)
        elif isinstance(each, functools.partial):
            self._place(lambda: (each.func, *each.args, *each.keywords, *each.keywords.values()), names)
        elif isinstance(each, property):
            self._place(lambda: (each.fget,), names)
        elif isinstance(each, classmethod | staticmethod):
            self._place(lambda: (each.__func__,), names)
        elif isinstance(each, list | tuple | set | frozenset | deque):
            self._place(lambda: (*each, len(each)), names)
        elif isinstance(each, dict | MappingProxyType):
            self._place(lambda: (*each, *each.values(), len(each)), names)
        elif isinstance(each, ModuleType | type):
            self._named(each, names)
        else:
            self._instance(each, names)

    def _place(self, read: Read, names: frozenset[str]) -> None:
        """Notes what is in a place."""
        try:
            now = [*read()]
        except (LookupError, ValueError, AttributeError):
            return
        self.found.facts.append(len(now))
        (self.found.places if len(now) < LARGE else self.found.large).append((read, now))
        for each in now:
            self.visit(each, names)

    def _array(self, array: np.ndarray[Any, Any], names: frozenset[str]) -> None:
        if array.dtype.hasobject:
            self._place(lambda: array.ravel().tolist(), names)
        else:
            self.found.arrays.append(array)

    def _function(self, function: FunctionType) -> None:
        if not is_own_code(function):
            return
        names = names_in(function)
        self.found.names |= names
        self._place(functools.partial(_PARTS, function), names)
        cells = [cell for cell in function.__closure__ or () if _is_filled(cell)]
        if cells:
            self._place(functools.partial(map, _CONTENTS, cells), names)
        around = function.__globals__
        used = [name for name in sorted(names) if name in around]
        if used:
            self._place(functools.partial(map, around.__getitem__, used), names)
        imported = [module for name in sorted(names - around.keys()) if (module := sys.modules.get(name)) is not None]
        if imported:
            self._place(lambda: imported, names)
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self.visit(wrapped, names)

    def _named(self, owner: ModuleType | type, names: frozenset[str]) -> None:
        """A module or a class: what the code that reads it names."""
        if not is_own_owner(owner):
            return
        spaces = [owner.__dict__] if isinstance(owner, ModuleType) else [cls.__dict__ for cls in owner.__mro__[:-1]]
        for space in spaces:
            used = [name for name in space if name in names or _is_called_by_python(name, space[name])]
            if used:
                self._place(functools.partial(_values, space, used), names)

    def _instance(self, each: Any, names: frozenset[str]) -> None:
        """An object of a class: the attributes that its readers and the methods that they call name."""
        kind = type(each)
        if isinstance(each, random.Random | np.random.Generator | np.random.RandomState):
            self.found.generators.append(each)
            return
        wrapped = getattr(each, "__wrapped__", None)  # as functools.cache makes it, and `Client.function`
        if isinstance(wrapped, FunctionType) and _is_own(wrapped.__code__.co_filename, wrapped.__module__):
            self.visit(wrapped, names)
        if kind.__module__.partition(".")[0] == "gradserve":
            return
        if hasattr(kind, "__array__") or isinstance(each, bytearray | memoryview | array.array):
            self._of_array(each)
        elif is_own_owner(kind) or isinstance(each, _OPEN):
            self._attributes(each, names | _names_of(kind, names))
        elif isinstance(space := getattr(each, "__dict__", None), dict):
            held = (*PLAIN, *_HOLDERS)
            shown = [name for name, value in space.items() if isinstance(value, held) and not name.startswith("__")]
            if shown:
                self._place(functools.partial(_values, space, shown), names)

    def _attributes(self, each: Any, names: frozenset[str]) -> None:
        """What the code that reads an object names of it, and what the methods of its class do."""
        whole = not _REFLECTION.isdisjoint(names)
        space = getattr(each, "__dict__", {})
        used = [name for name in space if whole or name in names]
        if used:
            self._place(functools.partial(_values, space, used), names)
        slots = [s for cls in type(each).__mro__[:-1] for s in _slots(cls) if hasattr(each, s)]
        if slots:
            self._place(lambda: [getattr(each, name) for name in slots], names)
        self.visit(type(each), names)

    def _of_array(self, each: Any) -> None:
        """An array of another library, or a table: the memory that it shows to NumPy."""
        try:
            array = np.asarray(each)
        except Exception:  # whatever it raises, NumPy could not read it either
            return
        if not array.dtype.hasobject:
            self.found.arrays.append(array)


def _fact(each: Any) -> Any:
    """What stays the same if an object is made again alike."""
    if isinstance(each, FunctionType):
        return each.__code__
    alike = isinstance(each, (*_HOLDERS, functools.partial, MethodType)) or hasattr(each, "__dict__")
    return None if alike and not isinstance(each, ModuleType | type) else each


def _values(space: Any, names: Iterable[str]) -> list[Any]:
    return [space[name] for name in names]


def is_own_code(function: FunctionType) -> bool:
    """Whether the author wrote a function, or at least no library has it."""
    return _is_own(function.__code__.co_filename, function.__module__)


def names_in(function: FunctionType) -> frozenset[str]:
    """The names in the code of a function, and of all functions in it."""
    return frozenset(name for code in _codes(function.__code__) for name in code.co_names)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of all functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _names_of(kind: type, names: Iterable[str]) -> frozenset[str]:
    """The names in the code of the methods of a class that are named, or called by Python; and of those they call."""
    members = {name: member for cls in reversed(kind.__mro__[:-1]) for name, member in cls.__dict__.items()}
    waiting = [name for name, member in members.items() if name in names or _is_called_by_python(name, member)]
    found: set[str] = set()
    while waiting:
        member = members[waiting.pop()]
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if isinstance(function, FunctionType):
            new = {name for code in _codes(function.__code__) for name in code.co_names} - found
            found |= new
            waiting += [name for name in new if name in members]
    return frozenset(found)


def _is_called_by_python(name: str, member: Any) -> bool:
    """Whether it is what an operator or a call stands for."""
    return name.startswith("__") and isinstance(member, FunctionType) and name not in _MADE


def _slots(cls: type) -> list[str]:
    slots = cls.__dict__.get("__slots__", ())
    return [slots] if isinstance(slots, str) else [*slots]


def _is_filled(cell: Any) -> bool:
    """Whether the name that the cell stands for is bound yet."""
    try:
        _CONTENTS(cell)
    except ValueError:
        return False
    return True


def is_own_owner(owner: ModuleType | type) -> bool:
    """Whether a module or class is the author's, or at least no library's."""
    module = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
    found = sys.modules.get(module)
    file = getattr(found, "__file__", None)
    return _is_own(file or "<interactive>" if module == "__main__" or file else None, module)


@functools.cache
def _is_own(file: str | None, module: str | None) -> bool:
    """Whether code of this file and module is the author's: no built-in, and no installed library."""
    if file is None or (module or "").partition(".")[0] in _FOREIGN:
        return False
    from sysconfig import get_path  # which reads a file of its own when it is imported

    libraries = map(get_path, ("stdlib", "platstdlib", "purelib", "platlib"))
    return not any(Path(file).is_relative_to(library) for library in libraries)
