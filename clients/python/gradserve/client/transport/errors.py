"""From what gRPC says of a failed call to the typed error behind it."""

from __future__ import annotations

import grpc
from grpc_status import rpc_status

from gradserve.ir.errors import (
    Cancelled,
    DeadlineExceeded,
    GradserveError,
    InvalidRequest,
    LimitExceeded,
    Unavailable,
)
from gradserve.wire.errors import decode_error

_BY_CODE: dict[grpc.StatusCode, type[GradserveError]] = {
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
}


def typed_error(error: grpc.RpcError, address: str) -> GradserveError:
    """The typed error behind a failed call, as the same job would raise it in this process."""
    if not isinstance(error, grpc.Call):
        return Unavailable(f"the call to {address} failed: {error}")
    status = rpc_status.from_call(error)
    found = None if status is None else decode_error(status)
    return found or _transport_error(error, address)


def _transport_error(error: grpc.Call, address: str) -> GradserveError:
    """The error of a call that gRPC itself has ended: no gradserve service has said anything."""
    code, details = error.code(), error.details() or "no details"
    if code is grpc.StatusCode.UNAVAILABLE:
        cause = details.rpartition(": ")[2].rstrip("]").strip()
        text = f"no gradserve service answers at {address} ({cause}); is it running there? `gradserve serve` starts one"
        return Unavailable(text)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return GradserveError(f"what answers at {address} is no gradserve service, or an older one: {details}")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return LimitExceeded("message_bytes", f"a message is too large for gRPC: {details}; send fewer points at once")
    return _BY_CODE.get(code, GradserveError)(f"the call to {address} failed: {details}")
