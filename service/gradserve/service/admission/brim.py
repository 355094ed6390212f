"""When what is remembered by name is to be looked through for what matters no more."""

from __future__ import annotations


class Brim:
    """A size to look through something at: twice what was left last time.

    So however many names are made up, and however much of that matters still, looking costs each of them the same.
    """

    __slots__ = ("_at", "_least")

    def __init__(self, least: int) -> None:
        """At so many names it is first done."""
        self._least = self._at = least

    def reached(self, size: int) -> bool:
        """Whether so many names are to be looked through."""
        return size > self._at

    def left(self, size: int) -> None:
        """Takes down how many were left."""
        self._at = max(self._least, 2 * size)
