"""What one running service is told from outside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from gradserve.ir.errors import InvalidRequest, shown
from gradserve.ir.limits import DEFAULT_LIMITS, GraphLimits
from gradserve.ir.quantities import (
    MOST_THREADS,
    Age,
    Amount,
    Bytes,
    Count,
    MessageBytes,
    Number,
    Port,
    Processes,
    Rate,
    Seconds,
    Share,
    Threads,
    Workers,
)
from gradserve.ir.records import dataclass
from gradserve.jobs.sweeps.limits import Limits
from gradserve.service.configuration.amounts import Amounts
from gradserve.service.configuration.described import PREFIX, require_described
from gradserve.service.configuration.hosts import host_and_port, host_of
from gradserve.service.configuration.identity import Oidc, Tls

MAX_PORT = (1 << 16) - 1
_SPARE_THREADS = 8
_SCHEMES = re.compile(r"(unix|unix-abstract|ipv4|ipv6|dns):.+")


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of a service. The defaults serve one machine, to that machine alone.

    Command line, environment, file and help are made of these fields: of their types, defaults and texts.
    """

    address: str = "127.0.0.1:50051"
    """Where to listen: `host:port`, where port 0 means any that is free, or `unix:/path` for this user alone."""
    metrics_port: Port | None = 9464
    """Where the metrics page is; 0 means any that is free, None no page."""
    metrics_host: str = "127.0.0.1"
    """The host that it listens on: this machine alone, unless told; `0.0.0.0` for all networks."""
    metrics_token_file: Path | None = None
    """A file with the token that readers of the page must bear, read again when it changes; None for everybody."""
    tls: Tls | None = field(default=None, metadata={PREFIX: "tls_"})
    """The server's certificate; without one, connections are plain."""
    token_file: Path | None = None
    """Callers' tokens, hashed, as `gradserve token new` writes them; read again when the file changes."""
    oidc: Oidc | None = field(default=None, metadata={PREFIX: "oidc_"})
    """The issuer whose tokens are taken; None for none."""
    allow_plain_tokens: bool = False
    """Whether tokens may travel unencrypted to other machines, as where a proxy or a mesh has TLS in front of us."""
    open_health: bool = True
    """Whether health checks are answered to callers whom nobody knows."""
    max_owned: Count = 1_000_000
    """How many graphs and blobs the service remembers the senders of in memory; without a store, who is forgotten sends
    again."""
    max_caller_labels: Count = 100
    """How many callers metrics tell apart; all others are one."""

    processes: Processes = 1
    """Front-end processes behind the one address, all on one Ray cluster. A connection stays with one of them."""

    workers: Workers | None = None
    """Threads of each process's own pool and, with Ray, actors of all of them; None means the number of processors."""
    ray: bool = False
    """Whether there is a pool of Ray actors beside the front end's own."""
    ray_address: str | None = None
    """The Ray cluster to use, through a Ray node that runs on this machine; None starts a cluster here."""
    ray_join: str | None = None
    """The head (`host:port`) of a Ray cluster to join with a Ray node of our own, which offers no processors."""
    ray_metrics_port: Port = 8080
    """Where that node publishes Ray's metrics."""
    max_workers: Workers | None = None
    """The actors that a process may have while work waits; None means no more than `workers`."""

    limits: Limits = field(default_factory=Limits, metadata={PREFIX: ""})
    """The most that one call may cost."""
    graph_limits: GraphLimits = field(default=DEFAULT_LIMITS, metadata={PREFIX: "graph_"})
    """How large a graph may be."""
    max_connection_age: Age | None = None
    """Seconds after which clients are told to connect anew, so that they find new replicas; None means never."""
    max_seconds: Age = 3600.0
    """The longest deadline of a call, and its deadline if the client states none."""

    max_in_flight: Count = 64
    """Calls that are worked on at once, by each process: how connections spread over them is left to chance."""
    max_in_flight_bytes: Bytes = 1 << 30
    """Bytes of the requests of those calls."""
    max_in_flight_flops: Number = 1e17
    """Predicted floating-point operations of those calls; one that takes more runs alone."""
    max_in_flight_seconds: Seconds = 36_000.0
    """Predicted seconds of those calls, on one worker."""
    max_in_flight_peak_bytes: Bytes = 64 << 30
    """Predicted bytes of arrays of those calls that run in the process itself."""
    min_in_flight: Count | None = None
    """Calls of a kind that may run at once however slow they become; None means as many as there are workers.

    On a cluster, which grows by what waits behind its workers, it means twice as many as it may have.
    The limit follows what is measured, between this and `max_in_flight`.
    """
    caller_share: Share = 1.0
    """The most that one caller may have of each of these limits, as a share of it."""
    max_queued: Amount = 64
    """Calls that may wait for others to end; further ones are told to try again."""
    queue_seconds: Seconds = 1.0
    """How long calls may wait in a burst that will be worked off, if they do not take long themselves."""
    queue_target: Seconds = 0.003
    """How long calls may wait in a queue that stands and grows, in seconds; or until four others are expected."""
    quota_flops: Rate | None = None
    """Predicted floating-point operations that each caller may spend in a second, in the long run; None for no end."""
    quota_bytes: Rate | None = None
    """Predicted bytes that programs of each caller may read and write in a second."""
    quota_seconds: Seconds = 60.0
    """How many seconds' worth of these each caller may spend at once."""
    lanes: Threads = 2
    """Small calls that run at the same moment, by each process; those that wait or take long go on beside them."""
    threads: Threads | None = None
    """Threads that hold calls; None means enough for all that run or wait, and some to turn others away."""

    max_message_bytes: MessageBytes = 64 << 20
    """The largest request message. Larger arrays come as blobs."""
    inline_limit: Bytes = 32 << 20
    """Bytes of results that one reply carries; larger ones are left in the blob store."""
    max_unread_bytes: Bytes = 1 << 30
    """Memory for replies that clients have not read; of more the oldest calls of who has most end."""
    graph_store_bytes: Bytes = 1 << 30
    """Memory for registered graphs; the least recently used are forgotten first."""
    graph_store_count: Count = 4096
    """How many graphs are kept at most."""
    plan_bytes: Bytes = 1 << 30
    """Memory for derived graphs, as much for programs and for schedules."""
    front_end_bytes: Bytes = 2 << 30
    """Predicted live bytes of a chunk above which it goes to the cluster, if there is one, however short it is."""
    blob_store_bytes: Bytes = 4 << 30
    """Memory for blobs, those half written included; the least recently used are forgotten first."""
    store: str = ""
    """Where registered graphs and blobs are kept beyond that: a folder, the URL of one as fsspec knows it, or `none`.
    Empty means a folder of this service's own, below $XDG_STATE_HOME or ~/.local/state; none if it cannot be made."""
    store_bytes: Bytes = 16 << 30
    """The most bytes there, by all who use the place, and in a folder at most half of what is free on its disk."""
    max_blob_bytes: Bytes = 2 << 30
    """The largest blob."""

    grace: Seconds = 30.0
    """Seconds that calls in flight have to end in when the service is told to stop."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe messages that are logged."""
    log_format: Literal["text", "json"] = "text"
    """How messages are written: as lines for people, or as JSON for collectors."""
    access_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "DEBUG"
    """The severity of the line about every call that has ended, which never tells of its data."""
    traces: str | None = None
    """Where OpenTelemetry's spans go, such as `http://collector:4317`, or `console`; None means nowhere."""

    def __post_init__(self) -> None:
        """Sees that all are such as can be read, and that one can listen on the address: gRPC takes 99999 for another.

        Raises:
            InvalidRequest: they are not, one cannot, or settings exclude each other.
        """
        require_described(self)
        address = shown(self.address)
        if not _SCHEMES.fullmatch(self.address) and not (self.is_host_and_port and self.port <= MAX_PORT):
            raise InvalidRequest(
                f"{address} is no address to listen on; write host:port, with a port from 0 (any that is free) "
                f"to {MAX_PORT}, such as 127.0.0.1:50051, or 0.0.0.0:50051 for all networks; or unix:/path of a socket"
            )
        if host_of(self.metrics_host) is None:
            given = f"{shown(self.metrics_host)} is no host" if self.metrics_host else "it is empty"
            raise InvalidRequest(
                f"metrics_host: {given}; write 127.0.0.1, or 0.0.0.0 for all networks; its port is metrics_port"
            )
        if self.processes > 1 and not self.is_host_and_port:
            raise InvalidRequest(f"{address} is for one process; {self.processes} share a port: write host:port")
        if self.ray_address is not None and self.ray_join is not None:
            raise InvalidRequest(
                "ray_address and ray_join exclude each other: use a cluster of this machine, or join one"
            )
        if (self.token_file or self.oidc) and self.tls is None and not (self.allow_plain_tokens or self.is_local):
            raise InvalidRequest(
                f"callers' tokens would travel unencrypted to {self.address}: give tls_certificate and tls_key, or set "
                "allow_plain_tokens where something in front of the service has TLS"
            )
        if (self.max_workers or self.workers or 0) < (self.workers or 0):
            raise InvalidRequest(f"max_workers, {self.max_workers}, is less than workers, {self.workers}")

    def within(self, memory: int) -> Settings:
        """The same where all processes may take so many bytes: what they keep for clients takes up to half of them."""
        memory //= self.processes
        return replace(
            self,
            max_in_flight_bytes=min(self.max_in_flight_bytes, memory // 8),
            max_in_flight_peak_bytes=min(self.max_in_flight_peak_bytes, memory // 2),
            max_unread_bytes=min(self.max_unread_bytes, memory // 16),
            graph_store_bytes=min(self.graph_store_bytes, memory // 16),
            plan_bytes=min(self.plan_bytes, memory // 32),
            blob_store_bytes=min(self.blob_store_bytes, 3 * memory // 16),
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
        found = host_and_port(self.address)
        return found[0] if found else "127.0.0.1"

    @property
    def page_host(self) -> str:
        """The host of the metrics page, without brackets."""
        return host_of(self.metrics_host) or ""

    @property
    def knows_callers(self) -> bool:
        """Whether every call must show who makes it."""
        return bool(self.token_file or self.oidc or (self.tls and self.tls.client_ca))

    @property
    def is_local(self) -> bool:
        """Whether nobody on other machines can connect."""
        if not self.is_host_and_port:
            return self.address.startswith("unix")
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:  # a name
            return False

    @property
    def is_host_and_port(self) -> bool:
        """Whether that is what the address says, rather than a socket or a name with a scheme."""
        return host_and_port(self.address) is not None

    @property
    def port(self) -> int:
        """The port to listen on: any that is free if it is 0, or for an address without one."""
        found = host_and_port(self.address)
        return found[1] if found else 0

    def on_port(self, port: int) -> Settings:
        """The same on another port of the host."""
        return replace(self, address=f"{self.address.rpartition(':')[0]}:{port}")

    @property
    def handler_threads(self) -> int:
        """Threads that hold calls."""
        return self.threads or min(MOST_THREADS, self.max_in_flight + self.max_queued + _SPARE_THREADS)


SERVED: Mapping[str, Any] = MappingProxyType({"ray": True})
"""Where `gradserve serve` begins, other than a service within a program."""
GROUPS = (
    ("address", "Where it is"),
    ("tls", "Who may call"),
    ("processes", "What computes"),
    ("limits", "The most that one call may cost"),
    ("graph_limits", "The largest graph"),
    ("max_connection_age", "Connections and deadlines"),
    ("max_in_flight", "Calls at once"),
    ("max_message_bytes", "Messages and memory"),
    ("grace", "Running and ending"),
)
"""What settings are listed under, each title from the field that it begins at."""
