"""The metrics page."""

from __future__ import annotations

from contextlib import ExitStack

from prometheus_client import start_http_server
from prometheus_client.registry import CollectorRegistry

from gradserve.service.settings import Settings


def start_page(running: ExitStack, settings: Settings, registry: CollectorRegistry) -> int | None:
    """The port on which what the registry collects can be read until `running` ends; None if no page is wanted.

    Raises:
        OSError: the port is taken.
    """
    host, port = settings.host, settings.metrics_port
    if port is None:
        return None
    try:
        page, _ = start_http_server(port, host, registry)
    except OSError as error:
        advice = "give another --metrics-port, 0 for any that is free or -1 for none"
        raise OSError(f"the metrics page cannot be on {host}:{port}: {error.strerror or error}; {advice}") from None
    running.callback(page.server_close)
    running.callback(page.shutdown)
    return page.server_port
