"""From a gRPC status to the typed error that the service meant."""

from __future__ import annotations

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


def typed_error(error: grpc.RpcError) -> GradserveError:
    """The typed error behind a failed call, with its violations."""
    if not isinstance(error, grpc.Call):
        return Unavailable(str(error))
    info, violations = _details(error)
    message = error.details() or error.code().name
    if info.reason == BlobNotFound.reason:
        return BlobNotFound(info.metadata["digests"].split(","))
    if info.reason == LimitExceeded.reason or error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return LimitExceeded(info.metadata.get("limit", ""), message, violations)
    kind = _BY_REASON.get(info.reason) or _BY_CODE.get(error.code(), GradserveError)
    return kind(message, violations)


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
    return Violation(message.field, message.reason, message.description)
