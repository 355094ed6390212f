"""Which function is being traced: for those who want to know no more than that, and need no ops for it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradserve.numpy.recorder import Recorder

INNERMOST: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def current() -> Recorder | None:
    """The graph of the innermost function that is being traced."""
    return INNERMOST.get()
