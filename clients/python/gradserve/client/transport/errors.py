"""From what gRPC says of a failed call to the typed error behind it."""

from __future__ import annotations

import re

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from gradserve.client.transport.ended import Unreachable
from gradserve.ir.errors import (
    DeadlineExceeded,
    GradserveError,
    InvalidRequest,
    LimitExceeded,
    PermissionDenied,
    Unauthenticated,
)
from gradserve.wire.errors import decode_error

_BY_CODE: dict[grpc.StatusCode, type[GradserveError]] = {
    grpc.StatusCode.CANCELLED: Unreachable,  # not by us: a service that ends cuts off what is under way
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
}


_NUMBER = re.compile(r" \(\d+\)$")
"""What newer versions of gRPC put behind the system's words."""


def typed_error(error: grpc.RpcError, address: str) -> GradserveError:
    """The typed error behind a failed call, as the same job would raise it in this process."""
    if not isinstance(error, grpc.Call):
        return Unreachable(f"the call to {address} failed: {error}")
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):  # somebody on the way has changed the code, the text or the details
        status = None
    found = None if status is None else decode_error(status)
    return found or _transport_error(error, address)


def _transport_error(error: grpc.Call, address: str) -> GradserveError:
    """The error of a call that gRPC itself has ended: no gradserve service has said anything."""
    code, details = error.code(), error.details() or "no details"
    if code is grpc.StatusCode.UNAVAILABLE:
        cause = _NUMBER.sub("", details.rpartition(": ")[2].rstrip("]").strip())
        text = f"no gradserve service answers at {address} ({cause}); is it running there? `gradserve serve` starts one"
        return Unreachable(text)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return GradserveError(f"what answers at {address} is no gradserve service, or an older one: {details}")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "metadata" in details:
        text = f"what goes with a call or its answer, such as a token, is too large for gRPC: {details}"
        return LimitExceeded("metadata_bytes", f"{text}; use a shorter token")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return LimitExceeded("message_bytes", f"a message is too large for gRPC: {details}; send fewer points at once")
    return _BY_CODE.get(code, GradserveError)(f"the call to {address} failed: {details}")
