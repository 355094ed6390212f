"""A service that has this process to itself, from its start to its end."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gradserve.runtime.descriptors import raise_limit
from gradserve.runtime.garbage import pass_over_what_is_kept
from gradserve.runtime.memory import keep_freed_memory
from gradserve.runtime.turns import share_interpreter
from gradserve.service.configuration.settings import Settings
from gradserve.service.processes.running import run
from gradserve.service.processes.signals import Signals
from gradserve.service.server import Server

_logger = logging.getLogger(__name__)


def serve(settings: Settings | None = None) -> None:
    """Runs a service until SIGTERM or SIGINT, and returns when it has stopped.

    The first signal lets calls in flight end within the grace period; a second one cuts them off.

    Raises:
        OSError, Unavailable: it could not start; see `Server.start`.
    """
    server = started(settings or Settings())
    where = f"port {server.port}" if server.port else server.settings.address
    _logger.info("serving on %s, metrics on port %s", where, server.metrics_port)
    with Signals() as signals:  # only now: starting Ray replaces the handler of SIGTERM
        run(server, signals)
    _logger.info("stopped")


def started(settings: Settings, taking: Callable[[], None] | None = None) -> Server:
    """A service of this process, which is its own from now on; raises what `Server.start` does.

    A supervisor hears by `taking` that it takes calls.
    """
    keep_freed_memory()
    raise_limit()
    server = Server(settings, share_interpreter, supervised=taking is not None)
    server.start(taking or (lambda: None))
    server.warm()
    pass_over_what_is_kept()
    return server
