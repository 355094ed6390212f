"""One of the processes of a service, as its supervisor starts it: `python -m` with this module's name, NAME and FD."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection

from gradserve.ir.errors import GradserveError
from gradserve.service.configuration.settings import Settings
from gradserve.service.monitoring.logs import start_logging
from gradserve.service.processes.alone import started
from gradserve.service.processes.reports import Counted, Failed, Started, Taking, Told
from gradserve.service.processes.running import run
from gradserve.service.processes.signals import Signals
from gradserve.service.server import Server

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
