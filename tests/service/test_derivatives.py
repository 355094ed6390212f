"""Values and derivatives over the wire, against what one knows by hand."""

import numpy as np
import pytest

from gradserve import wire
from gradserve.v1 import derivative_service_pb2 as pb
from gradserve.v1 import execution_pb2
from tests.service.support import QUADRATIC, SCALED, VECTOR, W, call_of, graph_message, refusal, tensors

KINKED = """\
graph (%0 "w": f64[3]) {
  %1: f64[3] = abs %0
  %2: f64[] = reduce_sum %1 {axes=[0]}
  return "loss" %2
}"""
POINTS = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, 0.0]])
V = np.array([0.0, 1.0, -1.0])


def arrays(messages):
    return {name: wire.decode_tensor(message) for name, message in messages.items()}


@pytest.fixture(params=["inline", "digest"])
def quadratic(request, digest):
    return QUADRATIC if request.param == "inline" else digest


def test_evaluate(stubs, quadratic):
    reply = stubs.derivatives.Evaluate(pb.EvaluateRequest(call=call_of(quadratic)))
    assert arrays(reply.outputs) == {"loss": 14.0}


def test_gradient(stubs, quadratic):
    reply = stubs.derivatives.Gradient(pb.GradientRequest(call=call_of(quadratic)))
    assert wire.decode_tensor(reply.value) == 14.0
    np.testing.assert_array_equal(arrays(reply.gradients)["w"], 2 * W)


def test_jvp(stubs):
    reply = stubs.derivatives.Jvp(pb.JvpRequest(call=call_of(VECTOR), tangents=tensors({"w": V})))
    np.testing.assert_array_equal(arrays(reply.outputs)["y"], W * W)
    np.testing.assert_array_equal(arrays(reply.tangents)["y"], 2 * W * V)


def test_vjp(stubs):
    reply = stubs.derivatives.Vjp(pb.VjpRequest(call=call_of(VECTOR), cotangents=tensors({"y": V})))
    np.testing.assert_array_equal(arrays(reply.outputs)["y"], W * W)
    np.testing.assert_array_equal(arrays(reply.cotangents)["w"], 2 * W * V)


def test_hvp(stubs, quadratic):
    reply = stubs.derivatives.Hvp(pb.HvpRequest(call=call_of(quadratic), tangents=tensors({"w": V})))
    assert wire.decode_tensor(reply.value) == 14.0
    np.testing.assert_array_equal(arrays(reply.gradients)["w"], 2 * W)
    np.testing.assert_array_equal(arrays(reply.products)["w"], 2 * V)


@pytest.mark.parametrize(("w", "nodes"), [([1.0, 0.0, 2.0], 1), ([1.0, -0.5, 2.0], 0)])
def test_kinks_are_counted_unless_declined(stubs, w, nodes):
    call = call_of(KINKED, arguments={"w": np.array(w)})
    report = stubs.derivatives.Gradient(pb.GradientRequest(call=call)).report
    assert report.HasField("kinks")
    assert (report.kinks.nodes, report.kinks.examples) == (nodes, nodes)
    call.options.count_kinks = False
    assert not stubs.derivatives.Gradient(pb.GradientRequest(call=call)).report.HasField("kinks")


@pytest.mark.parametrize(
    ("reduction", "value", "gradient"),
    [
        (execution_pb2.REDUCTION_UNSPECIFIED, [14.0, 0.3125], 2 * POINTS),
        (execution_pb2.REDUCTION_NONE, [14.0, 0.3125], 2 * POINTS),
        (execution_pb2.REDUCTION_SUM, 14.3125, 2 * POINTS.sum(0)),
        (execution_pb2.REDUCTION_MEAN, 7.15625, POINTS.sum(0)),
    ],
)
def test_batch(stubs, quadratic, reduction, value, gradient):
    call = call_of(quadratic, {"w": POINTS}, batch=execution_pb2.Batch(inputs=["w"], reduction=reduction))
    reply = stubs.derivatives.Gradient(pb.GradientRequest(call=call))
    np.testing.assert_array_equal(wire.decode_tensor(reply.value), value)
    np.testing.assert_array_equal(arrays(reply.gradients)["w"], gradient)
    assert reply.report.batch_size == 2


