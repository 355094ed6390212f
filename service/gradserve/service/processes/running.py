"""A service while it runs, be it one process or several: until a signal comes."""

from __future__ import annotations

import logging
import threading
from typing import Protocol

from gradserve.service.configuration.settings import Settings
from gradserve.service.processes.signals import Signals

_logger = logging.getLogger(__name__)


class Service(Protocol):
    """What can be stopped."""

    settings: Settings

    def stop(self) -> object:
        """Lets calls in flight end within the grace period, then ends everything."""
        ...

    def cut_off(self) -> None:
        """Ends those calls at once."""
        ...


def run(service: Service, signals: Signals) -> None:
    """Returns when the service has stopped, as a signal told it; a second signal cuts off calls in flight."""
    signals.wait()
    _logger.info("stopping: no new calls, up to %g s for those in flight", service.settings.grace)
    threading.Thread(target=_cut_off_at, args=(signals, service), daemon=True).start()
    service.stop()


def _cut_off_at(signals: Signals, service: Service) -> None:
    signals.wait()
    service.cut_off()
