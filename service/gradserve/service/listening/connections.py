"""What gRPC takes from a connection, and how it is kept alive."""

from __future__ import annotations

from gradserve.runtime.descriptors import limit
from gradserve.service.configuration.settings import Settings

_OPTIONS = (
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none: a thousandth could be sent of what would be held
    # Otherwise some are refused at random already where a client has just as many open as it may.
    ("grpc.http.overload_protection", 0),
    # Calls that have come and not been looked at; of more than that gRPC cancels some, whosever they are.
    ("grpc.server.max_pending_requests", 1 << 14),
    ("grpc.server.max_pending_requests_hard_limit", 1 << 15),
    ("grpc.max_send_message_length", -1),  # `inline_limit` keeps replies small
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Whoever connects and says nothing. gRPC's own two minutes are long for what keeps others out.
    ("grpc.server_handshake_timeout_ms", 20_000),
)
_LEAST_STREAMS = 128
"""Calls that one connection may have open at least; otherwise as many as may run and wait. Its further ones wait in its
client. What gRPC holds of each before anybody looks at it may be megabytes, for kilobytes that were sent."""
_OTHERS = 4
"""One descriptor in so many is for what the service opens itself: without any it could write no file."""
_FOR_EVER = (1 << 31) - 1
"""What gRPC takes for milliseconds without an end."""


def options_of(settings: Settings, shares_port: bool) -> list[tuple[str, int]]:
    """The options of a server, which may share its port with others."""
    # Among processes of one service each takes its share; a second service on the port is a mistake.
    options = [*_OPTIONS, ("grpc.so_reuseport", int(shares_port))]
    streams = max(_LEAST_STREAMS, settings.max_in_flight + settings.max_queued)
    options.append(("grpc.max_concurrent_streams", min(_FOR_EVER, streams)))
    options.append(("grpc.max_receive_message_length", settings.max_message_bytes))
    options.append(("grpc.max_allowed_incoming_connections", limit() - limit() // _OTHERS))
    if settings.max_connection_age is not None:
        options.append(("grpc.max_connection_age_ms", min(_FOR_EVER, round(1e3 * settings.max_connection_age))))
    return options
