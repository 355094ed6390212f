"""Errors as statuses."""

import base64
import logging
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from gradserve.ir import errors
from gradserve.ir.errors import GradserveError, InvalidGraph, LimitExceeded, Violation
from gradserve.service.calls.status import CODES, DETAILS_KEY, code_of, metadata_of, status_of
from gradserve.v1 import errors_pb2
from gradserve.wire.errors import decode_violation

PLACES = {"nodes": "call.graph.inline", "arguments": "call"}


def details_of(status):
    found: dict[str, Any] = {}
    for detail in status.details:
        name = detail.TypeName().rpartition(".")[2]
        message = getattr(errors_pb2 if name == "Violations" else error_details_pb2, name)()
        assert detail.Unpack(message)
        assert found.setdefault(type(message).__name__, message) is message
    return found


def test_every_error_has_a_code():
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GradserveError)}
    # Untraceable and InvalidReply are the client's own, and the root stands for what went wrong on our side.
    assert kinds - set(CODES) == {GradserveError, errors.InvalidReply, errors.Untraceable}


def test_subclasses_have_the_code_of_their_class():
    class Special(errors.Unavailable):
        pass

    assert code_of(Special("x")) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0051, 5), (0.9999999999, 1000), (61.5, 61_500), (1e12, 86_400_000), (1e300, 86_400_000)]
)
def test_every_wait_can_be_told(seconds, told):
    """However much a caller has overdrawn, and also where nanoseconds round up to a second."""
    error = errors.Overloaded("spent", limit="quota_flops", retry_after=seconds)
    status = status_of(error, PLACES, "S/M", "some-call")
    assert round(details_of(status)["RetryInfo"].retry_delay.ToTimedelta().total_seconds() * 1e3) == told
    assert ("grpc-retry-pushback-ms", str(told)) in metadata_of(error, status)


def test_violations_are_placed_in_the_request():
    violations = [
        Violation("nodes[17].operands[1]", "G2", "%9 is not known yet", "loss.py:31"),
        Violation("arguments[w]", "R1", "missing"),
        Violation("wrt[0]", "W1", "not real"),
        Violation("", "R0", "everything"),
    ]
    status = status_of(InvalidGraph("the graph is not correct", violations), PLACES, "S/M", "some-call")
    found = details_of(status)
    assert set(found) == {"ErrorInfo", "RequestInfo", "BadRequest", "Violations"}
    assert [decode_violation(violation) for violation in found["Violations"].violations] == violations
    first, second, third, fourth = found["BadRequest"].field_violations
    assert first.field == "call.graph.inline.nodes[17].operands[1]"
    assert first.description == "G2: %9 is not known yet; traced at loss.py:31"
    assert first.reason == "RULE_G2"
    assert (second.field, third.field, fourth.field) == ("call.arguments[w]", "wrt[0]", "")
    assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == ("INVALID_GRAPH", "gradserve")
    assert found["ErrorInfo"].metadata["summary"] == "the graph is not correct"
    assert status.message == (
        "the graph is not correct: call.graph.inline.nodes[17].operands[1]: "
        "G2: %9 is not known yet; traced at loss.py:31 (and 3 more)"
    )


def test_reasons_of_violations_are_those_that_google_rpc_allows():
    violations = [
        Violation("x", constraint, "y") for constraint in ("G2", "mul (C1)", "broadcast_to (C12)", "cholesky")
    ]
    bad = details_of(status_of(InvalidGraph("no", violations), {}, "S/M", "some-call"))["BadRequest"]
    reasons = [v.reason for v in bad.field_violations]
    assert reasons == ["RULE_G2", "RULE_MUL_C1", "RULE_BROADCAST_TO_C12", "RULE_CHOLESKY"]


@pytest.mark.parametrize("text", ["x", "ü" * 20, "\n", "%", "語" * 40, "x" * 5000])
@pytest.mark.parametrize("count", [1, 49, 3000])
def test_status_fits_metadata(text, count):
    violations = [Violation(f"nodes[{k}].{text}", f"op (C{k})", text * 20, text) for k in range(count)]
    error = InvalidGraph(text * 50, violations)
    status = status_of(error, PLACES, "S/M", "some-call")
    ((key, value),) = metadata_of(error, status)
    assert key == DETAILS_KEY
    assert isinstance(value, bytes)
    escaped = sum(1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3 for byte in status.message.encode())
    assert len(base64.b64encode(value)) + escaped < 7.5 * 1024
    found = details_of(status)
    listed = len(found["BadRequest"].field_violations)
    assert len(found["Violations"].violations) == listed
    assert 1 <= listed <= 50
    if listed < count:
        assert found["ErrorInfo"].metadata["violations_left_out"] == str(count - listed)
        assert f"{count - listed} of them are left out here" in status.message


def test_short_violations_all_fit():
    violations = [Violation(f"nodes[{k}]", "add (C1)", "shapes differ: f64[3] and f64[4]") for k in range(30)]
    found = details_of(status_of(InvalidGraph("no", violations), PLACES, "S/M", "some-call"))
    assert len(found["BadRequest"].field_violations) == 30


def test_limit_is_named():
    found = details_of(status_of(LimitExceeded("peak_bytes", "too much"), {}, "S/M", "some-call"))
    assert found["QuotaFailure"].violations[0].subject == "peak_bytes"
    assert found["ErrorInfo"].metadata["limit"] == "peak_bytes"
    assert "BadRequest" not in found


def test_unavailable_tells_when_to_try_again():
    error = errors.Unavailable("busy")
    status = status_of(error, {}, "S/M", "some-call")
    assert details_of(status)["RetryInfo"].retry_delay.ToMilliseconds() == 200
    assert ("grpc-retry-pushback-ms", "200") in metadata_of(error, status)


def test_work_that_kills_workers_is_not_tried_again():
    error = errors.WorkerLost("chunk 3 was lost 6 times")
    status = status_of(error, {}, "S/M", "some-call")
    assert "RetryInfo" not in details_of(status)
    assert ("grpc-retry-pushback-ms", "-1") in metadata_of(error, status)


@pytest.mark.parametrize("fault", [ZeroDivisionError("secret"), GradserveError("secret"), MemoryError()])
def test_faults_of_ours_are_told_to_the_log_alone(fault, caplog):
    with caplog.at_level(logging.ERROR):
        status = status_of(fault, {}, "S/M", "some-call")
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    info = details_of(status)["ErrorInfo"]
    assert info.reason == "INTERNAL"
    assert "secret" not in str(status)
    assert details_of(status)["RequestInfo"].request_id == "some-call"
    assert "some-call" in status.message
    assert "some-call" in caplog.text
    assert type(fault).__name__ in caplog.text
