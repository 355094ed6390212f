"""What may hang, done beside: nobody need wait for it, and the process need not to end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def aside(act: Callable[[], T], name: str) -> Future[T]:
    """What it comes to, or fails with, once that is known. A thread of that name does it, and ends with the process."""
    outcome: Future[T] = Future()
    threading.Thread(target=_do, args=(act, outcome), name=name, daemon=True).start()
    return outcome


def _do(act: Callable[[], T], outcome: Future[T]) -> None:
    try:
        come = act()
    except BaseException as error:  # some cancel, which is no Exception
        outcome.set_exception(error)
    else:
        outcome.set_result(come)
