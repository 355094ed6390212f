"""The metrics page: for whoever reaches its port, which is this machine unless told, or for who bears its token."""

from __future__ import annotations

import hashlib
import hmac
import io
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app
from prometheus_client.registry import Collector, CollectorRegistry

from gradserve.ir.errors import InvalidRequest
from gradserve.service.configuration.files import contents
from gradserve.service.configuration.hosts import beside_port
from gradserve.service.configuration.settings import Settings
from gradserve.service.identity.watched import Watched
from gradserve.service.listening.ports import why_not

SILENT_SECONDS = 10.0
"""How long one who connects may leave us waiting."""
MOST_AT_ONCE = 16
"""How many may be answered at once; who comes then takes the place of who has said for longest not what he wants, or
is cut off, and comes again."""
ALIVE = "/-/healthy"
"""What is answered to who bears no token as well: that we are there, and nothing else."""
_SCHEME = "Bearer "
_LEAVING_SECONDS = 1.0
"""How long the place of one who is cut off is waited for."""

_logger = logging.getLogger(__name__)


def start_page(running: ExitStack, settings: Settings, registry: CollectorRegistry) -> int | None:
    """The port on which what the registry collects can be read until `running` ends; None if no page is wanted.

    Raises:
        OSError: the port is taken, or there is no such host.
        InvalidRequest: the file of the token cannot be read.
    """
    host, port = settings.page_host, settings.metrics_port
    if port is None:
        return None
    page = _page(registry)
    if (file := settings.metrics_token_file) is not None:
        page = _guarded(page, Watched((file,), lambda: _digest_in(file)))
    try:
        server = _Server(host, port)
    except OSError as error:
        raise _nowhere(settings, error.strerror or str(error)) from None
    server.set_app(page)
    threading.Thread(target=server.serve_forever, name="metrics page", daemon=True).start()
    running.callback(server.server_close)
    running.callback(server.shutdown)
    return int(server.server_port)


def require_room(settings: Settings) -> None:
    """Sees that there will be room for the page, before anything is begun that takes long.

    Raises:
        OSError: its port is taken.
    """
    if settings.metrics_port and (why := why_not(settings.page_host, settings.metrics_port)):
        raise _nowhere(settings, why)


def _nowhere(settings: Settings, why: str) -> OSError:
    advice = "give another --metrics-host, or another --metrics-port: 0 for any that is free or -1 for none"
    where = f"{beside_port(settings.page_host)}:{settings.metrics_port}"
    return OSError(f"the metrics page cannot be on {where}: {why}; {advice}")


class _Handler(WSGIRequestHandler):
    """One connection, which may not be silent for long."""

    timeout = SILENT_SECONDS
    server: _Server

    def parse_request(self) -> bool:
        """Reads what is wanted, and answers whether that is something."""
        found = super().parse_request()
        self.server.has_asked(self.request)
        return found

    def get_stderr(self) -> Any:
        """Where it goes that who asked has broken off: nowhere. What fails here is logged."""
        return io.StringIO()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread a connection, and only so many of them."""

    daemon_threads = True
    request_queue_size = MOST_AT_ONCE

    def __init__(self, host: str, port: int) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, _, _, _, place = found[0]
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._asking: dict[Any, None] = {}
        """Connections that have not said yet what they want, the oldest first."""
        super().__init__((str(place[0]), port), _Handler)

    def server_bind(self) -> None:
        """Binds, without asking anybody for the name of this host."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers on a thread of its own, if there is one."""
        if not self._free.acquire(blocking=False) and not self._makes_room():
            self.shutdown_request(request)
            return
        with self._lock:
            self._asking[request] = None
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.has_asked(request)
            self._free.release()

    def has_asked(self, request: Any) -> None:
        """Notes that one has said what he wants, and is no longer in the way of others."""
        with self._lock:
            self._asking.pop(request, None)

    def _makes_room(self) -> bool:
        """Cuts off who asks for longest, if anybody does, and takes the place; answers whether there is one.

        He may send a letter now and then, so that he is never silent for long.
        """
        with self._lock:
            slowest = next(iter(self._asking), None)
            if slowest is None:
                return False
            del self._asking[slowest]
            with suppress(OSError):  # he has gone
                slowest.shutdown(socket.SHUT_RDWR)
        return self._free.acquire(timeout=_LEAVING_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: who breaks off knows it."""


_App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _page(registry: Collector) -> _App:
    page: _App = make_wsgi_app(registry)  # type: ignore[arg-type,assignment,unused-ignore]

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        try:
            return page(environ, start)
        except (ValueError, TypeError):  # what it accepts has a version that is none
            return page({**environ, "HTTP_ACCEPT": ""}, start)
        except Exception:
            _logger.exception("the metrics page failed")
            raise

    return answer


def _guarded(page: _App, digest: Watched[bytes]) -> _App:
    """The page, for who bears the token of this digest."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        borne = str(environ.get("HTTP_AUTHORIZATION", ""))
        found = hashlib.sha256(borne[len(_SCHEME) :].strip().encode()).digest()
        if borne[: len(_SCHEME)].lower() == _SCHEME.lower() and hmac.compare_digest(found, digest.value):
            return page(environ, start)
        if environ.get("PATH_INFO") == ALIVE:
            start("200 OK", [("Content-Type", "text/plain")])
            return [b"OK\n"]
        status = HTTPStatus.UNAUTHORIZED
        start(f"{status.value} {status.phrase}", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")])
        return [b"the metrics page asks for its token: Authorization: Bearer ...\n"]

    return answer


def _digest_in(file: Path) -> bytes:
    """The digest of the token in a file."""
    try:
        token = contents(file).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the token of the metrics page cannot be read: {error}") from None
    if not token:
        raise InvalidRequest(f"{file} holds no token for the metrics page")
    return hashlib.sha256(token.encode()).digest()
