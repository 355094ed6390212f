"""One of the processes of a service: `python -m gradserve.service.front_end NAME FD`, as its supervisor starts it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection

from gradserve.ir.errors import GradserveError
from gradserve.service.alone import started
from gradserve.service.logs import start_logging
from gradserve.service.reports import Counted, Failed, Started, Taking, Told
from gradserve.service.running import run
from gradserve.service.server import Server
from gradserve.service.settings import Settings
from gradserve.service.signals import Signals

_logger = logging.getLogger(__name__)


def main(name: str, descriptor: int) -> int:
    """Serves until told to stop, or until the supervisor has ended; returns the exit status."""
    supervisor: Connection[Told, Settings | None] = Connection(descriptor)
    settings = supervisor.recv()
    assert settings is not None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while it starts
    start_logging(settings, name if settings.processes > 1 else "")
    known: Future[Server] = Future()
    threading.Thread(target=_tell, args=(supervisor, known), daemon=True).start()
    try:
        server = started(settings, lambda: supervisor.send(Taking()))
    except (GradserveError, OSError, ImportError) as error:
        supervisor.send(Failed(str(error)))
        return 1
    known.set_result(server)
    with Signals() as signals:
        supervisor.send(Started())
        run(server, signals)
    return 0


def _tell(supervisor: Connection[Told, Settings | None], known: Future[Server]) -> None:
    """Tells the supervisor what the server has counted whenever it asks, once that is known.

    Once that has ended, so does this process, and at once: whoever takes its place wants the port.
    """
    try:
        while True:
            supervisor.recv()
            supervisor.send(Counted(list(known.result().metrics.registry.collect())))
    except (EOFError, OSError):
        _logger.warning("the supervisor has ended, and so does this process")
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
