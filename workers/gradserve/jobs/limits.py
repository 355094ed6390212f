"""Limits on one call. Work over a limit is refused from its plan, before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one call may cost."""

    peak_bytes: int = 8 << 30
    """Live bytes of one chunk."""
    flops: float = 1e15
    """Floating-point operations of the whole call."""
    result_bytes: int = 4 << 30
    """Bytes of all results."""
    probes: int = 1_000_000
    """Probes of one estimate."""
    directions: int = 1_000
    """Directions of one verification."""
