"""The service as a whole: its pools, its gRPC server and its metrics page, and how they start and end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import grpc

from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.programs import Programs
from gradserve.pools.local.pool import LocalPool
from gradserve.pools.ray.joined_node import JoinedNode
from gradserve.questions.asked import QUESTIONS
from gradserve.questions.streams import RPC
from gradserve.runtime.memory import memory_limit
from gradserve.runtime.processors import processors
from gradserve.service.admission.admission import Admission
from gradserve.service.calls.contexts import Contexts
from gradserve.service.calls.interceptor import StrangerInterceptor
from gradserve.service.calls.methods import Handler, House, methods_of, of_message, of_messages
from gradserve.service.calls.standard import Standard, add_methods
from gradserve.service.calls.unknown import Unknown
from gradserve.service.calls.unread import Unread
from gradserve.service.configuration.settings import Settings
from gradserve.service.handlers.blobs import BlobHandlers
from gradserve.service.handlers.graphs import Graphs
from gradserve.service.handlers.questions import Questions
from gradserve.service.handlers.streams import Streams
from gradserve.service.identity.authenticator import Authenticator
from gradserve.service.identity.certificates import server_credentials
from gradserve.service.listening.connections import options_of
from gradserve.service.listening.ports import require_port
from gradserve.service.listening.sockets import listening, path_of
from gradserve.service.monitoring.listeners import listeners
from gradserve.service.monitoring.metrics import Metrics
from gradserve.service.monitoring.page import require_room, start_page
from gradserve.service.storage import place
from gradserve.service.storage.content import Content
from gradserve.service.storage.graphs import Shelf
from gradserve.service.storage.owners import Owned
from gradserve.service.storage.store import BlobStore, GraphStore
from gradserve.service.threads.arrivals import Arrivals
from gradserve.service.threads.lanes import Lanes, unheard
from gradserve.wire.methods import SERVICES

if TYPE_CHECKING:
    from gradserve.pools.ray.healing import HealingPool
    from gradserve.pools.ray.pool import RayPool

_logger = logging.getLogger(__name__)

_LAST_SECONDS = 1.0
"""How long replies have to leave, and streams of health checks to end, when all calls are done."""


class Server:
    """One running service."""

    _server: grpc.Server
    _standard: Standard
    _front_end: LocalPool

    def __init__(
        self,
        settings: Settings | None = None,
        some_are_long: Callable[[bool], None] = unheard,
        *,
        supervised: bool = False,
    ) -> None:
        """Nothing runs before `start`; `some_are_long` hears whether there are long calls, whenever that changes.

        Whose port a supervisor has taken is `supervised`, and shares it.
        """
        self.settings = settings = (settings or Settings()).within(memory_limit())
        self.metrics = Metrics(settings.max_caller_labels)
        self.graphs = GraphStore(settings.graph_store_bytes, settings.graph_store_count)
        self.blobs = BlobStore(settings.blob_store_bytes, settings.max_blob_bytes)
        self.owned = Owned(self.graphs, self.blobs, settings.max_owned)
        self.admission = Admission(settings, settings.workers or processors())
        self.unread = Unread(settings.max_unread_bytes, settings.max_seconds)
        self.port = 0
        """The port that is listened on, once started; 0 for a Unix socket."""
        self.metrics_port: int | None = None
        """The port of the metrics page, once started."""
        self._some_are_long = some_are_long
        self._shares_port = supervised and self.settings.is_host_and_port
        self._running = ExitStack()
        """Ends the parts, the last begun first."""
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._stopped.set()

    def start(self, taking: Callable[[], None] = lambda: None) -> Self:
        """Takes calls, says so to `taking`, and starts the Ray cluster meanwhile; returns when both are there.

        Raises:
            OSError: a port is taken, or a certificate cannot be read.
            InvalidRequest: what says who may call cannot be read.
            Unavailable: the Ray cluster has no worker to offer.
        """
        with ExitStack() as running:
            cluster = self._start(running)
            self._running = running.pop_all()
        self._stopped.clear()
        taking()
        if cluster is not None:
            try:
                cluster.open()
            except BaseException:
                self.stop()
                raise
        return self

    def warm(self) -> None:
        """Makes ready for heavy calls, if those are not for a cluster: the first would wait for a process to start."""
        if self._front_end.processes is not None and not self.settings.ray:
            self._front_end.processes.warm()

    @property
    def heavy_processes(self) -> list[int]:
        """The processes that heavy work runs in without a cluster."""
        return self._front_end.processes.pids if self._front_end.processes else []

    def cut_off(self) -> None:
        """Cancels all calls at once, so that `stop` need not wait for them."""
        self._server.stop(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until the service has stopped or `seconds` have passed; answers whether it has stopped."""
        return self._stopped.wait(seconds)

    def stop(self, grace: float | None = None) -> bool:
        """Lets calls in flight end within `grace` seconds, then ends everything; answers whether all of them ended.

        New calls are refused at once, while health checks are answered, by NOT_SERVING, as long as calls are in flight.
        """
        with self._lock:
            if self._stopped.is_set():
                return True
            self._standard.draining()
            self.admission.close()
            idle = self.admission.wait_idle(self.settings.grace if grace is None else grace)
            if not idle:
                _logger.warning("cutting off %d calls that did not end in time", self.admission.calls)
            self._server.stop(_LAST_SECONDS if idle else None).wait()
            self._running.close()
            self._stopped.set()
            return idle

    def _start(self, running: ExitStack) -> HealingPool | None:
        """Begins to take calls; answers the pool of the cluster, which is to be opened."""
        settings = self.settings
        # First what may be wrong, and then what takes long.
        require_room(settings)
        if not self._shares_port:
            require_port(settings)
        authenticator = Authenticator(settings)
        running.callback(authenticator.close)
        identify = authenticator.identify
        self._keep(running)
        self._front_end = front_end = LocalPool(settings.workers, processes=True)
        running.callback(front_end.close)
        cluster = self._cluster(front_end)
        if cluster is not None:
            running.callback(cluster.close)
        threads = Lanes(settings.lanes, settings.handler_threads, self._some_are_long)
        running.callback(threads.shutdown)
        before = [StrangerInterceptor(authenticator, SERVICES, self.metrics)] if settings.knows_callers else []
        many = settings.handler_threads // 2
        arrivals = Arrivals(threads, many, lambda: self.admission.crowded or threads.held > many)
        options = options_of(settings, self._shares_port)
        self._server = grpc.server(arrivals, None, before, options)  # type: ignore[arg-type]  # any executor does
        programs = Programs(settings.plan_bytes, settings.limits)
        content = Content(self.owned, settings.graph_limits, settings.inline_limit)
        context = Context(front_end, cluster, settings.limits, programs, settings.front_end_bytes)
        handlers = self._handlers(context, content)
        limits = settings.graph_limits, settings.max_seconds
        lane = threads.give_up, threads.hears, threads.heard
        recognise, told = authenticator.recognise, listeners(settings, running)
        running.callback(self.unread.close)
        house = House(
            self.admission, self.metrics, *limits, *lane, self.unread, identify, recognise, content.foreseen, told
        )
        for service in SERVICES:
            methods = methods_of(service, handlers, house)
            add_methods(self._server, service.full_name, methods)
        names = [service.full_name for service in SERVICES]
        self._standard = Standard(self._server, names, identify, settings.open_health)
        self._server.add_generic_rpc_handlers((Unknown(),))
        running.callback(self._standard.close)
        self.port = self._listen()
        self._server.start()
        running.callback(self._server.stop, None)
        self._publish(running, front_end, cluster)
        self._standard.serving()
        if cluster is not None:
            cluster.tell(self._standard.cluster)
        return cluster

    def _keep(self, running: ExitStack) -> None:
        """Keeps graphs and blobs beyond memory, where the settings say."""
        found = place.opened(self.settings, running)
        if found is not None:
            self.blobs.keep_in(found.blobs, found.shared)
            limits = self.settings.graph_limits
            self.graphs.keep_on(Shelf(found.graphs, found.blobs, self.blobs.get, limits))
            if found.claims is not None:
                self.owned.owners.keep_in(found.claims, self.settings.oidc.issuer if self.settings.oidc else "")

    def _cluster(self, front_end: LocalPool) -> HealingPool | None:
        settings = self.settings
        if not settings.ray:
            return None
        from gradserve.pools.ray.healing import HealingPool  # imports Ray, which takes half a second

        others = settings.ray_join is not None or settings.ray_address is not None
        return HealingPool(self._ray_pool, front_end, settings.front_end_bytes, patient=others)

    def _ray_pool(self, running: ExitStack) -> RayPool:
        from gradserve.pools.ray import cluster
        from gradserve.pools.ray.pool import RayPool
        from gradserve.pools.ray.watch import require_head

        settings = self.settings
        if settings.ray_join:
            require_head(settings.ray_join)
            running.callback(JoinedNode(settings.ray_join, settings.ray_metrics_port, cluster.lose).close)
        address = settings.ray_join or settings.ray_address
        pool = RayPool(address, settings.workers, max_workers=settings.max_workers, sharers=settings.processes)
        running.callback(pool.close)
        return pool

    def _handlers(self, context: Context, content: Content) -> dict[str, Handler]:
        """What handles each method: questions all alike, and what is kept for them in its own way."""
        contexts = Contexts(context)
        questions, graphs, blobs = Questions(contexts, content, self.metrics), Graphs(content), BlobHandlers(self.owned)
        return {
            **{method: questions.handler(method) for method in QUESTIONS},
            RPC: Streams(contexts, content).stream_gradient,
            "RegisterGraph": of_message(graphs.register_graph),
            "GetGraph": of_message(graphs.get_graph),
            "CheckGraph": of_message(graphs.check_graph),
            "FindMissingBlobs": of_message(blobs.find_missing_blobs),
            "WriteBlob": of_messages(blobs.write_blob),
            "ReadBlob": of_message(blobs.read_blob),
        }

    def _listen(self) -> int:
        path = path_of(self.settings.address)
        if path is None:
            return self._bind()
        listening(path, self._bind)
        return 0

    def _bind(self) -> int:
        address, tls = self.settings.address, self.settings.tls
        try:
            if tls is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, server_credentials(tls, self.metrics.registry))
        except RuntimeError as error:
            if not self._shares_port:
                require_port(self.settings)
            raise OSError(f"cannot listen on {address}: {error}") from None

    def _publish(self, running: ExitStack, front_end: LocalPool, cluster: HealingPool | None) -> None:
        """Starts the metrics page."""
        metrics = self.metrics
        metrics.watch_admission(self.admission)
        metrics.max_in_flight.set(self.settings.max_in_flight)
        metrics.graphs.set_function(lambda: len(self.graphs))
        metrics.blob_bytes.set_function(lambda: self.blobs.held_bytes)
        metrics.blob_capacity.set(self.blobs.capacity)
        metrics.processes.set(1)
        metrics.memory_limit.set(memory_limit() // self.settings.processes)
        metrics.watch_front_end(front_end)
        if cluster is not None:
            metrics.watch_cluster(cluster)
        self.metrics_port = start_page(running, self.settings, metrics.registry)
