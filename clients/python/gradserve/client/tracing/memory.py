"""Which traced arrays would share memory, so that a change of one in place would be seen by others."""

from __future__ import annotations


class Memory:
    """What arrays that would share memory have in common: how often it was written, and where last."""

    __slots__ = ("of_caller", "owner", "version", "written_at")

    def __init__(self, owner: bool = True, of_caller: bool = False) -> None:
        """Not written to yet. Without an owner it may be that of one of several arrays, and it may be the caller's."""
        self.of_caller = of_caller
        self.owner = owner
        self.version = 0
        self.written_at = ""
