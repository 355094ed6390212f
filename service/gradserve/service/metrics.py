"""What Prometheus sees. The spans are those of execution reports. Labels never hold anything that a client makes up."""

from __future__ import annotations

import functools
import platform
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version

import grpc
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    Metric,
    PlatformCollector,
    ProcessCollector,
)

from gradserve.jobs.report import Report

PHASES = ("queue", "decode", "plan", "execute", "encode")
"""The parts of a call, in the order in which they pass."""

_SECONDS = tuple(m * 10.0**e for e in range(-5, 3) for m in (1.0, 2.5, 5.0))
_MOST_NOTED = 1000
_POINTS = tuple(4.0**k for k in range(11))


class _Registry(CollectorRegistry):
    """A registry that catches up before it is read."""

    def __init__(self, catch_up: Callable[[], None]) -> None:
        super().__init__()
        self._catch_up = catch_up

    def collect(self) -> Iterable[Metric]:
        """The metrics, all calls that have ended among them."""
        self._catch_up()
        return super().collect()


class Metrics:
    """The metrics of one service, in a registry of their own.

    A call only notes how it ended. It is counted when somebody reads the metrics, or with a thousand others: counting
    takes a quarter of what a small call costs the server, and nobody need wait for it.
    """

    def __init__(self) -> None:
        """All counts start at zero."""
        self._ended: deque[Callable[[], None]] = deque()
        self._catching_up = threading.Lock()
        self.registry = _Registry(self.catch_up)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.calls = self._counter("calls", "Calls that have ended.", "method", "code")
        self.received = self._counter("received_bytes", "Bytes of request messages.", "method")
        self.sent = self._counter("sent_bytes", "Bytes of reply messages.", "method")
        self.seconds = Histogram(
            "gradserve_call_seconds",
            "Time that calls spent in each phase.",
            ("method", "phase"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "gradserve_batch_size", "Points in a call.", buckets=_POINTS, registry=self.registry
        )
        self.chunks = self._counter("chunks", "Chunks that have been run.")
        self.retries = self._counter("worker_retries", "Chunks that were run again because their worker died.")
        self.plan_hits = self._counter("plan_cache_hits", "Calls whose plan was known.")
        self.plan_misses = self._counter("plan_cache_misses", "Calls whose plan had to be made.")
        self.probes = self._counter("probes", "Probes of estimates.")
        self.verifications = self._counter("verifications", "Verifications that have ended.", "verdict")
        self.in_flight = self._gauge("in_flight", "Calls that are worked on.")
        self.workers = self._gauge("workers", "Workers that run chunks.", "pool")
        self.blob_bytes = self._gauge("blob_bytes", "Bytes of blobs that are kept, half-written ones included.")
        Info("gradserve_build", "What is running.", registry=self.registry).info(
            {"version": _version(), "python": platform.python_version(), "grpc": grpc.__version__}
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"gradserve_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"gradserve_{name}", text, labels, registry=self.registry)

    def note(self, count: Callable[[], None]) -> None:
        """Puts off counting a call."""
        self._ended.append(count)
        if len(self._ended) >= _MOST_NOTED:
            self.catch_up()

    def catch_up(self) -> None:
        """Counts all calls that have ended."""
        with self._catching_up:
            while self._ended:
                self._ended.popleft()()

    def method(self, name: str) -> MethodMetrics:
        """The metrics of one method."""
        return MethodMetrics(self, name)


class MethodMetrics:
    """The metrics of one method, their labels looked up once: a call spends microseconds here."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        """Every phase of the method is there from the start."""
        self._metrics = metrics
        self._calls = {code: metrics.calls.labels(name, code.name) for code in grpc.StatusCode}
        self._seconds = [metrics.seconds.labels(name, phase) for phase in PHASES]
        self._received = metrics.received.labels(name)
        self._sent = metrics.sent.labels(name)

    def ended(
        self, code: grpc.StatusCode, spans: Sequence[float], received: int, sent: int, report: Report | None
    ) -> None:
        """Takes down one call. `spans` are seconds by phase, as many as the call has reached."""
        self._metrics.note(functools.partial(self._count, code, spans, received, sent, report))

    def _count(
        self, code: grpc.StatusCode, spans: Sequence[float], received: int, sent: int, report: Report | None
    ) -> None:
        self._calls[code].inc()
        for histogram, span in zip(self._seconds, spans, strict=False):
            histogram.observe(span)
        self._received.inc(received)
        self._sent.inc(sent)
        if report is not None:
            metrics = self._metrics
            metrics.batch_size.observe(report.batch_size)
            metrics.chunks.inc(report.chunks)
            (metrics.plan_hits if report.plan_cache_hit else metrics.plan_misses).inc()
            if report.retries:
                metrics.retries.inc(report.retries)


def _version() -> str:
    try:
        return version("gradserve")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
