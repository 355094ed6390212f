"""A call that waits for a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

_logger = logging.getLogger(__name__)


class Task:
    """A call that has not begun, and the future of what it returns or raises, if anybody waits for that."""

    __slots__ = ("arguments", "flow", "function", "future")

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], future: Future[Any] | None = None
    ) -> None:
        """`function` is to be called with `arguments`."""
        self.function, self.arguments, self.future = function, arguments, future
        self.flow = ""
        """Whose turn it takes, where calls wait."""

    def run(self) -> None:
        """Calls it; nothing is raised."""
        future = self.future
        if future is not None and not future.set_running_or_notify_cancel():
            return
        try:
            found = self.function(*self.arguments)
            if future is not None:
                future.set_result(found)
        except BaseException as error:  # the thread must go on
            if future is None:
                _logger.exception("what gRPC calls has failed")
            else:
                future.set_exception(error)

    def cancel(self) -> None:
        """Tells whoever waits for it that it will not be called."""
        if self.future is not None:
            self.future.cancel()
