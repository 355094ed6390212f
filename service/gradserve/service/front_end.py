"""One of the processes of a service: `python -m gradserve.service.front_end NAME FD`, as its supervisor starts it."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from multiprocessing.connection import Connection

from gradserve.ir.errors import GradserveError
from gradserve.service.logs import start_logging
from gradserve.service.reports import Counted, Failed, Started, Told
from gradserve.service.running import run
from gradserve.service.server import Server, started
from gradserve.service.settings import Settings
from gradserve.service.signals import Signals

_logger = logging.getLogger(__name__)


def main(name: str, descriptor: int) -> int:
    """Serves until told to stop, or until the supervisor has ended; returns the exit status."""
    supervisor: Connection[Told, Settings | None] = Connection(descriptor)
    settings = supervisor.recv()
    assert settings is not None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while it starts
    start_logging(settings, name)
    try:
        server = started(settings)
    except (GradserveError, OSError, ImportError) as error:
        supervisor.send(Failed(str(error)))
        return 1
    with Signals() as signals:
        supervisor.send(Started())
        threading.Thread(target=_tell, args=(supervisor, server, signals), daemon=True).start()
        run(server, signals)
    return 0


def _tell(supervisor: Connection[Told, Settings | None], server: Server, signals: Signals) -> None:
    """Tells the supervisor what has been counted whenever it asks; once that has ended, nobody is left to serve for."""
    try:
        while True:
            supervisor.recv()
            supervisor.send(Counted(list(server.metrics.registry.collect())))
    except (EOFError, OSError):
        _logger.warning("the supervisor has ended, and so does this process")
        signals.send()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
