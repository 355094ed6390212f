"""Errors as details of a google.rpc.Status, and back. What gRPC makes of a status is not known here."""

from __future__ import annotations

from typing import Any

from google.rpc import error_details_pb2, status_pb2

from gradserve.ir.errors import (
    BlobNotFound,
    Cancelled,
    DeadlineExceeded,
    GradserveError,
    GraphNotRegistered,
    InvalidGraph,
    InvalidRequest,
    LimitExceeded,
    MemoryNotShared,
    NotDifferentiable,
    NumericalFailure,
    Overloaded,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    UnknownMethod,
    UnknownService,
    UnsupportedOpSet,
    Violation,
    WorkerLost,
)
from gradserve.v1 import errors_pb2

DOMAIN = "gradserve"
_MAX_DIGESTS = 32
_LONGEST_PAUSE = 1e9
_SUMMARY, _TOTAL, _LEFT_OUT = "summary", "violations", "violations_left_out"
_LIMIT, _DIGESTS = "limit", "digests"

_BY_REASON: dict[str, type[GradserveError]] = {
    error.reason: error
    for error in (
        Cancelled,
        DeadlineExceeded,
        GraphNotRegistered,
        InvalidGraph,
        InvalidRequest,
        MemoryNotShared,
        NotDifferentiable,
        NumericalFailure,
        PermissionDenied,
        Unauthenticated,
        Unavailable,
        UnknownMethod,
        UnknownService,
        UnsupportedOpSet,
        WorkerLost,
    )
}
"""Errors that are made of a message and violations."""


def encode_violation(violation: Violation) -> errors_pb2.Violation:
    """The message of a violation."""
    return errors_pb2.Violation(
        field=violation.field,
        constraint=violation.constraint,
        description=violation.description,
        source=violation.source,
    )


def decode_violation(message: errors_pb2.Violation) -> Violation:
    """The violation of a message."""
    return Violation(message.field, message.constraint, message.description, message.source)


def error_info(error: GradserveError, summary: str, listed: int, total: int) -> Any:
    """The ErrorInfo of an error of whose violations so many are listed beside it; `summary` is its message."""
    metadata = {}
    if total:
        metadata[_SUMMARY] = summary
    if listed < total:
        metadata |= {_TOTAL: str(total), _LEFT_OUT: str(total - listed)}
    if isinstance(error, LimitExceeded | Overloaded):
        metadata[_LIMIT] = error.limit
    if isinstance(error, BlobNotFound):
        metadata[_DIGESTS] = ",".join(error.digests[:_MAX_DIGESTS])
    return error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)


def decode_error(status: status_pb2.Status) -> GradserveError | None:
    """The error that a gradserve service meant; None if no such service has said anything."""
    info, violations, retry = error_details_pb2.ErrorInfo(), errors_pb2.Violations(), error_details_pb2.RetryInfo()
    request = error_details_pb2.RequestInfo()
    for detail in status.details:
        for message in (info, request, violations, retry):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    if not info.reason:
        return None
    listed = [decode_violation(violation) for violation in violations.violations]
    found = _error(info, status.message, listed, _seconds(retry.retry_delay))
    found.request_id = request.request_id
    return found


def _seconds(delay: Any) -> float:
    """The seconds of a pause, which may be any: negative, or of more than there are in all of time."""
    seconds: float = delay.seconds + 1e-9 * delay.nanos
    return min(max(0.0, seconds), _LONGEST_PAUSE)


def _error(info: Any, text: str, violations: list[Violation], retry_after: float) -> GradserveError:
    if info.reason == BlobNotFound.reason:
        return BlobNotFound([digest for digest in info.metadata[_DIGESTS].split(",") if digest])
    message = info.metadata.get(_SUMMARY) or text or info.reason
    limit = info.metadata.get(_LIMIT, "")
    if info.reason == Overloaded.reason:
        return Overloaded(message, violations, limit, retry_after)
    if info.reason == LimitExceeded.reason:
        return LimitExceeded(limit, message, violations)
    left_out = info.metadata.get(_LEFT_OUT)
    if left_out:
        message += f" ({left_out} more violations are left out)"
    return _BY_REASON.get(info.reason, GradserveError)(message, violations)
