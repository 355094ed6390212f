"""What one running service is told from outside."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from gradserve.ir.errors import InvalidRequest
from gradserve.ir.limits import DEFAULT_LIMITS, GraphLimits
from gradserve.jobs.limits import Limits
from gradserve.service.room import Amounts

MAX_PORT = (1 << 16) - 1
_SPARE_THREADS = 8
_SCHEMES = re.compile(r"(unix|unix-abstract|ipv4|ipv6|dns):.+")
_HOST_AND_PORT = re.compile(r"([^/:\[\]\s]+|\[[0-9a-fA-F:.%]+\]):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a server's certificate chain and private key, in PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of a service. The defaults serve one machine, to that machine alone."""

    address: str = "127.0.0.1:50051"
    """Where to listen: `host:port`, where port 0 means any that is free, or `unix:/path` for this user alone."""
    metrics_port: int | None = 9464
    """Where the metrics page is, on the same host; 0 means any that is free, None no page."""
    tls: Tls | None = None
    """The server's certificate; without one, connections are plain."""
    processes: int = 1
    """Front-end processes behind the one address, all on one Ray cluster. A connection stays with one of them."""

    workers: int | None = None
    """Threads of each process's own pool and, with Ray, actors of all of them; None means the number of processors."""
    ray: bool = False
    """Whether there is a pool of Ray actors beside the front end's own."""
    ray_address: str | None = None
    """The Ray cluster to use, through a Ray node that runs on this machine; None starts a cluster here."""
    ray_join: str | None = None
    """The head (`host:port`) of a Ray cluster to join with a Ray node of our own, which offers no processors."""
    ray_metrics_port: int = 8080
    """Where that node publishes Ray's metrics."""
    max_workers: int | None = None
    """The actors that a process may have while work waits; None means no more than `workers`."""

    limits: Limits = field(default_factory=Limits)
    """The most that one call may cost."""
    graph_limits: GraphLimits = DEFAULT_LIMITS
    """How large a graph may be."""
    max_connection_age: float | None = None
    """Seconds after which clients are told to connect anew, so that they find new replicas; None means never."""
    max_seconds: float = 3600.0
    """The longest deadline of a call, and its deadline if the client states none."""

    max_in_flight: int = 64
    """Calls that are worked on at once, by each process: how connections spread over them is left to chance."""
    max_in_flight_bytes: int = 1 << 30
    """Bytes of the requests of those calls."""
    max_in_flight_flops: float = 1e17
    """Predicted floating-point operations of those calls; one that takes more runs alone."""
    max_in_flight_seconds: float = 36_000.0
    """Predicted seconds of those calls, on one worker."""
    max_in_flight_peak_bytes: int = 64 << 30
    """Predicted bytes of arrays of those calls that run in the process itself."""
    min_in_flight: int | None = None
    """Calls of a kind that may run at once however slow they become; None means as many as there are workers.

    On a cluster, which grows by what waits behind its workers, it means twice as many as it may have.
    The limit follows what is measured, between this and `max_in_flight`.
    """
    caller_share: float = 1.0
    """The most that one caller may have of each of these limits, as a share of it."""
    max_queued: int = 64
    """Calls that may wait for others to end; further ones are told to try again."""
    queue_seconds: float = 1.0
    """How long calls may wait in a burst that will be worked off, if they do not take long themselves."""
    queue_target: float = 0.01
    """How long calls may wait in a queue that stands and grows, in seconds; or half as long as they take."""
    quota_flops: float | None = None
    """Predicted floating-point operations that each caller may spend in a second, in the long run; None for no end."""
    quota_bytes: float | None = None
    """Predicted bytes that programs of each caller may read and write in a second."""
    quota_seconds: float = 60.0
    """How many seconds' worth of these each caller may spend at once."""
    lanes: int = 2
    """Small calls that run at the same moment, by each process; those that wait or take long go on beside them."""
    threads: int | None = None
    """Threads that hold calls; None means enough for all that run or wait, and some to turn others away."""

    max_message_bytes: int = 64 << 20
    """The largest request message. Larger arrays come as blobs."""
    inline_limit: int = 32 << 20
    """Bytes of results that one reply carries; larger ones are left in the blob store."""
    graph_store_bytes: int = 1 << 30
    """Memory for registered graphs; the least recently used are forgotten first."""
    graph_store_count: int = 4096
    """How many graphs are kept at most."""
    plan_bytes: int = 1 << 30
    """Memory for derived graphs, as much for programs and for schedules."""
    front_end_bytes: int = 2 << 30
    """Predicted live bytes of a chunk above which it goes to the cluster, if there is one, however short it is."""
    blob_store_bytes: int = 4 << 30
    """Memory for blobs, those half written included; the least recently used are forgotten first."""
    max_blob_bytes: int = 2 << 30
    """The largest blob."""

    grace: float = 30.0
    """Seconds that calls in flight have to end in when the service is told to stop."""
    log_level: str = "INFO"
    """The least severe messages that are logged."""

    def __post_init__(self) -> None:
        """Sees that one can listen on the address, by so many processes: gRPC takes 99999 for another port.

        Raises:
            InvalidRequest: one cannot.
        """
        match = _HOST_AND_PORT.fullmatch(self.address)
        if not _SCHEMES.fullmatch(self.address) and not (match and int(match[2]) <= MAX_PORT):
            raise InvalidRequest(
                f"{self.address!r} is no address to listen on; write host:port, with a port from 0 (any that is free) "
                f"to {MAX_PORT}, such as 127.0.0.1:50051, or 0.0.0.0:50051 for all networks; or unix:/path of a socket"
            )
        if self.processes > 1 and not match:
            raise InvalidRequest(f"{self.address!r} is for one process; {self.processes} share a port: write host:port")

    def within(self, memory: int) -> Settings:
        """The same where all processes may take so many bytes: what they keep for clients takes up to half of them."""
        memory //= self.processes
        return replace(
            self,
            max_in_flight_bytes=min(self.max_in_flight_bytes, memory // 8),
            max_in_flight_peak_bytes=min(self.max_in_flight_peak_bytes, memory // 2),
            graph_store_bytes=min(self.graph_store_bytes, memory // 16),
            plan_bytes=min(self.plan_bytes, memory // 32),
            blob_store_bytes=min(self.blob_store_bytes, memory // 4),
            front_end_bytes=min(self.front_end_bytes, memory // 4),
        )

    @property
    def room(self) -> Amounts:
        """The most that all calls in flight may take together."""
        return Amounts(**{name: float(getattr(self, name)) for name in Amounts._fields})

    @property
    def quotas(self) -> dict[str, float]:
        """What each caller may spend in a second, by the name of the setting; without those that have no end."""
        given = {"quota_flops": self.quota_flops, "quota_bytes": self.quota_bytes}
        return {name: rate for name, rate in given.items() if rate is not None}

    @property
    def host(self) -> str:
        """The host to listen on, without brackets; the local one for a Unix socket."""
        host, colon, _ = self.address.rpartition(":")
        return host.strip("[]") if colon and not host.startswith("unix") else "127.0.0.1"

    @property
    def port(self) -> int:
        """The port to listen on: any that is free if it is 0, or for an address without one."""
        match = _HOST_AND_PORT.fullmatch(self.address)
        return int(match[2]) if match else 0

    def on_port(self, port: int) -> Settings:
        """The same on another port of the host."""
        return replace(self, address=f"{self.address.rpartition(':')[0]}:{port}")

    @property
    def handler_threads(self) -> int:
        """Threads that hold calls."""
        return self.threads or self.max_in_flight + self.max_queued + _SPARE_THREADS
