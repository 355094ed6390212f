"""Helpers of an author's that choose by numbers: each call of one is a choice of its own, which ends with it.

A loss that calls such a function for each of many elements has as many ways through it as there are combinations; but
what each call returns is one of few things. A helper is run again by itself, so it must be seen to change nothing
beyond what it returns.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Callable
from contextvars import ContextVar
from types import FunctionType
from typing import Any

from gradserve.client.tracing.captured import stand_in_by
from gradserve.client.tracing.choices import on_all_ways, step
from gradserve.client.tracing.current import current
from gradserve.client.tracing.names import first_tracer
from gradserve.client.tracing.reached import is_own_code
from gradserve.client.tracing.tracer import Tracer, tracers
from gradserve.client.tracing.trees import flatten, unflatten
from gradserve.ir.errors import InvalidRequest

MOST_DEEP = 4
"""Helpers within each other whose choices are their own: they are functions of the graph within each other."""
_CHANGES = ("STORE_ATTR", "STORE_SUBSCR", "STORE_SLICE", "STORE_GLOBAL", "DELETE_", "YIELD", "SEND", "IMPORT", "MAKE")
_CHANGING = frozenset(
    {"add", "append", "appendleft", "at", "clear", "copyto", "discard", "extend", "fill", "insert", "itemset", "next"}
    | {"pop", "popitem", "popleft", "put", "remove", "reverse", "setdefault", "setattr", "sort", "update", "write"}
)
"""Names by which code changes what it is given."""
_deep: ContextVar[int] = ContextVar("deep", default=0)


def is_helper(function: Any) -> bool:
    """Whether it is an author's function that may choose, and changes nothing beyond what it returns."""
    return isinstance(function, FunctionType) and is_own_code(function) and _only_chooses(function)


@functools.lru_cache(maxsize=1024)
def _only_chooses(function: FunctionType) -> bool:
    code = function.__code__
    if not _CHANGING.isdisjoint(code.co_names):
        return False
    names = [(i.opname, i.argval, i.argrepr) for i in dis.get_instructions(code)]
    changes = any(name.startswith(_CHANGES) or (name == "BINARY_OP" and "=" in shown) for name, _, shown in names)
    stores_free = any(name == "STORE_DEREF" and value in code.co_freevars for name, value, _ in names)
    return not changes and not stores_free and any("JUMP" in name and "_IF_" in name for name, _, _ in names)


def choosing_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """The helper, each call of which chooses by itself."""

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        g = current()
        if g is None or first_tracer((args, named)) is None or _deep.get() >= MOST_DEEP:
            return function(*args, **named)

        def emit() -> Any:
            token = _deep.set(_deep.get() + 1)
            try:
                result = on_all_ways(lambda: function(*args, **named))
                leaves, structure = flatten(result, "result")
            except InvalidRequest:
                return None  # it is no tree of arrays
            finally:
                _deep.reset(token)
            is_given = any(leaf is each for _, leaf in leaves for each in (*args, *named.values()))
            return None if is_given else (structure, [_value(leaf) for _, leaf in leaves])

        found = step(g, function.__name__, emit)
        if found is None:
            return function(*args, **named)
        structure, leaves = found
        return unflatten(structure, tracers(leaves))  # of their own each time: the author may write to them

    return call


def _value(leaf: Any) -> Any:
    return leaf.value if isinstance(leaf, Tracer) else leaf


stand_in_by(lambda own: choosing_alone(own) if is_helper(own) else None)
