"""Who hears of every call that has ended."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from gradserve.service.configuration.settings import Settings
from gradserve.service.monitoring.logs import access_line
from gradserve.service.monitoring.served import Told
from gradserve.service.monitoring.spans import tracing


def listeners(settings: Settings, running: ExitStack) -> Sequence[Told]:
    """The log and the traces, as far as the settings want them; they end with `running`."""
    told = [line] if (line := access_line(settings)) else []
    if settings.traces:
        told.append(tracing(settings.traces, running))
    return told
