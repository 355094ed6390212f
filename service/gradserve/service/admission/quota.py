"""What each caller may spend in the long run, priced in what is predicted: nobody else can price before running."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from gradserve.service.admission.brim import Brim

_MOST_REMEMBERED = 4096
"""Callers that are remembered before those are forgotten whose buckets are full again."""


class Bucket:
    """Tokens that come back at a rate, up to a burst. It may be overdrawn once: then one waits the longer."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        """It is full; `rate` is in tokens per second."""
        self._rate, self._burst = rate, burst
        self._level, self._at = burst, now

    def wait(self, now: float) -> float:
        """Seconds until something may be spent again; 0 if that is now."""
        level = self._at_moment(now)
        return 0.0 if level > 0 else (1e-3 * self._burst - level) / self._rate

    def spend(self, tokens: float, now: float) -> None:
        """Takes tokens out, more than there are if need be: what a call costs is known only when it has been let in."""
        self._level = self._at_moment(now) - tokens
        self._at = now

    def full(self, now: float) -> bool:
        """Whether nothing is owed."""
        return self._at_moment(now) >= self._burst

    def _at_moment(self, now: float) -> float:
        return min(self._burst, self._level + self._rate * (now - self._at))


class Quotas:
    """A bucket for each caller and each thing that is priced. Not safe for threads."""

    def __init__(
        self, rates: Mapping[str, float], burst_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`rates` are amounts per second by the name of their quota; so many seconds' worth may be spent at once."""
        self._rates, self._burst, self._clock = dict(rates), burst_seconds, clock
        self._buckets: dict[str, dict[str, Bucket]] = {}
        self._brim = Brim(_MOST_REMEMBERED)
        self.any = bool(rates)
        """Whether there is any quota."""

    def wait(self, caller: str) -> tuple[str, float]:
        """The quota that a caller has used up and the seconds until that is over; no name and 0 if there is none."""
        buckets, now = self._buckets.get(caller), self._clock()
        if buckets is None:
            return "", 0.0
        name, seconds = max(((n, bucket.wait(now)) for n, bucket in buckets.items()), key=lambda pair: pair[1])
        return (name, seconds) if seconds > 0 else ("", 0.0)

    def spend(self, caller: str, amounts: Mapping[str, float]) -> None:
        """Charges a caller with what a call is predicted to take, by the name of the quota."""
        now = self._clock()
        buckets = self._buckets.get(caller)
        if buckets is None:
            if self._brim.reached(len(self._buckets)):
                self._buckets = {c: b for c, b in self._buckets.items() if not all(x.full(now) for x in b.values())}
                self._brim.left(len(self._buckets))
            buckets = {name: Bucket(rate, rate * self._burst, now) for name, rate in self._rates.items()}
            self._buckets[caller] = buckets
        for name, bucket in buckets.items():
            bucket.spend(amounts[name], now)
