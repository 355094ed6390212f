"""What the processes of a service say, and how: lines for people or JSON for collectors, and a line a call."""

from __future__ import annotations

import logging
from typing import Any

from gradserve.service.configuration.settings import Settings
from gradserve.service.monitoring.served import Served, Told

ACCESS = "gradserve.access"
"""The logger of calls."""
_logger = logging.getLogger(ACCESS)


def start_logging(settings: Settings, process: str = "") -> None:
    """Has this process say what it does from now on; `process` tells it from others that write to the same place."""
    handler = logging.StreamHandler()
    handler.setFormatter(_json(process) if settings.log_format == "json" else _lines(process))
    logging.basicConfig(level=settings.log_level, handlers=[handler])


def _lines(process: str) -> logging.Formatter:
    told = f"[{process}] " if process else ""
    return logging.Formatter(f"%(asctime)s %(levelname)s {told}%(name)s: %(message)s")


def _json(process: str) -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # who reads lines has no use for it

    return JsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger"},
        static_fields={"process": process} if process else {},
        timestamp="time",
    )


def access_line(settings: Settings) -> Told | None:
    """What writes a line for every call that has ended; None if none is to be seen."""
    level = logging.getLevelNamesMapping()[settings.access_log_level]
    if level < logging.getLevelNamesMapping()[settings.log_level]:
        return None
    return lambda served: _logger.log(level, "%s", _said(served), extra=_fields(served))


def _said(served: Served) -> str:
    text = f"{served.method} {served.code.name} in {1e3 * served.seconds:.1f} ms, request {served.request_id}"
    return f"{text}, {served.reason}" if served.reason else text


def _fields(served: Served) -> dict[str, Any]:
    """The same as data, of which the formatter for people shows nothing."""
    fields = {
        "method": served.method,
        "code": served.code.name,
        "request_id": served.request_id,
        "peer": served.peer,
        "seconds": round(served.seconds, 6),
        **{f"{phase}_seconds": round(seconds, 6) for phase, seconds in served.phases},
        "received_bytes": served.received,
        "sent_bytes": served.sent,
    }
    if served.reason:
        fields["reason"] = served.reason
    if (report := served.report) is not None:
        fields |= {"executor": report.executor, "placement": report.placement, "points": report.batch_size}
        fields |= {"chunks": report.chunks, "retries": report.retries}
    return fields
