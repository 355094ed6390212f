"""Whether a service takes calls: for people, and for the health checks of containers."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import grpc

from gradserve.client.transport.address import checked_address
from gradserve.client.transport.identity import Identity, Tls

_CHECK = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"
"""A reply whose field 1 is 1. The request is empty: together too little to import the messages for."""


def ping(address: str, timeout: float, tls: Tls | None = None, token: Path | None = None) -> int:
    """Prints what the standard health service says of itself; 0 if it takes calls, else 1.

    Raises:
        InvalidRequest: it is no address, or the token cannot be had.
        OSError: a certificate cannot be read.
    """
    target = checked_address(address)
    identity = Identity(target, tls, token)
    options = (("grpc.ssl_target_name_override", identity.server_name),) if identity.server_name else ()
    trusted, metadata = identity.credentials, identity.metadata()
    channel = grpc.secure_channel(target, trusted, options) if trusted else grpc.insecure_channel(target)
    with channel:
        started = time.perf_counter()
        try:
            reply = channel.unary_unary(_CHECK, bytes, bytes)(b"", timeout=timeout, metadata=metadata)
        except grpc.RpcError as error:
            print(f"gradserve: {address}: {error.code().name}: {error.details()}", file=sys.stderr)
            return 1
        milliseconds = 1e3 * (time.perf_counter() - started)
    print(f"{address} {'SERVING' if reply == _SERVING else 'NOT_SERVING'} {milliseconds:.1f} ms")
    return 0 if reply == _SERVING else 1
