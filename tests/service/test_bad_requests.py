"""Requests that no client should send: refused with the right code, in words that name what is wrong."""

from typing import Any

import grpc
import numpy as np
import pytest

from gradserve.client.tracing.trace import trace
from gradserve.v1 import derivative_service_pb2 as pb
from gradserve.v1 import execution_pb2, graph_service_pb2
from gradserve.wire import encode_graph
from tests.service.support import SCALED, VECTOR, W, call_of, graph_message, refusal, tensors

GRADIENT = "DerivativeService/Gradient"
UNKNOWN: Any = 99
"""A number that no enum names."""
SCALED_ARGUMENTS = {"w": W, "scale": 0.5, "count": 3}


@pytest.fixture(autouse=True)
def _then_serves_on(still_serves):
    """Whatever a test sends, the next call is answered."""


def gradient(stubs, call, **more):
    return refusal(lambda: stubs.derivatives.Gradient(pb.GradientRequest(call=call, **more)))


def resident(server):
    """Bytes of memory of the server's process."""
    return server.metrics.registry.get_sample_value("process_resident_memory_bytes")


@pytest.mark.parametrize("count", [0, 1, 23, 25])
def test_tensor_bytes_that_do_not_match_the_shape(stubs, count):
    call = call_of()
    call.arguments["w"].inline = bytes(count)
    refused = gradient(stubs, call)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"{count} bytes are not the 24 of f64[3]" in refused.violations['call.arguments["w"].inline']


@pytest.mark.parametrize("shape", [[-3], [2**62], [2**40, 2**40], [1] * 33])
def test_tensor_shapes_that_no_array_has(stubs, shape):
    call = call_of()
    call.arguments["w"].shape[:] = shape
    refused = gradient(stubs, call)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert 'call.arguments["w"].shape' in refused.violations


def test_tensor_without_contents(stubs):
    call = call_of()
    call.arguments["w"].ClearField("inline")
    assert 'call.arguments["w"]' in gradient(stubs, call).violations


BROADCAST = """\
graph (%0 "w": f64[3]) {
  %1: f64[1000000,1000000,3] = broadcast_to %0 {shape=[1000000,1000000,3]}  # loss.py:7
  %2: f64[1000000,1000000,3] = exp %1  # loss.py:8
  %3: f64[] = reduce_sum %2 {axes=[0,1,2]}
  return "loss" %3
}"""


@pytest.mark.parametrize("method", ["Evaluate", "Gradient"])
def test_plan_over_a_limit_is_refused_before_anything_is_allocated(stubs, server, method):
    before = resident(server)
    request = {"Evaluate": pb.EvaluateRequest, "Gradient": pb.GradientRequest}[method](call=call_of(BROADCAST))
    refused = refusal(lambda: getattr(stubs.derivatives, method)(request))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.limit == "value_bytes"
    assert "loss.py:" in refused.message
    assert resident(server) - before < 64 << 20


def test_too_many_operations(start):
    from gradserve.jobs.sweeps.limits import Limits

    _, stubs = start(limits=Limits(flops=3.0))
    refused = gradient(stubs, call_of())
    assert (refused.code, refused.limit) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "flops")


def test_missing_argument(stubs):
    refused = gradient(stubs, call_of(arguments={}))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    ((field, description),) = refused.violations.items()
    assert field.startswith("call.arguments[")
    assert "w: f64[3] is missing" in description


def test_extra_arguments(stubs):
    refused = gradient(stubs, call_of(arguments={"w": W, "x": W, "y": W}))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(refused.violations) == 2
    assert all("its inputs are w" in description for description in refused.violations.values())


@pytest.mark.parametrize("argument", [np.zeros(4), np.zeros((3, 1)), np.zeros(3, np.float32), np.zeros(3, np.int64)])
def test_argument_of_another_type(stubs, argument):
    refused = gradient(stubs, call_of(arguments={"w": argument}))
    ((field, description),) = refused.violations.items()
    assert field.startswith("call.arguments[")
    assert "f64[3]" in description


