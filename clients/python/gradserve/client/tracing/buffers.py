"""Arrays that an author makes to write traced numbers into: np.zeros and its kin, as traced arrays from the start.

A function whose assignments are refused is traced once more while real arrays of these names are traced constants.
Those of integers and truth values stay what they are: they are positions and masks mostly, which are to be known.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from gradserve.client.tracing.current import current
from gradserve.client.tracing.memory import Memory
from gradserve.client.tracing.names import first_tracer, lead
from gradserve.client.tracing.origins import is_calling, stands_inside
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
        if stands_inside(caller) or not is_calling(frame, call, make.__name__):
            return made
        # What is in memory by chance would be another graph in each run.
        return as_buffer(np.zeros_like(made) if make.__name__.startswith("empty") else made)

    return call


for _name in _NAMES:
    lead(np, _name, _buffering(getattr(np, _name)))
