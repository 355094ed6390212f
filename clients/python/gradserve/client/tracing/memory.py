"""Which traced arrays would share memory, so that a change of one in place would be seen by others."""

from __future__ import annotations


class Memory:
    """What arrays that would share memory have in common: how often it was written, and where last."""

    __slots__ = ("owner", "version", "written_at")

    def __init__(self, owner: bool = True) -> None:
        """Not written to yet. Without an owner it may be that of one of several arrays."""
        self.owner = owner
        self.version = 0
        self.written_at = ""
