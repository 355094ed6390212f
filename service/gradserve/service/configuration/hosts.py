"""Hosts and ports to listen on, as operators write them."""

from __future__ import annotations

import re

_HOST = r"(?P<name>[^/:\[\]\s]+)|\[(?P<inner>[0-9a-fA-F:.%\w]+)\]"
_ALONE = re.compile(rf"{_HOST}|(?P<bare>[0-9a-fA-F:.]*:[0-9a-fA-F:.%\w]*)")
_WITH_PORT = re.compile(rf"(?:{_HOST}):(?P<port>[0-9]{{1,5}})")


def host_of(text: str) -> str | None:
    """The host that stands alone, an IPv6 address without its brackets; None if it is none."""
    found = _ALONE.fullmatch(text)
    return found and (found["name"] or found["inner"] or found["bare"])


def host_and_port(text: str) -> tuple[str, int] | None:
    """The host, as above, and the port of `host:port`, where an IPv6 address has brackets; None if it is none."""
    found = _WITH_PORT.fullmatch(text)
    return found and (found["name"] or found["inner"], int(found["port"]))


def beside_port(host: str) -> str:
    """The host as it stands beside a port."""
    return f"[{host}]" if ":" in host else host
