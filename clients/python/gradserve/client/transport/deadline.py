"""How long an answer may take, however many messages it takes to get it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from gradserve.ir.errors import DeadlineExceeded


class Deadline:
    """The moment by which a call must be answered. As a context, it tells whoever is late what the limit was."""

    __slots__ = ("_moment", "_seconds")

    def __init__(self, seconds: float | None) -> None:
        """Counts from now; without `seconds` there is no end."""
        self._seconds = seconds
        self._moment = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds until then; None if there is no end.

        Raises:
            DeadlineExceeded: none are left.
        """
        if self._moment is None:
            return None
        left = self._moment - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("the deadline passed before the answer was there")
        return left

    def pause(self, seconds: float) -> float | None:
        """Waits so long, but no longer than until then; comes to the seconds that are left afterwards."""
        if self._moment is None:
            time.sleep(seconds)
            return None
        time.sleep(max(0.0, min(seconds, self._moment - time.monotonic())))
        return max(0.0, self._moment - time.monotonic())

    def reply(self, method: Callable[..., Any], request: Any, **options: Any) -> Any:
        """The reply of a gRPC method to a request."""
        return method(request, **options)

    def __enter__(self) -> Deadline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, DeadlineExceeded) and self._seconds is not None:
            raise late(self._seconds) from None


def paused(deadline: Deadline, seconds: float, told: bool) -> float | None:
    """The seconds left after a pause of about so many, 0 if it would be longer than what is left; None without end.

    What the service has `told` is not cut short. Clients do not wait equally long: many of them wait for one service.
    """
    if not told:
        return deadline.pause(seconds * random.uniform(0.5, 1.0))
    seconds *= random.uniform(1.0, 1.25)
    left = deadline.left()
    return 0.0 if left is not None and left <= seconds else deadline.pause(seconds)


def late(seconds: float) -> DeadlineExceeded:
    """What to tell whoever has no answer within so many seconds."""
    return DeadlineExceeded(
        f"no answer within {seconds:g} s; ask for less at once, or allow more time with "
        "Client(..., timeout=...) or f.timeout = ..."
    )
