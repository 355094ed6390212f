"""A call that waits, and what it is told in the end."""

from __future__ import annotations

import threading

from gradserve.ir.errors import GradserveError
from gradserve.service.admission.ticket import Ticket


class Waiter:
    """A call in a queue: it is let in, or told why it is not."""

    __slots__ = ("amounts", "error", "let_in", "may_be_shed", "seconds", "since", "ticket", "woken")

    def __init__(
        self, ticket: Ticket, amounts: tuple[float, ...], seconds: float, may_be_shed: bool, since: float
    ) -> None:
        """What it holds, and takes besides when it is let in; the seconds that it will run; since when it waits."""
        self.ticket, self.amounts, self.seconds = ticket, amounts, seconds
        self.may_be_shed, self.since = may_be_shed, since
        self.woken = threading.Event()
        self.let_in = False
        self.error: GradserveError | None = None
