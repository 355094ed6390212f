"""Front-end processes as one service: started together, restarted one by one, stopped together.

One that has Ray is looked after even if it is alone: Ray ends a process that is handing it an array when its node ends.

All listen on one port (SO_REUSEPORT): the system hands each connection to one of them, where it stays. What a client
has sent to one the others find in the store that they share; without one it is sent again. Whoever serves is a process
of its own, not a fork: gRPC and Ray have threads, and a fork may find a lock held that nobody will ever release.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

from prometheus_client import CollectorRegistry, Counter, Metric, ProcessCollector, disable_created_metrics
from prometheus_client.registry import Collector

from gradserve.ir.errors import GradserveError
from gradserve.service.configuration.settings import Settings
from gradserve.service.listening.ports import SharedPort
from gradserve.service.monitoring.page import require_room, start_page
from gradserve.service.monitoring.together import Snapshot, counted, together
from gradserve.service.processes.child import Child
from gradserve.service.processes.running import run
from gradserve.service.processes.shared_ray import share_ray
from gradserve.service.processes.signals import Signals
from gradserve.service.storage import place

_logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
"""Seconds before a process is started again, twice as many each time that it ends early."""
_EARLY_SECONDS = 60.0
_SNAPSHOT_SECONDS = 2.0
"""How long the metrics page waits for a process; then it shows what that one told last."""
_END_SECONDS = 15.0
"""What a process may take beyond the grace period of its calls."""


def supervise(settings: Settings) -> None:
    """Runs a service until SIGTERM or SIGINT, and returns when all of them have stopped.

    The first signal lets calls in flight end within the grace period; a second one cuts them off.

    Raises:
        OSError, Unavailable: a process could not start; see `Server.start`.
    """
    with ExitStack() as running:
        require_room(settings)
        supervisor = Supervisor(settings, running)
        metrics_port = start_page(running, settings, supervisor.registry)
        by = f", by {settings.processes} processes" if settings.processes > 1 else ""
        _logger.info("serving on %s, metrics on port %s%s", supervisor.where, metrics_port, by)
        with Signals() as signals:
            run(supervisor, signals)
    _logger.info("stopped")


class Supervisor(Collector):
    """The processes of a service, and the metrics of all of them."""

    def __init__(self, settings: Settings, running: ExitStack) -> None:
        """Returns when all processes serve; they end with `running` if they have not been stopped before.

        Raises:
            OSError: the port is taken, or a process could not start.
            Unavailable: there is no Ray cluster.
        """
        self._stopping = threading.Event()
        self._has_ray = threading.Event()
        self._has_ray.set()
        self._lock = threading.Lock()
        self._children: dict[int, Child] = {}
        self._watchers: list[threading.Thread] = []
        self._before: Snapshot = ()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # gauges beside counters that nobody asked for
        self._own = CollectorRegistry()
        ProcessCollector(registry=self._own)
        text = "Processes started in the place of one that ended."
        self._restarts = Counter("gradserve_process_restarts", text, registry=self._own)
        self._here, self.where = replace(settings, metrics_port=None), settings.address
        if settings.processes > 1 or not settings.port:  # or it would go with each process
            self._here = replace(self._here, store=place.named(settings, running))
        if settings.is_host_and_port:
            port = running.enter_context(SharedPort(settings.host, settings.port)).number
            self._here, self.where = self._here.on_port(port), f"port {port}"
        self._ray = running.enter_context(ExitStack())
        self.settings, self._environment = share_ray(self._here, self._ray, self._heal)
        running.callback(self._end)
        for child in [self._start(number) for number in range(settings.processes)]:
            child.await_started()
        self._watchers = [threading.Thread(target=self._watch, args=(number,)) for number in self._children]
        for watcher in self._watchers:
            watcher.start()
        self.registry = CollectorRegistry()
        """What the metrics page shows."""
        self.registry.register(self)

    @property
    def pids(self) -> list[int]:
        """The processes that serve."""
        with self._lock:
            return [child.pid for child in self._children.values() if child.serves]

    def collect(self) -> Iterable[Metric]:
        """The metrics of all processes together, of those that have ended among them."""
        with self._lock:  # a process that ends meanwhile moves from one to the other
            children = [child for child in self._children.values() if child.serves]
            with ThreadPoolExecutor(max(1, len(children))) as asking:
                found = list(asking.map(lambda child: child.snapshot(_SNAPSHOT_SECONDS), children))
            return together([list(self._own.collect()), self._before, *found])

    def cut_off(self) -> None:
        """Tells every process to stop; once they have been told, to cut off the calls that they wait for."""
        with self._lock:
            for child in self._children.values():
                child.terminate()

    def stop(self) -> None:
        """Lets calls in flight end within the grace period, then ends everything."""
        self._stopping.set()
        self._has_ray.set()
        self.cut_off()
        until = time.monotonic() + self.settings.grace + _END_SECONDS
        for watcher in self._watchers:
            watcher.join(max(0.0, until - time.monotonic()))
        self._end()

    def _end(self) -> None:
        """Ends what still runs at once."""
        self._stopping.set()
        self._has_ray.set()
        with self._lock:
            for child in self._children.values():
                child.kill()
        for watcher in self._watchers:
            watcher.join()

    def _heal(self, reason: str) -> None:
        """Starts our Ray cluster or node again, and then the processes: those of before know none but the lost one."""
        _logger.error("the Ray cluster is lost: %s; it is started again, or joined", reason)
        self._has_ray.clear()
        self._ray.close()
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                self.settings, self._environment = share_ray(self._here, self._ray, self._heal)
                break
            except (GradserveError, OSError) as error:
                _logger.warning("%s; trying again", error)
                self._stopping.wait(pause)
                pause = min(_LONGEST_PAUSE, 2 * pause)
        with self._lock:
            for child in self._children.values():
                child.kill()
        self._has_ray.set()

    def _start(self, number: int) -> Child:
        with self._lock:
            child = Child(f"process {number}", self.settings, self._environment)
            self._children[number] = child
            return child

    def _watch(self, number: int) -> None:
        """Looks after one process and those that follow it."""
        child, pause, started = self._children[number], _FIRST_PAUSE, time.monotonic()
        while True:
            status = child.watch()
            with self._lock:
                del self._children[number]
                self._before = together([self._before, counted(child.counted)])
            if self._stopping.is_set():
                return
            _logger.error("process %d (%d) ended with status %d; another takes its place", number, child.pid, status)
            pause = _FIRST_PAUSE if time.monotonic() - started > _EARLY_SECONDS else min(_LONGEST_PAUSE, 2 * pause)
            if self._stopping.wait(pause):
                return
            self._has_ray.wait()
            child, started = self._start(number), time.monotonic()
            self._restarts.inc()
            if self._stopping.is_set():  # perhaps just after all others had been told
                child.kill()
            try:
                child.await_started()
            except OSError as error:
                if not self._stopping.is_set():
                    _logger.warning("process %d could not start: %s", number, error)
