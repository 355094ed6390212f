"""A service while it runs, be it one process or several: until a signal comes, or until it cannot go on."""

from __future__ import annotations

import logging
import threading
from typing import Protocol

from gradserve.ir.errors import Unavailable
from gradserve.service.settings import Settings
from gradserve.service.signals import Signals

_logger = logging.getLogger(__name__)


class Service(Protocol):
    """What can be stopped."""

    settings: Settings
    failure: str
    """Why it cannot go on; empty while it can."""

    def wait_failed(self) -> None:
        """Returns when it cannot go on."""
        ...

    def stop(self) -> object:
        """Lets calls in flight end within the grace period, then ends everything."""
        ...

    def cut_off(self) -> None:
        """Ends those calls at once."""
        ...


def run(service: Service, signals: Signals) -> None:
    """Returns when the service has stopped, as a signal told it; a second signal cuts off calls in flight.

    Raises:
        Unavailable: it stopped because it could not go on.
    """
    threading.Thread(target=_stop_on_failure, args=(signals, service), daemon=True).start()
    signals.wait()
    _logger.info("stopping: no new calls, up to %g s for those in flight", service.settings.grace)
    threading.Thread(target=_cut_off_at, args=(signals, service), daemon=True).start()
    service.stop()
    if service.failure:
        raise Unavailable(service.failure)


def _stop_on_failure(signals: Signals, service: Service) -> None:
    service.wait_failed()
    _logger.error("%s", service.failure)
    signals.send()


def _cut_off_at(signals: Signals, service: Service) -> None:
    signals.wait()
    service.cut_off()
