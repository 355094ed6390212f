"""Connections that have ended, or never were."""

from gradserve.ir.errors import Unavailable

CLOSED = "the client is closed; make a new one, and its functions with it"


class Closed(Unavailable):
    """The caller has closed the client: trying again cannot help."""

    def __init__(self) -> None:
        """Says what to do instead."""
        super().__init__(CLOSED)


class Unreachable(Unavailable):
    """No service has said anything: there is none, or it ended amid a call."""
