"""How a command connects to a service."""

from __future__ import annotations

import argparse
from typing import Any

import grpc

from gradserve.ir.errors import InvalidRequest


def connection_of(options: argparse.Namespace) -> dict[str, Any]:
    """The keywords of a client for what the options say of TLS: the service's name, and what to trust.

    Raises:
        InvalidRequest: there is no service to trust.
        OSError: the certificate cannot be read.
    """
    if not (options.tls or options.ca or options.server_name):
        return {"credentials": None, "server_name": ""}
    if options.address is None:
        raise InvalidRequest("TLS is for a service; give its --address")
    authority = options.ca.read_bytes() if options.ca else None
    return {"credentials": grpc.ssl_channel_credentials(authority), "server_name": options.server_name}
