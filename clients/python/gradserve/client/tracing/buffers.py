"""Arrays that an author makes to write traced numbers into: np.zeros and its kin, as traced arrays from the start.

A function whose assignments are refused is traced once more while real arrays of these names are traced constants.
Those of integers and truth values stay what they are: they are positions and masks mostly, which are to be known.
"""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any

import numpy as np

from gradserve.client.tracing.current import current
from gradserve.client.tracing.memory import Memory
from gradserve.client.tracing.names import first_tracer, lead
from gradserve.client.tracing.origins import stands_inside
from gradserve.client.tracing.tracer import Tracer
from gradserve.numpy.table import FUNCTIONS

_NAMES = (
    *("array", "copy", "empty", "empty_like", "eye", "full", "full_like", "identity", "ones", "ones_like"),
    *("zeros", "zeros_like"),
)
_taking: ContextVar[bool] = ContextVar("buffers", default=False)


@contextmanager
def taking_buffers() -> Iterator[None]:
    """A context in which the names make traced arrays."""
    token = _taking.set(True)
    try:
        yield
    finally:
        _taking.reset(token)


def are_taken() -> bool:
    """Whether what the function makes to write to is to take traced numbers."""
    return _taking.get() and current() is not None


def as_buffer(made: Any) -> Any:
    """A new real or complex array as a traced one, if that is wanted; whatever else it is itself."""
    g = current() if _taking.get() else None
    if g is None or not isinstance(made, np.ndarray) or made.dtype.kind not in "fc":
        return made
    return Tracer(g.constant(np.array(made)), Memory())


def _buffering(make: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(make)
    def call(*args: Any, **named: Any) -> Any:
        frame = sys._getframe(1)
        caller = str(frame.f_globals.get("__name__", ""))
        tracer = first_tracer((args, named)) if make in FUNCTIONS else None
        if tracer is not None and not caller.startswith("scipy."):
            return tracer.__array_function__(make, (Tracer,), args, named)
        made = make(*args, **named)
        # A library may have its own ways with what it makes.
        if stands_inside(caller) or not _is_called(frame, call, make.__name__):
            return made
        # What is in memory by chance would be another graph in each run.
        return as_buffer(np.zeros_like(made) if make.__name__.startswith("empty") else made)

    return call


def _is_called(frame: FrameType, call: Callable[..., Any], name: str) -> bool:
    """Whether the instruction that a frame is at calls this by a name: compiled code that it calls has no frame.

    Such code reads what it gets as memory of an array, and traced ones have none: the process would end.
    """
    positions = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    first, last, start, end = positions
    if first is None or last is None or start is None or end is None:
        return False
    lines = [linecache.getline(frame.f_code.co_filename, k, frame.f_globals).encode() for k in range(first, last + 1)]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        expression = ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body
    except SyntaxError:
        return False
    if not isinstance(expression, ast.Call):
        return False
    called = expression.func
    if isinstance(called, ast.Name):
        return {**frame.f_globals, **frame.f_locals}.get(called.id) is call
    return isinstance(called, ast.Attribute) and called.attr == name


for _name in _NAMES:
    lead(np, _name, _buffering(getattr(np, _name)))
