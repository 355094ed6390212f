"""From a gRPC status to the typed error that the service meant."""

from __future__ import annotations

import re

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gradserve.ir.errors import (
    BlobNotFound,
    Cancelled,
    DeadlineExceeded,
    GradserveError,
    GraphNotRegistered,
    InvalidGraph,
    InvalidRequest,
    LimitExceeded,
    NotDifferentiable,
    NumericalFailure,
    Unavailable,
    UnsupportedOpSet,
    Violation,
    WorkerLost,
)

_BY_REASON: dict[str, type[GradserveError]] = {
    error.reason: error
    for error in (
        Cancelled,
        DeadlineExceeded,
        GraphNotRegistered,
        InvalidGraph,
        InvalidRequest,
        NotDifferentiable,
        NumericalFailure,
        Unavailable,
        UnsupportedOpSet,
        WorkerLost,
    )
}
_BY_CODE: dict[grpc.StatusCode, type[GradserveError]] = {
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
}
_DESCRIPTION = re.compile(r"(?P<constraint>[^:]{1,80}): (?P<text>.*?)(; traced at (?P<source>[^;]+))?", re.DOTALL)
"""What the service makes of a violation's constraint, description and source."""
_PLACE = re.compile(r"^(call\.graph\.inline|call\.graph|call|graph)\.")
"""Where in a request the things lie that violations name: nothing that the caller of a function has seen."""


def typed_error(error: grpc.RpcError, address: str) -> GradserveError:
    """The typed error behind a failed call, as the same job would raise it in this process."""
    if not isinstance(error, grpc.Call):
        return Unavailable(f"the call to {address} failed: {error}")
    info, violations = _details(error)
    if not info.reason:
        return _transport_error(error, address)
    message = info.metadata.get("summary") or error.details() or info.reason
    if info.reason == BlobNotFound.reason:
        return BlobNotFound([digest for digest in info.metadata["digests"].split(",") if digest])
    if info.reason == LimitExceeded.reason:
        return LimitExceeded(info.metadata.get("limit", ""), message, violations)
    left_out = info.metadata.get("violations_left_out")
    if left_out:
        message += f" ({left_out} more violations are left out)"
    return _BY_REASON.get(info.reason, GradserveError)(message, violations)


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


def _details(error: grpc.Call) -> tuple[error_details_pb2.ErrorInfo, list[Violation]]:
    """The ErrorInfo of a status, empty if there is none, and its violations."""
    info, violations = error_details_pb2.ErrorInfo(), []
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            violations += [_violation(v) for v in bad.field_violations]
    return info, violations


def _violation(message: error_details_pb2.BadRequest.FieldViolation) -> Violation:
    field = _PLACE.sub("", message.field)
    parts = _DESCRIPTION.fullmatch(message.description)
    if parts is None:
        return Violation(field, message.reason, message.description)
    return Violation(field, parts["constraint"], parts["text"], parts["source"] or "")
