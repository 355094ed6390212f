"""What metrics tell of callers: as many of them as one may look through, and all others as one."""

from __future__ import annotations

import grpc
from prometheus_client import Counter

from gradserve.service.identity.caller import OTHERS


class Callers:
    """Counts the calls of each caller that the service knows. For one thread at a time."""

    def __init__(self, most: int, calls: Counter, seconds: Counter, received: Counter) -> None:
        """Tells so many apart, those that come first."""
        self._most = most
        self._calls, self._seconds, self._received = calls, seconds, received
        self._labels: set[str] = set()

    def count(self, caller: str, code: grpc.StatusCode, seconds: float, received: int) -> None:
        """Adds a call that has ended."""
        label = self._label(caller)
        self._calls.labels(label, code.name).inc()
        self._seconds.labels(label).inc(seconds)
        self._received.labels(label).inc(received)

    def _label(self, caller: str) -> str:
        if caller in self._labels:
            return caller
        if len(self._labels) >= self._most:
            return OTHERS
        self._labels.add(caller)
        return caller
