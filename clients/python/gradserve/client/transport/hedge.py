"""When and where a call is asked a second time."""

from __future__ import annotations

from gradserve.ir.records import dataclass


@dataclass(frozen=True, slots=True)
class Hedge:
    """When a call is asked a second time, and where.

    `after` seconds without an answer; by default as long as `quantile` of the last calls of the same graph and kind
    took, once 16 of them have been answered. The second call has a connection of its own, to another front end at
    `address`; by default to the same address, where it reaches whichever replica or process takes the connection.
    """

    after: float | None = None
    quantile: float = 0.95
    address: str | None = None
