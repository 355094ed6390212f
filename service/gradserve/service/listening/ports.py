"""A port that several processes of one service share, and nobody else has."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from gradserve.service.configuration.settings import Settings

_WILDCARDS = {"0.0.0.0", "::"}  # where gRPC listens for IPv4 and IPv6 alike


class SharedPort:
    """A context in which processes of this user may listen on a port together."""

    def __init__(self, host: str, port: int) -> None:
        """Takes the port, or any that is free if it is 0; it is given back at the end of the context.

        Raises:
            OSError: somebody else listens there.
        """
        self._taken: list[socket.socket] = []
        try:
            for family, place in _places(host):
                port = self._take(family, place, port)
        except OSError as error:
            self._give_back()
            raise OSError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        self.number = port

    def _take(self, family: socket.AddressFamily, place: str, port: int) -> int:
        taken = socket.socket(family, socket.SOCK_STREAM)
        self._taken.append(taken)
        if family is socket.AF_INET6 and place == "::":
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # In this order: bound first, it finds out others who listen, even such as would share the port with it, but not
        # what the system keeps for a while of connections that have ended.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((place, port))
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found: int = taken.getsockname()[1]
        return found

    def _give_back(self) -> None:
        for taken in self._taken:
            taken.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._give_back()


def why_not(host: str, port: int) -> str:
    """Why nobody can listen on a port of a host, in the system's words; empty if one can."""
    try:
        for family, place in _places(host):
            with socket.socket(family, socket.SOCK_STREAM) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind((place, port))
                tried.listen()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def require_port(settings: Settings) -> None:
    """Sees that nobody else listens on the port.

    Raises:
        OSError: somebody does, or there is no such host.
    """
    if settings.is_host_and_port and (why := why_not(settings.host, settings.port)):
        raise OSError(f"cannot listen on {settings.address}: {why}")


def _places(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """The addresses that a host stands for."""
    if host in _WILDCARDS:
        return [(socket.AF_INET6, "::") if socket.has_dualstack_ipv6() else (socket.AF_INET, "0.0.0.0")]
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, str(place[0])) for family, _, _, _, place in found))
