"""The service as a whole: its pools, its gRPC server and its metrics page, and how they start and end."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from prometheus_client import start_http_server

from gradserve.jobs.context import Context
from gradserve.service.admission import Admission
from gradserve.service.handlers.blobs import Blobs
from gradserve.service.handlers.derivatives import Derivatives
from gradserve.service.handlers.estimates import Estimates
from gradserve.service.handlers.graphs import Graphs
from gradserve.service.handlers.verification import Verification
from gradserve.service.metrics import Metrics
from gradserve.service.rpc import methods_of
from gradserve.service.settings import Settings
from gradserve.service.standard import Standard, add_methods
from gradserve.service.store import BlobStore, GraphStore
from gradserve.service.wire import Wire
from gradserve.v1 import (
    blob_service_pb2,
    derivative_service_pb2,
    estimate_service_pb2,
    graph_service_pb2,
    verification_service_pb2,
)
from gradserve.workers.local_pool import LocalPool
from gradserve.workers.pool import Pool

_logger = logging.getLogger(__name__)

_LAST_SECONDS = 2.0
"""How long calls that were cut off have to notice it."""


class Server:
    """One running service."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Nothing runs before `start`."""
        self.settings = settings or Settings()
        self.metrics = Metrics()
        self.port = 0
        """The port that is listened on, once started."""
        self.metrics_port: int | None = None
        """The port of the metrics page, once started."""
        limits = self.settings
        self.graphs = GraphStore(limits.graph_store_bytes, limits.graph_store_count)
        self.blobs = BlobStore(limits.blob_store_bytes, limits.max_blob_bytes)
        self.admission = Admission(
            limits.max_in_flight, limits.max_in_flight_bytes, limits.max_queued, limits.queue_seconds
        )
        self._ending: list[Callable[[], object]] = []
        """What ends the parts that run, in the order in which they began."""
        self._stopping = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> Server:
        """Starts the pools, then takes calls.

        Raises:
            OSError: a port is taken.
            Unavailable: the Ray cluster has no worker to offer.
        """
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        _logger.info("serving on port %s, metrics on port %s", self.port, self.metrics_port)
        return self

    def stop(self, grace: float | None = None) -> bool:
        """Lets calls in flight end within `grace` seconds and ends everything; answers whether all of them did.

        New calls are refused at once, while health checks answer NOT_SERVING to the end.
        """
        ...
