"""Silent clients: who sends the beginning of a call and then nothing holds a thread, or a place for a request.

When all of them are held, and calls wait, those that wait for their client end: of the connection that has most of
them, the one that has waited longest.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeVar

SILENT_SECONDS = 0.5
"""After so long a call that waits for its client may be ended, if others wait for a thread."""

_T = TypeVar("_T")


def connection_of(arguments: tuple[Any, ...]) -> str:
    """The connection of a call, by what gRPC hands over to threads: what is to be called, its event, its state."""
    try:
        peer: bytes = arguments[1].call.peer()
        return peer.decode()
    except (AttributeError, IndexError, UnicodeDecodeError):  # another gRPC, or no call at all: all are alike
        return ""


def end(arguments: tuple[Any, ...]) -> None:
    """Ends a call that perhaps has no handler yet; as CANCELLED, gRPC has no other way for those."""
    try:
        arguments[1].call.cancel()
    except (AttributeError, IndexError):
        return


def of_most(silent: list[tuple[float, str, _T]], before: float, count: int) -> list[_T]:
    """At most so many calls, silent since some moment, each of a connection that has most left; the longest first."""
    held = Counter(flow for _, flow, _ in silent)
    found: list[_T] = []
    waiting = sorted(silent, key=lambda entry: entry[0])
    while waiting and len(found) < count:
        most = max(held.values())
        position, (since, flow, task) = next((k, each) for k, each in enumerate(waiting) if held[each[1]] == most)
        if since >= before:
            break
        del waiting[position]
        held[flow] -= 1
        found.append(task)
    return found
