"""What processes leave within reach of other users and other machines."""

from __future__ import annotations

import ipaddress
import socket
import stat
from collections.abc import Iterable
from pathlib import Path

import psutil


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started, directly or not."""
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def ports(processes: Iterable[psutil.Process]) -> set[tuple[str, int]]:
    """The addresses and ports that processes listen on, over TCP and UDP (as /proc/net tells)."""
    found = [one for process in processes for one in connections(process, "inet")]
    listened = [one for one in found if one.status == psutil.CONN_LISTEN or one.type == socket.SOCK_DGRAM]
    return {(one.laddr.ip, one.laddr.port) for one in listened}


def unix_sockets(processes: Iterable[psutil.Process]) -> set[str]:
    """The names of the Unix sockets that processes have bound; those outside the file system begin with @."""
    return {one.laddr for process in processes for one in connections(process, "unix") if one.laddr}


def connections(process, kind):
    try:
        return process.net_connections(kind)
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return []


def beyond_loopback(addresses: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Those that other machines may reach."""
    return sorted(address for address in addresses if not is_loopback(address[0]))


def is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def within_reach(path: str) -> bool:
    """Whether the permissions let another user open a file or socket."""
    if path.startswith("@"):
        return True
    shared = stat.S_IXGRP | stat.S_IXOTH
    closed = (not parent.stat().st_mode & shared for parent in Path(path).parents)
    mode = Path(path).lstat().st_mode
    return not any(closed) and bool(mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH))


def files_below(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if not path.is_dir() and not path.is_socket()]
