"""What Prometheus sees. The spans are those of execution reports. Labels never hold anything that a client makes up.

Callers are named if the service knows them, and then a bounded number of them.
"""

from __future__ import annotations

import functools
import platform
import threading
from collections import Counter as CountOf
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, TypeAlias

import grpc
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Info,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from gradserve.pools.local.pool import LocalPool
from gradserve.questions.report import PHASES, Report
from gradserve.questions.verdicts import Verdict
from gradserve.service.admission.admission import Admission
from gradserve.service.admission.gate import Gate
from gradserve.service.admission.histograms import Histogram, Row
from gradserve.service.admission.queues import DELAYS
from gradserve.service.monitoring.caller_counts import Callers

if TYPE_CHECKING:
    from gradserve.pools.ray.healing import HealingPool

_SECONDS = tuple(m * 10.0**e for e in range(-5, 3) for m in (1.0, 2.5, 5.0))
_MOST_NOTED = 1000
_POINTS = tuple(4.0**k for k in range(11))

Ended: TypeAlias = tuple[grpc.StatusCode, Sequence[float], int, int, Report | None, str]
"""How a call ended: its code, seconds by phase, bytes received and sent, its report, and the caller's name."""


class _Registry(CollectorRegistry):
    """A registry that catches up before it is read."""

    def __init__(self, catch_up: Callable[[], None]) -> None:
        super().__init__()
        self._catch_up = catch_up

    def collect(self) -> Iterable[Metric]:
        """The metrics, all calls that have ended among them."""
        self._catch_up()
        return super().collect()


class _Count(Collector):
    """A counter that is kept elsewhere."""

    def __init__(self, name: str, text: str, read: Callable[[], int]) -> None:
        self._name = name
        self._text = text
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """The counter."""
        yield CounterMetricFamily(self._name, self._text, value=self._read())


class _Counts(Collector):
    """A counter with a label that is kept elsewhere."""

    def __init__(self, name: str, text: str, label: str) -> None:
        self._name, self._text, self._label = name, text, label
        self.read: Callable[[], Mapping[str, int]] = dict
        """Where it is kept."""

    def collect(self) -> Iterable[Metric]:
        """The counter."""
        family = CounterMetricFamily(self._name, self._text, labels=(self._label,))
        for value, count in self.read().items():
            family.add_metric((value,), count)
        yield family


class Metrics:
    """The metrics of one service, in a registry of their own.

    A call only notes how it ended. It is counted when somebody reads the metrics, or with a thousand others: counting
    takes a quarter of what a small call costs the server, and nobody need wait for it.
    """

    def __init__(self, max_callers: int = 100) -> None:
        """All counts start at zero. So many callers are told apart."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # gauges beside counters that nobody asked for
        self._ended: deque[tuple[MethodMetrics, Ended]] = deque()
        self._catching_up = threading.Lock()
        self.registry = _Registry(self.catch_up)
        for standard in (ProcessCollector, PlatformCollector, GCCollector):
            standard(registry=self.registry)
        self.calls = self._counter("calls", "Calls that have ended.", "method", "code", "executor")
        self.callers = Callers(
            max_callers,
            calls=self._counter("caller_calls", "Calls of callers that the service knows.", "caller", "code"),
            seconds=self._counter("caller_seconds", "Time that their calls took.", "caller"),
            received=self._counter("caller_received_bytes", "Bytes of their request messages.", "caller"),
        )
        self.received = self._counter("received_bytes", "Bytes of request messages.", "method")
        self.sent = self._counter("sent_bytes", "Bytes of reply messages.", "method")
        self.seconds = Histogram(
            "gradserve_call_seconds",
            "Time that calls spent in each phase.",
            ("method", "phase", "executor"),
            _SECONDS,
        )
        self.batch_size = Histogram("gradserve_batch_size", "Points in a call.", ("method",), _POINTS)
        self.shed = _Counts("gradserve_shed", "Calls that were turned away.", "limit")
        text = "Time that calls waited for others which had to wait and were let in."
        self.queue_seconds = Histogram("gradserve_queue_seconds", text, (), DELAYS)
        for collector in (self.seconds, self.batch_size, self.queue_seconds, self.shed):
            self.registry.register(collector)
        self.chunks = self._counter("chunks", "Chunks that have been run.")
        self.retries = self._counter("worker_retries", "Chunks that were run again because their worker died.")
        self.plan_hits = self._counter("plan_cache_hits", "Calls whose plan was known.")
        self.plan_misses = self._counter("plan_cache_misses", "Calls whose plan had to be made.")
        self.probes = self._counter("probes", "Probes of estimates.")
        self.verifications = self._counter("verifications", "Verifications that have ended.", "verdict")
        for verdict in Verdict:
            self.verifications.labels(verdict.value)
        self.in_flight = self._gauge(
            "in_flight", "Calls that are worked on, or have been let in and wait for their work."
        )
        self.max_in_flight = self._gauge("max_in_flight", "The most calls that are worked on at once.")
        self.limit = self._gauge("in_flight_limit", "Calls of a kind that may run at once, as measured.", "kind")
        self.running = self._gauge("running", "Calls of a kind that run.", "kind")
        self.queued = self._gauge("queued", "Calls that wait for others to end.")
        self.workers = self._gauge("workers", "Workers that run chunks.", "pool")
        self.workers_wanted = self._gauge("workers_wanted", "Workers asked for, ready or not.", "pool")
        self.graphs = self._gauge("graphs", "Graphs that are kept.")
        self.blob_bytes = self._gauge("blob_bytes", "Bytes of blobs that are kept, half-written ones included.")
        self.blob_capacity = self._gauge("blob_capacity_bytes", "The most bytes of blobs that are kept.")
        self.memory_limit = self._gauge("memory_limit_bytes", "Memory that the process may take.")
        self.processes = self._gauge("processes", "Front-end processes that serve.")
        self.restarts = self._counter("process_restarts", "Processes started in the place of one that ended.")
        Info("gradserve_build", "What is running.", registry=self.registry).info(
            {"version": _version(), "python": platform.python_version(), "grpc": grpc.__version__}
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"gradserve_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"gradserve_{name}", text, labels, registry=self.registry)

    def watch_admission(self, admission: Admission) -> None:
        """Shows who is worked on, who waits and who is turned away from now on."""
        self.in_flight.set_function(lambda: admission.calls)
        self.queued.set_function(lambda: admission.waiting)
        for kind, gate in admission.gates.items():
            self.limit.labels(kind).set_function(functools.partial(_limit, gate))
            self.running.labels(kind).set_function(functools.partial(getattr, gate, "inside"))
        self.shed.read = lambda: admission.shed
        self.queue_seconds.show(admission.delays)

    def watch_front_end(self, pool: LocalPool) -> None:
        """Shows the front end's own pool from now on."""
        self.workers.labels(pool.name).set_function(lambda: pool.size)
        self.workers_wanted.labels(pool.name).set_function(lambda: pool.size)

    def watch_cluster(self, pool: HealingPool) -> None:
        """Shows the pool of the cluster from now on."""
        self.workers.labels(pool.name).set_function(lambda: pool.size)
        self.workers_wanted.labels(pool.name).set_function(lambda: pool.wanted)
        self._gauge("chunks_waiting", "Chunks that wait for a worker of the cluster.").set_function(
            lambda: pool.waiting
        )
        self.registry.register(_Count("gradserve_workers_lost", "Workers of the cluster that died.", lambda: pool.lost))

    def note(self, method: MethodMetrics, ended: Ended) -> None:
        """Puts off counting a call."""
        self._ended.append((method, ended))
        if len(self._ended) >= _MOST_NOTED:
            self.catch_up()

    def catch_up(self) -> None:
        """Counts all calls that have ended."""
        with self._catching_up:
            seen = set()
            while self._ended:
                method, ended = self._ended.popleft()
                method.count(ended)
                seen.add(method)
            for method in seen:
                method.publish()

    def method(self, name: str) -> MethodMetrics:
        """The metrics of one method."""
        return MethodMetrics(self, name)


