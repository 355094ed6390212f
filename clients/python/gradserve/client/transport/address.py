"""Addresses of services."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

from gradserve.ir.errors import InvalidRequest

_SCHEMES = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract):.")
_WRITE = "write host:port, such as localhost:50051, or unix:/path of a socket"
_HOST_AND_PORT = re.compile(r"([^/:]+|\[[0-9a-fA-F:.%]+\]):([0-9]{1,5})")
_HOST = re.compile(r"(?:(?:dns|ipv4|ipv6):/*)?(\[[^\]]*\]|[^/:]+)(?::[0-9]+)?")


def checked_address(address: Any) -> str:
    """The address itself.

    Raises:
        InvalidRequest: it is none.
    """
    if not isinstance(address, str):
        raise InvalidRequest(f"{address!r} is not the address of a service; {_WRITE}")
    match = _HOST_AND_PORT.fullmatch(address)
    if _SCHEMES.match(address) or (match and int(match[2]) < 1 << 16):
        return address
    hint = "; leave http:// and paths away" if "/" in address else ""
    raise InvalidRequest(f"{address!r} is not the address of a service; {_WRITE}{hint}")


def is_local(address: str) -> bool:
    """Whether an address is on this machine."""
    if address.startswith("unix"):
        return True
    match = _HOST.fullmatch(address)
    host = match[1].strip("[]") if match else ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
