"""What is remembered of requests and replies, so that those like them are read, written and judged at once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from gradserve import wire
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.runtime.caches import Lru
from gradserve.runtime.planned import Planned

KEPT = 4096
"""How many kinds of requests are remembered, and of replies; each in few KiB for most."""
_ALIKE = 4
"""How many that begin alike and are of one length."""

_Key = tuple[str, str, int, bytes]


class Known:
    """What is known of requests that are alike."""

    __slots__ = ("planned", "request")

    def __init__(self, request: wire.KnownRequest) -> None:
        """Nothing is known yet of what they begin."""
        self.request = request
        self.planned: Planned | None = None
        """All that the last of them began; None if that took no time worth telling, or was begun in parts."""


class KnownRequests:
    """The requests of derivations, by caller, first bytes and length. Safe for threads.

    What one caller has asked is not known to another: he could tell by the time that it takes.
    """

    def __init__(self) -> None:
        """None is known."""
        self._known: Lru[_Key, tuple[Known, ...]] = Lru(KEPT)

    def find(self, caller: str, method: str, data: bytes) -> Known | None:
        """What is known of requests that are these bytes but for the numbers; None if nothing is."""
        for known in self._known.get(_key(caller, method, data)) or ():
            if known.request.fits(data):
                return known
        return None

    def learn(self, caller: str, method: str, question: Differentiate, data: bytes, message: Any) -> None:
        """Remembers the request of a question, if it is of the common kind: its bytes and the message that they are."""
        known = wire.known_request(question, data, message)
        if known is not None:
            key = _key(caller, method, data)
            self._known.put(key, (Known(known), *(self._known.get(key) or ())[: _ALIKE - 1]))


def kind_of(question: Differentiate, answer: Derivatives) -> Hashable:
    """What all answers have in common whose replies differ in numbers alone."""
    roles = tuple(
        [
            (role, tuple([(name, array.dtype, array.shape) for name, array in arrays.items()]))
            for role, arrays in answer.arrays.items()
        ]
    )
    return question.rpc, question.call.options.inline_limit, roles


def _key(caller: str, method: str, data: bytes) -> _Key:
    return caller, method, len(data), data[: wire.KEY_BYTES]