class MethodMetrics:
    """The metrics of one method: a call spends a microsecond here, and its count another few."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        """Every code and phase of the method is there from the start, of calls that no executor has run."""
        self._metrics = metrics
        self._name = name
        self._calls: dict[tuple[grpc.StatusCode, str], Counter] = {}
        self._seconds: dict[str, list[Row]] = {}
        for code in grpc.StatusCode:
            self._calls_of((code, ""))
        self._seconds_of("")
        self._batch_size = metrics.batch_size.labels(name)
        self._totals = _Totals(
            received=metrics.received.labels(name),
            sent=metrics.sent.labels(name),
            chunks=metrics.chunks,
            retries=metrics.retries,
            plan_hits=metrics.plan_hits,
            plan_misses=metrics.plan_misses,
        )
        self._ended: CountOf[tuple[grpc.StatusCode, str]] = CountOf()

    def ended(self, *ended: *Ended) -> None:
        """Takes down one call. `spans` are seconds by phase, as many as the call has reached."""
        self._metrics.note(self, ended)

    def count(self, ended: Ended) -> None:
        """Adds a call up with others."""
        code, spans, received, sent, report, caller = ended
        if caller:
            self._metrics.callers.count(caller, code, sum(spans), received)
        executor = "" if report is None else report.executor
        self._ended[code, executor] += 1
        for row, span in zip(self._seconds_of(executor), spans, strict=False):
            row.observe(span)
        added = self._totals.added
        added["received"] += received
        added["sent"] += sent
        if report is not None:
            self._batch_size.observe(report.batch_size)
            added["chunks"] += report.chunks
            added["plan_hits" if report.plan_cache_hit else "plan_misses"] += 1
            added["retries"] += report.retries

    def publish(self) -> None:
        """Shows what has been added up."""
        self._totals.publish()
        for key, count in self._ended.items():
            self._calls_of(key).inc(count)
        self._ended.clear()

    def _calls_of(self, key: tuple[grpc.StatusCode, str]) -> Counter:
        """The count of calls that ended by this code; the executor is empty for those that none has run."""
        if key not in self._calls:
            self._calls[key] = self._metrics.calls.labels(self._name, key[0].name, key[1])
        return self._calls[key]

    def _seconds_of(self, executor: str) -> list[Row]:
        """The seconds by phase."""
        found = self._seconds.get(executor)
        if found is None:
            found = [self._metrics.seconds.labels(self._name, phase, executor) for phase in PHASES]
            self._seconds[executor] = found
        return found


class _Totals:
    """Numbers that are added up before their counters see them."""

    def __init__(self, **counters: Counter) -> None:
        self._counters = counters
        self.added: CountOf[str] = CountOf()

    def publish(self) -> None:
        """Lets the counters see what has been added since they last did."""
        for name, amount in self.added.items():
            self._counters[name].inc(amount)
        self.added.clear()


def _limit(gate: Gate) -> float:
    return 0.0 if gate.adaptive is None else gate.adaptive.limit


def _version() -> str:
    try:
        return version("gradserve")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
