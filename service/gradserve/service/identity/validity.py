"""From when to when the server's certificate holds: in the log where clients refuse it or soon will, and as metrics."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from gradserve.ir.records import dataclass

SOON_SECONDS, SOON_SHARE = 7 * 86_400.0, 0.1
"""A certificate ends soon with less than this left, or less than this share of its time: some live for hours."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Validity:
    """The seconds since 1970 at which it begins and ends; not a number where nobody can tell."""

    begins: float = math.nan
    ends: float = math.nan

    def fault(self, now: float) -> str:
        """What clients find wrong with it, or soon will; empty if nothing is."""
        if now >= self.ends:
            return f"ended on {_day(self.ends)}: clients refuse it"
        if now < self.begins:
            return f"begins on {_day(self.begins)}: clients refuse it until then, by the clock of this machine"
        if self.ends - now < min(SOON_SECONDS, SOON_SHARE * (self.ends - self.begins)):
            return f"ends on {_day(self.ends)}: clients will refuse it"
        return ""


def validity_of(chain: bytes) -> Validity:
    """When all certificates of a chain in PEM hold: clients refuse it if one does not."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        found = load_pem_x509_certificates(chain)
    except ValueError:  # stricter than who uses them
        return Validity()
    begins = max(each.not_valid_before_utc.timestamp() for each in found)
    return Validity(begins, min(each.not_valid_after_utc.timestamp() for each in found))


def tell(certificate: Path, validity: Validity) -> None:
    """Says in one line of the log what is wrong with the certificate in a file, if anything is."""
    if fault := validity.fault(time.time()):
        level = logging.WARNING if validity.begins <= time.time() < validity.ends else logging.ERROR
        _logger.log(level, "tls_certificate, %s, %s; what takes its place is read at once", certificate, fault)


def publish(registry: CollectorRegistry, read: Callable[[], Validity]) -> None:
    """Shows both times as metrics."""
    for name, part in (("not_before", "begins"), ("not_after", "ends")):
        text = f"When the server's certificate {part}, or one of its chain, in seconds since 1970."
        gauge = Gauge(f"gradserve_certificate_{name}_timestamp_seconds", text, registry=registry)
        gauge.set_function(lambda part=part: getattr(read(), part))  # type: ignore[misc]


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
