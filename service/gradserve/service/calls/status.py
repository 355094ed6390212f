"""Errors as gRPC statuses: the only place that knows both.

A status carries one `ErrorInfo`, `RequestInfo` with what names the call in logs and traces, at most one `BadRequest`
with every violation and beside it the same as `Violations`, `QuotaFailure` where a limit is exceeded and `RetryInfo`
where trying again helps. It always fits the 8 KiB that gRPC takes for metadata.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import grpc
from google.protobuf import duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from gradserve.ir import errors
from gradserve.ir.errors import GradserveError, Violation
from gradserve.v1 import errors_pb2
from gradserve.wire.errors import DOMAIN, encode_violation, error_info

DETAILS_KEY = "grpc-status-details-bin"
RETRY_SECONDS = 0.2
"""How long a client waits that is not told how long; clients add their own jitter."""
_LONGEST_RETRY_SECONDS = 86_400.0
"""What a client is told to wait at most, however much its caller has overdrawn: who reads it can count so far."""

CODES: Mapping[type[GradserveError], grpc.StatusCode] = {
    errors.InvalidGraph: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnsupportedOpSet: grpc.StatusCode.UNIMPLEMENTED,
    errors.UnknownMethod: grpc.StatusCode.UNIMPLEMENTED,
    errors.NotDifferentiable: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NumericalFailure: grpc.StatusCode.FAILED_PRECONDITION,
    errors.LimitExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.UnknownService: grpc.StatusCode.NOT_FOUND,
    errors.GraphNotRegistered: grpc.StatusCode.NOT_FOUND,
    errors.BlobNotFound: grpc.StatusCode.NOT_FOUND,
    errors.MemoryNotShared: grpc.StatusCode.NOT_FOUND,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.WorkerLost: grpc.StatusCode.UNAVAILABLE,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: grpc.StatusCode.CANCELLED,
}
"""What each error means to gRPC; any other is a fault of ours."""

_MAX_BYTES = 7 << 10  # gRPC takes 8 KiB of metadata; the rest is for its own headers and for a proxy's
_MAX_MESSAGE = 1500
_MAX_DESCRIPTION = 600
_MAX_FIELD = 300

_logger = logging.getLogger(__name__)


def code_of(error: BaseException) -> grpc.StatusCode:
    """The code of an error."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), grpc.StatusCode.INTERNAL)


def status_of(error: BaseException, places: Mapping[str, str], method: str, request_id: str) -> status_pb2.Status:
    """The status of an error that a call of a method ended with.

    `places` says where in the request the things lie that violations name: the first word of a violation's path to
    the path of what holds it, such as `nodes` to `call.graph.inline`.
    """
    code = code_of(error)
    if not isinstance(error, GradserveError) or code is grpc.StatusCode.INTERNAL:
        return _fault(error, method, request_id)
    kept = len(error.violations)
    status = _status(code, error, kept, places, request_id)
    while kept and _size(status) > _MAX_BYTES:
        kept = min(kept - 1, kept * _MAX_BYTES // _size(status))
        status = _status(code, error, kept, places, request_id)
    return status


def metadata_of(error: BaseException, status: status_pb2.Status) -> tuple[tuple[str, str | bytes], ...]:
    """The trailing metadata that carries the status of an error."""
    metadata: tuple[tuple[str, str | bytes], ...] = ((DETAILS_KEY, status.SerializeToString()),)
    pause = _retry_after(error)
    if pause is not None or status.code == grpc.StatusCode.UNAVAILABLE.value[0]:
        # What gRPC's own retries look at; RetryInfo is for everyone else.
        metadata += (("grpc-retry-pushback-ms", str(-1 if pause is None else round(1e3 * pause))),)
    return metadata


def abort(
    context: grpc.ServicerContext, error: BaseException, places: Mapping[str, str], method: str, request_id: str
) -> NoReturn:
    """Ends a call of a method by the status of an error; the rest is as `status_of` says."""
    status = status_of(error, places, method, request_id)
    context.set_trailing_metadata(metadata_of(error, status))
    context.abort(code_of(error), status.message)
    raise AssertionError("abort returned")


def _retry_after(error: BaseException) -> float | None:
    """The seconds after which the same call may succeed; None if it is not to be repeated.

    One that is over a limit always will be; one that has cost several workers their lives would cost more.
    """
    if isinstance(error, errors.Overloaded):
        return min(error.retry_after, _LONGEST_RETRY_SECONDS)
    return RETRY_SECONDS if isinstance(error, errors.Unavailable) else None


def _status(
    code: grpc.StatusCode, error: GradserveError, kept: int, places: Mapping[str, str], request_id: str
) -> status_pb2.Status:
    """The status with so many of the violations."""
    total = len(error.violations) + error.omitted
    listed = error.violations[:kept]
    violations = [_field_violation(_placed(violation, places)) for violation in listed]
    details: list[Message] = [error_info(error, _cut(error.message, _MAX_FIELD), kept, total)]
    details.append(error_details_pb2.RequestInfo(request_id=request_id))
    if listed:
        details.append(error_details_pb2.BadRequest(field_violations=violations))
        details.append(errors_pb2.Violations(violations=[encode_violation(_shortened(each)) for each in listed]))
    if isinstance(error, errors.LimitExceeded | errors.Overloaded):
        quota = error_details_pb2.QuotaFailure.Violation(
            subject=error.limit, description=_cut(error.message, _MAX_DESCRIPTION)
        )
        details.append(error_details_pb2.QuotaFailure(violations=[quota]))
    pause = _retry_after(error)
    if pause is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(1e9 * pause))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return _packed(code, _message(error, violations, total), details)


