"""Memory that a client shares with a service on its machine, by name."""

from __future__ import annotations

from gradserve.ir.records import dataclass


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """What one process tells another to find memory of its own, and to prove that it may be found."""

    process: int
    descriptor: int
    """The open file, as that process numbers it."""
    secret: bytes
    """What nobody knows who cannot read the memory."""
    room: int = 0
    """From where on the other may write; 0 for nowhere."""
