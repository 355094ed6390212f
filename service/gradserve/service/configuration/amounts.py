"""What one call takes, or all of them together, as settings limit it."""

from __future__ import annotations

from typing import NamedTuple


class Amounts(NamedTuple):
    """What one call takes, or all of them; each is named as the setting that limits it."""

    max_in_flight: float = 0.0
    """Calls."""
    max_in_flight_bytes: float = 0.0
    """Bytes of requests."""
    max_in_flight_flops: float = 0.0
    """Predicted floating-point operations."""
    max_in_flight_seconds: float = 0.0
    """Predicted seconds on one worker."""
    max_in_flight_peak_bytes: float = 0.0
    """Predicted bytes of arrays in the front end's memory."""