def test_symbolic_lengths_are_those_of_the_arguments(stubs):
    for length in (1, 5):
        w = np.arange(1.0, length + 1)
        call = call_of(SCALED, {"w": w, "scale": 0.5, "count": 3})
        reply = stubs.derivatives.Gradient(pb.GradientRequest(call=call, wrt=["w"]))
        np.testing.assert_allclose(arrays(reply.gradients)["w"], 3 * w)


def test_empty_wrt_means_every_floating_point_input(stubs):
    call = call_of(SCALED, {"w": W, "scale": 0.5, "count": 3})
    reply = stubs.derivatives.Gradient(pb.GradientRequest(call=call))
    assert sorted(reply.gradients) == ["scale", "w"]


def test_report_has_every_phase_and_knows_the_plan_the_second_time(stubs):
    # Another constant, another plan: no other test has asked for it.
    message = graph_message(QUADRATIC.replace("mul %0, %0", "add %0, %0"))
    first, second = (stubs.derivatives.Gradient(pb.GradientRequest(call=call_of(message))).report for _ in range(2))
    assert not first.plan_cache_hit
    assert second.plan_cache_hit
    for report in (first, second):
        for phase in ("queue", "decode", "plan", "execute", "encode"):
            assert 0 < getattr(report, phase).ToTimedelta().total_seconds() + 1e-9 < 10, phase
        assert (report.executor, report.placement, report.chunks, report.batch_size) == ("numpy", "front-end", 1, 1)
        assert report.flops > 0
        assert report.peak_bytes > 0
        assert list(report.workers) == ["front-end"]


def test_nan_is_data(stubs):
    reply = stubs.derivatives.Gradient(pb.GradientRequest(call=call_of(arguments={"w": [np.nan, np.inf, 1.0]})))
    assert np.isnan(wire.decode_tensor(reply.value))
    assert reply.report.nonfinite_outputs == 3  # the loss and two entries of the gradient


def test_large_results_come_as_blobs(stubs, server):
    options = execution_pb2.ExecutionOptions(inline_limit=16)
    reply = stubs.derivatives.Gradient(pb.GradientRequest(call=call_of(options=options)))
    assert reply.value.WhichOneof("payload") == "inline"
    assert reply.gradients["w"].WhichOneof("payload") == "blob"
    np.testing.assert_array_equal(wire.decode_tensor(reply.gradients["w"], server.blobs.get), 2 * W)


def test_reply_stays_small_however_many_results_there_are(start):
    _, stubs = start(inline_limit=100)
    inputs = ", ".join(f'%{k} "w{k}": f64[3]' for k in range(5))
    sums = "\n".join(f"  %{5 + k}: f64[3] = add %{k}, %{k}" for k in range(5))
    outputs = ", ".join(f'"y{k}" %{5 + k}' for k in range(5))
    call = call_of(f"graph ({inputs}) {{\n{sums}\n  return {outputs}\n}}", {f"w{k}": W + k for k in range(5)})
    outputs = stubs.derivatives.Evaluate(pb.EvaluateRequest(call=call)).outputs
    payloads = [tensor.WhichOneof("payload") for tensor in outputs.values()]
    assert (payloads.count("inline"), payloads.count("blob")) == (4, 1)


def test_executor_can_be_pinned(stubs):
    options = execution_pb2.ExecutionOptions(executor="numpy", placement=execution_pb2.PLACEMENT_FRONT_END)
    assert stubs.derivatives.Gradient(pb.GradientRequest(call=call_of(options=options))).report.executor == "numpy"


def test_graph_that_is_not_registered(stubs):
    refused = refusal(lambda: stubs.derivatives.Gradient(pb.GradientRequest(call=call_of("0" * 64))))
    assert refused.code.name == "NOT_FOUND"
    assert refused.info.reason == "GRAPH_NOT_REGISTERED"
    assert refused.info.domain == "gradserve"


def test_equal_inline_graphs_are_decoded_once(stubs, server):
    call = call_of()
    stubs.derivatives.Gradient(pb.GradientRequest(call=call))
    known = len(server.graphs)
    stubs.derivatives.Gradient(pb.GradientRequest(call=call))
    assert len(server.graphs) == known