def test_symbol_of_two_lengths(stubs):
    text = SCALED.replace('%1 "scale": f64[]', '%1 "scale": f64[n]').replace(
        "f64[] = mul %4, %1", "f64[n] = mul %1, %1"
    )
    text = text.replace("%7: f64[] = mul %5, %6", "%7: f64[] = mul %4, %6")
    refused = gradient(stubs, call_of(text, {"w": W, "scale": np.zeros(4), "count": 3}))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "n = 3" in next(iter(refused.violations.values()))


def test_loss_that_is_no_scalar(stubs):
    refused = gradient(stubs, call_of(VECTOR))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.info.reason == "NOT_DIFFERENTIABLE"
    assert "y: f64[3]" in refused.violations["call.graph.inline.outputs"]


def test_loss_that_is_no_scalar_of_a_registered_graph(stubs):
    request = graph_service_pb2.RegisterGraphRequest(graph=graph_message(VECTOR))
    refused = gradient(stubs, call_of(stubs.graphs.RegisterGraph(request).digest))
    assert "call.graph.outputs" in refused.violations


def test_integer_parameter_in_wrt(stubs):
    refused = gradient(stubs, call_of(SCALED, SCALED_ARGUMENTS), wrt=["w", "count"])
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "count: i64[]" in refused.violations["wrt[1]"]


@pytest.mark.parametrize(("wrt", "field"), [(["w", "nope"], "wrt[1]"), (["w", "w"], "wrt[1]")])
def test_unknown_or_repeated_name_in_wrt(stubs, wrt, field):
    refused = gradient(stubs, call_of(), wrt=wrt)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.violations) == [field]


@pytest.mark.parametrize(
    ("tangents", "field"),
    [
        ({}, "tangents"),
        ({"nope": W}, 'tangents["nope"]'),
        ({"w": W[:2]}, 'tangents["w"]'),
        ({"count": 1}, 'tangents["count"]'),
    ],
)
@pytest.mark.parametrize("method", ["Jvp", "Hvp"])
def test_bad_tangents(stubs, method, tangents, field):
    request = {"Jvp": pb.JvpRequest, "Hvp": pb.HvpRequest}[method]
    call = call_of(SCALED, SCALED_ARGUMENTS)
    refused = refusal(lambda: getattr(stubs.derivatives, method)(request(call=call, tangents=tensors(tangents))))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in refused.violations


@pytest.mark.parametrize("cotangents", [{}, {"nope": W}, {"y": W[:2]}])
def test_bad_cotangents(stubs, cotangents):
    request = pb.VjpRequest(call=call_of(VECTOR), cotangents=tensors(cotangents))
    refused = refusal(lambda: stubs.derivatives.Vjp(request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert all(field.startswith("cotangents[") for field in refused.violations)


BATCHES = {
    "unknown input": ({"w": W[None]}, ["nope"], "call.batch.inputs[0]"),
    "named twice": ({"w": W[None]}, ["w", "w"], "call.batch.inputs[1]"),
    "no points": ({"w": np.zeros((0, 3))}, ["w"], "call.batch.inputs"),
}


@pytest.mark.parametrize("name", BATCHES)
def test_bad_batch(stubs, name):
    arguments, inputs, field = BATCHES[name]
    refused = gradient(stubs, call_of(arguments=arguments, batch=execution_pb2.Batch(inputs=inputs)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in refused.violations


def test_batched_argument_without_its_axis(stubs):
    refused = gradient(stubs, call_of(arguments={"w": np.float64(1)}, batch=execution_pb2.Batch(inputs=["w"])))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"batch": execution_pb2.Batch(inputs=["w"], reduction=UNKNOWN)}, "call.batch.reduction"),
        ({"options": execution_pb2.ExecutionOptions(placement=UNKNOWN)}, "call.options.placement"),
        ({"options": execution_pb2.ExecutionOptions(executor="abacus")}, "call.options.executor"),
        ({"options": execution_pb2.ExecutionOptions(inline_limit=-1)}, "call.options.inline_limit"),
        (
            {"options": execution_pb2.ExecutionOptions(placement=execution_pb2.PLACEMENT_CLUSTER)},
            "call.options.placement",
        ),
    ],
)
def test_wishes_that_have_no_meaning(stubs, more, field):
    refused = gradient(stubs, call_of(arguments={"w": W[None]} if "batch" in more else {"w": W}, **more))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.violations) == [field]


