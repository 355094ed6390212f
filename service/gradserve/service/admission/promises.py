"""When callers that were turned away may come back, so that they come one after the other."""

from __future__ import annotations

from gradserve.service.admission.brim import Brim

_KEPT_FOR_THEM = 0.5
"""The part of what leaves that is for callers who come again when they are due; the rest is for anybody."""
_LEAST_TOLD, _MOST_TOLD = 0.05, 10.0
"""Seconds after which one may be told to come back."""
_MOST_REMEMBERED = 1024


class Promises:
    """By caller, when it is due. Not safe for threads."""

    def __init__(self) -> None:
        """Nobody has been told anything."""
        self._due: dict[str, float] = {}
        self._last: dict[str, float] = {}
        """When the last call of a caller that was told to come back is to come."""
        self._next = 0.0
        """Until when places are promised."""
        self._brim = Brim(_MOST_REMEMBERED)

    def knows(self, caller: str) -> bool:
        """Whether a caller has been turned away, as far as that is remembered."""
        return caller in self._due

    def is_due(self, caller: str, now: float) -> bool:
        """Whether a caller comes no earlier than it was told to, if it was."""
        return self._due.get(caller, 0.0) <= now

    def keep(self, caller: str, seconds: float, now: float) -> None:
        """Takes down that a caller has the place that it was promised: the next one is after those of others."""
        if caller in self._due:
            self._promise(caller, now, seconds / _KEPT_FOR_THEM, now)

    def make(self, caller: str, free: float, seconds: float, now: float) -> float:
        """In how many seconds a caller may come back with a call that takes so many, if there is room at `free`.

        Each caller has one promise at a time. Its further calls come as much later each as all promises take. Places
        that are too far off are told as nearer ones, as far from each other: else all who have them came at once.
        """
        if self.is_due(caller, now):
            until = self._promise(caller, free, seconds, now)
        else:
            until = self._last[caller] = self._last[caller] + max(seconds, self._next - free)
        told = until - now
        return max(told, _LEAST_TOLD) if told <= _MOST_TOLD else _MOST_TOLD - told % (_MOST_TOLD / 2)

    def _promise(self, caller: str, free: float, seconds: float, now: float) -> float:
        if self._brim.reached(len(self._due)):
            self._due = {name: due for name, due in self._due.items() if due > now}
            self._last = {name: self._last[name] for name in self._due}
            self._brim.left(len(self._due))
        self._next = max(free, self._next) + seconds
        self._due[caller] = self._last[caller] = self._next
        return self._next
