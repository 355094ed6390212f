"""What an issuer publishes at an address of the web: read to its end within a time and a size, or not at all."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPMessage
from typing import IO, Any
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from gradserve.ir.errors import InvalidRequest, shown

MOST_BYTES = 1 << 20
"""Parsing holds up all calls meanwhile."""
_SECURE = "https://"


def require_web(url: str, what: str) -> None:
    """Sees that it is an address of the web.

    Raises:
        InvalidRequest: it is none; says `what` is wrong.
    """
    if not url.startswith(("http://", _SECURE)):
        raise InvalidRequest(f"{what}, {shown(url)}, is no address of the web, such as https://login.example.com")


def published(url: str, seconds: float) -> dict[str, Any]:
    """What is published there, as JSON.

    Connections are cut off after so many seconds: a time-out of each step would never pass for who sends a letter now
    and then, of headers as of the rest.

    Raises:
        InvalidRequest: it is no address of the web.
        OSError, ValueError, http.client.HTTPException: it cannot be had, or has too many bytes.
    """
    require_web(url, "what it publishes")
    opened: list[socket.socket] = []
    end = threading.Timer(seconds, _cut_off, (opened,))
    end.daemon = True
    end.start()
    try:
        with build_opener(_Plain(opened), _Secure(opened), _Redirects()).open(url, timeout=seconds) as response:
            data = response.read(MOST_BYTES + 1)
    finally:
        end.cancel()
    if len(data) > MOST_BYTES:
        raise ValueError(f"{url} has more than {MOST_BYTES} bytes")
    found: dict[str, Any] = json.loads(data)
    return found


def _cut_off(opened: list[socket.socket]) -> None:
    for connection in opened:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _kept(kind: type[http.client.HTTPConnection], opened: list[socket.socket]) -> Callable[..., Any]:
    """Connections of a kind whose sockets are kept, to be cut off."""

    class Kept(kind):  # type: ignore[misc,valid-type]  # whichever it is
        def connect(self) -> None:
            super().connect()
            opened.append(self.sock)

    return Kept


class _Plain(HTTPHandler):
    def __init__(self, opened: list[socket.socket]) -> None:
        super().__init__()
        self._kind: Any = _kept(http.client.HTTPConnection, opened)

    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(self._kind, req)


class _Secure(HTTPSHandler):
    def __init__(self, opened: list[socket.socket]) -> None:
        self._trusted = ssl.create_default_context()
        super().__init__(context=self._trusted)
        self._kind: Any = _kept(http.client.HTTPSConnection, opened)

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(self._kind, req, context=self._trusted)


class _Redirects(HTTPRedirectHandler):
    """Goes where an answer leads, but not from where nobody can change what is read to where anybody on the way can."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        require_web(newurl, "where its answer leads")
        if req.full_url.startswith(_SECURE) and not newurl.startswith(_SECURE):
            raise InvalidRequest(
                f"{shown(req.full_url)} leads to {shown(newurl)}, which anybody on the way could change"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)
