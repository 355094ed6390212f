"""Whether a service takes calls: for people, and for the health checks of containers."""

from __future__ import annotations

import sys
import time

import grpc

from gradserve.client.transport.connection import checked_address

_CHECK = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"
"""A reply whose field 1 is 1. The request is empty: together too little to import the messages for."""


def ping(
    address: str, timeout: float, credentials: grpc.ChannelCredentials | None = None, server_name: str = ""
) -> int:
    """Prints what the standard health service says of itself; 0 if it takes calls, else 1.

    With `credentials` the connection is by TLS; `server_name` is the name in the service's certificate.

    Raises:
        InvalidRequest: it is no address.
    """
    options = (("grpc.ssl_target_name_override", server_name),) if server_name else ()
    target = checked_address(address)
    channel = grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target)
    with channel:
        started = time.perf_counter()
        try:
            reply = channel.unary_unary(_CHECK, bytes, bytes)(b"", timeout=timeout)
        except grpc.RpcError as error:
            print(f"gradserve: {address}: {error.code().name}: {error.details()}", file=sys.stderr)
            return 1
        milliseconds = 1e3 * (time.perf_counter() - started)
    print(f"{address} {'SERVING' if reply == _SERVING else 'NOT_SERVING'} {milliseconds:.1f} ms")
    return 0 if reply == _SERVING else 1
