"""Whether Prometheus has an answer, at one moment, to what panels and rules ask."""

from __future__ import annotations

import math
from typing import Any

from tests.deploy.known_metrics import selectors
from tests.deploy.monitored import Stack
from tests.deploy.scaling import scaled_ranges
from tests.deploy.substitution import substituted

ONLY_WITH_FAULTS = {"Alerts"}
"""Panels that are empty while all is well."""


RATE_INTERVAL = "15s"


class Moment:
    """What Prometheus knew at one moment, however late it is asked."""

    def __init__(self, stack: Stack, at: float) -> None:
        """`at` is in seconds since 1970."""
        self.stack = stack
        self.at = at
        self.told = list(stack.notified.messages)
        """The alerts that had been sent by then."""

    def has_data(self, expr: str) -> bool:
        """Whether an expression has a value that is a number."""
        return any(math.isfinite(float(series["value"][1])) for series in self.stack.query(expr, self.at))

    def empty_panels(self, board: dict[str, Any], **variables: str) -> list[tuple[str, str]]:
        """The queries of a dashboard that find nothing, by the titles of their panels."""
        asked = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]
        values = {"__rate_interval": RATE_INTERVAL, **variables}
        return [(title, expr) for title, expr in asked if not self.has_data(substituted(scaled_ranges(expr), **values))]

    def without_data(self, expr: str) -> list[str]:
        """The metrics that a rule names, with its matchers, of which there are no series."""
        parts = (f"{metric}{{{matchers}}}" for metric, matchers in selectors(expr))
        return [part for part in parts if not self.has_data(part)]