def _packed(code: grpc.StatusCode, message: str, details: list[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _fault(error: BaseException, method: str, request_id: str) -> status_pb2.Status:
    """What the client learns of a fault of ours: where the log tells the rest."""
    _logger.error("request %s: %s failed", request_id, method, exc_info=error, extra={"request_id": request_id})
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN)
    text = f"an unexpected error; the service's log tells it under request {request_id}"
    return _packed(grpc.StatusCode.INTERNAL, text, [info, error_details_pb2.RequestInfo(request_id=request_id)])


def _message(error: GradserveError, violations: list[Any], total: int) -> str:
    """The error in words, with its first violation."""
    text = _cut(error.message, _MAX_MESSAGE // 3 if total else _MAX_MESSAGE)
    if violations:
        text = _cut(f"{text}: {violations[0].field}: {violations[0].description}", _MAX_MESSAGE - 100)
    if total > 1:
        text += f" (and {total - 1} more)"
    if len(violations) < total:
        text += f"; {total - len(violations)} of them are left out here"
    return text


def _placed(violation: Violation, places: Mapping[str, str]) -> Violation:
    """The violation with its path from the request on."""
    word = _FIRST_WORD.match(violation.field)
    place = places.get(word[0] if word else "")
    return violation.under(place) if place else violation


def _shortened(violation: Violation) -> Violation:
    return Violation(
        _cut(violation.field, _MAX_FIELD),
        violation.constraint,
        _cut(violation.description, _MAX_DESCRIPTION),
        _cut(violation.source, _MAX_FIELD),
    )


_FIRST_WORD = re.compile(r"\w+")


def _field_violation(violation: Violation) -> Any:
    unplaced = str(replace(violation, field=""))
    return error_details_pb2.BadRequest.FieldViolation(
        field=_cut(violation.field, _MAX_FIELD),
        reason="RULE_" + re.sub(r"[^A-Z0-9]+", "_", violation.constraint.upper()).strip("_"),
        description=_cut(unplaced, _MAX_DESCRIPTION),
    )


def _cut(text: str, size: int) -> str:
    """The beginning of a text: at most `size` bytes on the wire, where all but plain ASCII takes more."""
    if len(text) <= size and text.isascii() and text.isprintable() and "%" not in text:
        return text
    taken = 0
    for position, character in enumerate(text):
        taken += sum(1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3 for byte in character.encode())
        if taken > size:
            return text[: max(0, position - 1)] + "…"
    return text


def _size(status: status_pb2.Status) -> int:
    """Bytes of metadata that a status takes: the details in base 64, the message with escapes."""
    escaped = sum(1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3 for byte in status.message.encode())
    details: int = status.ByteSize()
    return 4 * -(-details // 3) + escaped
