"""Errors of a service arrive as those of the same job in this process: type, message, violations."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2

from gradserve.client import (
    Client,
    GradserveError,
    InvalidGraph,
    InvalidReply,
    InvalidRequest,
    LimitExceeded,
    NotDifferentiable,
    NumericalFailure,
    Overloaded,
    Untraceable,
)
from gradserve.client.transport.ended import Unreachable
from gradserve.client.transport.errors import typed_error
from gradserve.ir import errors
from gradserve.ir.errors import MAX_VIOLATIONS, BlobNotFound, Violation
from gradserve.ir.graph import BlobRef, Graph, Output
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import OP_SET
from gradserve.service.calls.places import WHOLE_GRAPH, places_of
from gradserve.service.calls.status import CODES, code_of, metadata_of, status_of
from gradserve.text.parsing import parse
from gradserve.wire.errors import decode_error
from tests.clients.examples import SYMBOLIC
from tests.rows import in_one

W = np.array([1.0, 2.0, 3.0])


class Failed(grpc.RpcError, grpc.Call):
    """A call that ended with the status that the service makes of an error."""

    def __init__(self, error, places=None):
        status = status_of(error, places or {}, "Service/Method", "some-call")
        self._code, self._message, self._metadata = code_of(error), status.message, metadata_of(error, status)

    def code(self):
        return self._code

    def details(self):
        return self._message

    def trailing_metadata(self):
        return self._metadata

    def initial_metadata(self):
        return ()

    def add_callback(self, callback):
        return False

    def cancel(self):
        return False

    def is_active(self):
        return False

    def time_remaining(self):
        return None


class Broken(Failed):
    """A call that gRPC itself ended."""

    def __init__(self, code, message):
        self._code, self._message, self._metadata = code, message, ()


def arrived(error, places=None):
    return typed_error(Failed(error, places), "here:1")


VIOLATIONS = [
    Violation("nodes[17].operands[1]", "matmul (C3)", "f64[3,4] times f64[3]: 4 is not 3; transpose", "loss.py:31"),
    Violation('arguments["w"]', "R1", "the argument w: f64[3] is missing"),
    Violation("", "G4", "text with: colons; and semicolons, over\ntwo lines", "a.py:1"),
]


@in_one
@pytest.mark.parametrize("kind", [kind for kind in CODES if kind not in (LimitExceeded, BlobNotFound)])
@pytest.mark.parametrize("violations", [[], VIOLATIONS[:1], VIOLATIONS])
@pytest.mark.parametrize("places", [{}, places_of(True), places_of(False), places_of(True, "gradient"), WHOLE_GRAPH])
def test_every_error_arrives_as_it_was(kind, violations, places):
    sent = kind("it did not work: why", violations)
    found = arrived(sent, places)
    assert type(found) is kind
    assert found.message == sent.message
    assert found.violations == sent.violations
    assert str(found) == str(sent)


def test_limits_and_missing_blobs_arrive_with_what_they_name():
    found = arrived(LimitExceeded("peak_bytes", "too much", VIOLATIONS[:1]))
    assert (type(found), found.limit, found.message) == (LimitExceeded, "peak_bytes", "too much")
    found = arrived(BlobNotFound(["1" * 64, "2" * 64]))
    assert (type(found), found.digests) == (BlobNotFound, ("1" * 64, "2" * 64))


def test_a_full_service_says_when_to_come_back():
    sent = Overloaded("full", limit="max_in_flight", retry_after=12.345)
    found = arrived(sent)
    assert (type(found), found.limit, found.retry_after) == (Overloaded, "max_in_flight", 12.345)
    assert dict(Failed(sent).trailing_metadata())["grpc-retry-pushback-ms"] == "12345"
    assert "grpc-retry-pushback-ms" not in dict(Failed(LimitExceeded("flops", "too large")).trailing_metadata())


@pytest.mark.parametrize(("seconds", "taken"), [(-(2**62), 0.0), (2**62, 1e9), (3, 3.0)])
def test_pauses_of_any_length_are_read(seconds, taken):
    status = status_of(Overloaded("full", limit="max_in_flight", retry_after=1.0), {}, "Service/Method", "some-call")
    for detail in status.details:
        if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo()
            delay.retry_delay.seconds = seconds
            detail.Pack(delay)
    found = decode_error(status)
    assert isinstance(found, Overloaded)
    assert found.retry_after == taken


def test_every_error_of_the_service_has_a_type_here():
    """Only those of the client itself, and the root, stand for nothing that arrives."""
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GradserveError)}
    for kind in kinds - {GradserveError, InvalidReply, Untraceable, LimitExceeded, BlobNotFound}:
        assert type(arrived(kind("x"))) is kind


def test_what_was_left_out_is_counted():
    many = [Violation(f"nodes[{k}]", f"op (C{k})", "x" * 500) for k in range(2000)]
    found = arrived(InvalidGraph("no", many))
    left_out = int(found.message.split("(")[1].split()[0])
    assert left_out + len(found.violations) == 2000
    assert 0 < len(found.violations) < MAX_VIOLATIONS


def test_faults_of_the_service_tell_where_to_look():
    found = arrived(ZeroDivisionError("secret"))
    assert type(found) is GradserveError
    assert "the service's log tells it under request some-call" in str(found)
    assert "secret" not in str(found)
    assert found.request_id == "some-call"


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("UNAVAILABLE", Unreachable, r"no gradserve service answers at here:1 \(Connection refused\); is it running"),
        ("UNIMPLEMENTED", GradserveError, "what answers at here:1 is no gradserve service, or an older one"),
        ("RESOURCE_EXHAUSTED", LimitExceeded, "a message is too large for gRPC"),
        ("UNKNOWN", GradserveError, "the call to here:1 failed"),
        ("CANCELLED", Unreachable, "the call to here:1 failed"),
    ],
)
def test_what_grpc_itself_says(code, kind, message):
    broken = Broken(grpc.StatusCode[code], "all addresses failed; last: ipv4:1.2.3.4:5: Connection refused")
    found = typed_error(broken, "here:1")
    assert type(found) is kind
    with pytest.raises(kind, match=message):
        raise found


@pytest.mark.parametrize("changed", ["code", "text", "details", "rubbish"])
def test_what_somebody_on_the_way_has_changed_is_typed_all_the_same(changed):
    """Such as a proxy that has codes and texts of its own, beside our details: no typed error came of that."""
    failed = Failed(InvalidGraph("no"))
    if changed == "code":
        failed._code = grpc.StatusCode.UNAVAILABLE
    elif changed == "text":
        failed._message = "upstream connect error"
    else:
        ((key, details),) = failed._metadata
        failed._metadata = ((key, details[:-1] if changed == "details" else b"\xff" * 9),)
    found = typed_error(failed, "here:1")
    assert type(found) is (Unreachable if changed == "code" else InvalidRequest)
    assert "here:1" in str(found)


# ---- the same errors in both modes


@pytest.fixture
def refused(remote, embedded):
    """Asks both clients and sees that they refuse alike; answers the refusal."""

    def ask(question):
        found = []
        for client in (embedded, remote):
            with pytest.raises(GradserveError) as caught:
                question(client)
            found.append(caught.value)
        here, there = found
        assert type(here) is type(there)
        assert (here.message, here.violations, str(here)) == (there.message, there.violations, str(there))
        return there

    return ask


def test_arguments(refused):
    graph = parse(SYMBOLIC, OP_SET)
    error = refused(lambda c: c.load(graph)(np.ones(3), np.ones(4)))
    assert isinstance(error, InvalidRequest)
    assert [v.field for v in error.violations] == ['arguments["y"]']
    error = refused(lambda c: c.function(lambda w: np.sum(w**2)).hvp(W, tangent=np.ones(4)))
    assert [(v.field, v.constraint) for v in error.violations] == [('tangents["w"]', "R4")]
    assert "f64[4] is given where f64[3] is expected" in str(error)
    error = refused(lambda c: c.function(lambda w: w**2).vjp(W, cotangent=np.ones(4)))
    assert [v.field for v in error.violations] == ['cotangents["result"]']


def test_what_is_not_differentiable(refused):
    error = refused(lambda c: c.function(lambda w: 2 * w).grad(W))
    assert isinstance(error, NotDifferentiable)
    assert [(v.field, v.constraint) for v in error.violations] == [("outputs", "W3")]
    error = refused(lambda c: c.function(lambda x, n: np.sum(x) * n).grad(W, 3, wrt=["n"]))
    assert isinstance(error, InvalidRequest)
    assert "n: i64[] is not real; one can differentiate x" in str(error)


def test_a_numerical_failure_names_its_line(refused):
    def loss(w):
        return np.sum(np.linalg.cholesky(w))

    error = refused(lambda c: c.function(loss).grad(-np.eye(3)))
    assert isinstance(error, NumericalFailure)
    assert f"test_errors.py:{loss.__code__.co_firstlineno + 1}" in str(error)


def test_a_loss_that_depends_on_the_choice_of_eigenvectors_names_op_cluster_gap_and_line(refused):
    def loss(w):
        return np.sum(np.linalg.eigh(w).eigenvectors ** 4)

    near = np.diag([1.0, 1.0 + 1e-9, 3.0])
    for derive in (lambda f: f.grad(near), lambda f: f.hvp(near, tangent=near), lambda f: f.jvp(near, tangent=near)):
        error = refused(lambda c, derive=derive: derive(c.function(loss)))
        assert isinstance(error, NotDifferentiable)
        (violation,) = error.violations
        assert violation.constraint == "eigh"
        assert "eigenvalues 0 to 1 form a cluster near 1 with gap 1e-09" in violation.description
        assert f"test_errors.py:{loss.__code__.co_firstlineno + 1}" in violation.source


def test_limits_name_themselves_and_the_line(refused):
    def loss(w):
        return np.sum(np.outer(w, w))

    error = refused(lambda c: c.function(loss).grad(np.zeros(60_000)))
    assert isinstance(error, LimitExceeded)
    assert error.limit
    assert error.limit in str(error)


def test_executors_that_there_are_not(refused):
    error = refused(lambda c: c.load(parse(SYMBOLIC, OP_SET)).hessian_trace(W, W, rel_tol=-1.0))
    assert isinstance(error, InvalidRequest)


def test_constants_known_by_digest_only(refused):
    constant = BlobRef(TensorType(ElementType.FLOAT64, (3,)), "0" * 64)
    graph = Graph(inputs=(), constants=(constant,), nodes=(), outputs=(Output("x", 0),))
    error = refused(lambda c: c.load(graph)())
    assert isinstance(error, BlobNotFound)
    assert error.digests == ("0" * 64,)


# ---- errors of the client itself


def test_what_cannot_be_traced_is_refused_here():
    """No service is needed to learn of it."""

    def loss(w):
        return w[int(w[0])]

    line = loss.__code__.co_firstlineno + 1
    with Client("localhost:1") as client:
        with pytest.raises(Untraceable, match=rf"test_errors\.py:{line}: .*write x\.astype") as caught:
            client.function(loss, w=W)
        assert isinstance(caught.value, TypeError)
        with pytest.raises(Untraceable):
            client.function(loss)(W)


def test_what_numpy_would_refuse_is_refused_here_with_its_line():
    def loss(w):
        return np.sum(w @ np.ones((4, 2)))

    with Client("localhost:1") as client, pytest.raises(InvalidGraph, match=r"C3.*traced at test_errors\.py:\d+"):
        client.function(loss, w=W)


def test_ones_own_errors_stay_as_they_are(client):
    def loss(w):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        client.function(loss)(W)


def test_masked_arrays_are_not_silently_unmasked(client):
    with pytest.raises(InvalidRequest, match="argument w is masked"):
        client.function(lambda w: np.sum(w))(np.ma.masked_array(W, [True, False, False]))


@pytest.mark.parametrize(
    "bad",
    [
        np.ones(3, np.uint64),
        np.ones(3, np.longdouble),
        np.ones(3, np.clongdouble),
        "text",
        [[1.0], [2.0, "x"]],
        object(),
    ],
)
def test_elements_that_no_graph_has(client, bad):
    with pytest.raises(InvalidRequest):
        client.function(lambda w: w)(bad)


def test_names_that_a_graph_cannot_have(client):
    with pytest.raises(InvalidRequest, match="Rename it"):
        client.function(lambda **p: p["a.b"])(**{"a.b": W})


def test_tokens_that_are_too_large_are_told_as_such(address):
    with (
        Client(address, token="x" * 20_000) as client,
        pytest.raises(LimitExceeded, match="use a shorter token") as told,
    ):
        client.function(lambda w: np.sum(w * w)).grad(W)
    assert told.value.limit == "metadata_bytes"
