"""How a command connects to a service."""

from __future__ import annotations

import argparse
from typing import Any

from gradserve.client.transport.identity import Tls
from gradserve.ir.errors import InvalidRequest


def connection_of(options: argparse.Namespace) -> dict[str, Any]:
    """The keywords of a client for what the options say of TLS and of who asks.

    Raises:
        InvalidRequest: there is no service to trust.
    """
    secured = options.tls or options.ca or options.server_name or options.certificate or options.key
    if (secured or options.token_file) and options.address is None:
        raise InvalidRequest("TLS is for a service; give its --address")
    tls = Tls(options.ca, options.certificate, options.key, options.server_name) if secured else None
    return {"tls": tls, "token": options.token_file}