@pytest.mark.parametrize(
    "data",
    [b"\xff", b"not a protobuf", b"\x0a\xff\xff\xff\xff\x0f", np.random.default_rng(0).bytes(4096)],
    ids=["one byte", "text", "a length without end", "noise"],
)
@pytest.mark.parametrize("method", [GRADIENT, "GraphService/CheckGraph", "BlobService/FindMissingBlobs"])
def test_garbage_bytes(stubs, method, data):
    refused = refusal(lambda: stubs.raw(method)(data))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.info.domain == "gradserve"


@pytest.mark.parametrize("method", ["EstimateService/EstimateTrace", "VerificationService/VerifyGradient"])
def test_garbage_bytes_to_streams(stubs, method):
    stream = stubs.channel.unary_stream(f"/gradserve.v1.{method}")
    assert refusal(lambda: list(stream(b"\xff"))).code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("method", "field"),
    [
        ("DerivativeService/Evaluate", "call.graph"),
        (GRADIENT, "call.graph"),
        ("DerivativeService/Jvp", "call.graph"),
        ("DerivativeService/Vjp", "call.graph"),
        ("DerivativeService/Hvp", "call.graph"),
        ("GraphService/ExplainGraph", "question"),
        ("GraphService/RegisterGraph", "graph.op_set_version"),
        ("GraphService/GetGraph", "digest"),
    ],
)
def test_empty_messages(stubs, method, field):
    refused = refusal(lambda: stubs.raw(method)(b""))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in refused.violations


@pytest.mark.parametrize("digest", ["abc", "A" * 64, "../../etc/passwd", "0" * 63 + "g"])
def test_what_is_no_digest(stubs, digest):
    call = call_of()
    call.graph.digest = digest
    refused = gradient(stubs, call)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "call.graph.digest" in refused.violations


def test_missing_blobs_are_all_named(stubs):
    call = call_of(SCALED, SCALED_ARGUMENTS)
    for name, digit in (("w", "1"), ("scale", "2")):
        call.arguments[name].blob = digit * 64
    refused = gradient(stubs, call)
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.info.reason == "BLOB_NOT_FOUND"
    assert sorted(refused.info.metadata["digests"].split(",")) == ["1" * 64, "2" * 64]


def test_message_over_the_limit(stubs):
    call = call_of(arguments={"w": np.zeros(100_000_000 // 8)})
    refused = gradient(stubs, call)
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert f"vs. {64 << 20}" in refused.message


@pytest.mark.parametrize("method", ["DerivativeService/Integrate", "NoService/Gradient", "../../etc/passwd", "é" * 500])
def test_unknown_method(stubs, method):
    """As of all refusals there is a reason, and the name of the call."""
    refused = refusal(lambda: stubs.raw(method)(b"", metadata=(("x-request-id", "a-call"),)))
    assert refused.code is grpc.StatusCode.UNIMPLEMENTED
    assert refused.info.reason == "UNKNOWN_METHOD"
    assert refused.request_id == "a-call"
    assert len(refused.message) < 300


IMPOSSIBLE = """\
graph (%0 "a": f64[2,2]) {
  %1: f64[2,2] = cholesky %0  # loss.py:5
  %2: f64[] = reduce_sum %1 {axes=[0,1]}
  return "loss" %2
}"""


def test_step_that_is_impossible_on_these_numbers(stubs):
    call = call_of(IMPOSSIBLE, {"a": -np.eye(2)})
    refused = refusal(lambda: stubs.derivatives.Evaluate(pb.EvaluateRequest(call=call)))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.info.reason == "NUMERICAL_FAILURE"
    assert "cholesky" in refused.message
    assert "loss.py:5" in refused.message


def test_loss_that_depends_on_the_choice_of_eigenvectors(stubs):
    def loss(w):
        return np.sum(np.linalg.eigh(w).eigenvectors ** 4)

    refused = gradient(stubs, call_of(encode_graph(trace(loss, np.eye(3)).graph), {"w": np.eye(3)}))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.info.reason == "NOT_DIFFERENTIABLE"
    (description,) = refused.violations.values()
    assert "eigh: eigenvalues 0 to 2 form a cluster near 1 with gap 0" in description
