"""Graphs by content: registering, reading, checking, explaining."""

import hashlib
from typing import Any

import grpc
import numpy as np
import pytest

from gradserve import wire
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.v1 import blob_service_pb2, derivative_service_pb2, execution_pb2, graph_pb2, tensor_pb2
from gradserve.v1 import graph_service_pb2 as pb
from tests.service.support import QUADRATIC, SCALED, W, call_of, graph_message, refusal


def registered(stubs, message):
    return stubs.graphs.RegisterGraph(pb.RegisterGraphRequest(graph=message))


def test_registering_answers_identity_and_signature(stubs):
    reply = registered(stubs, graph_message(SCALED))
    assert reply.digest == parse(SCALED, OP_SET).digest
    assert [i.name for i in reply.signature.inputs] == ["w", "scale", "count"]
    assert [o.name for o in reply.signature.outputs] == ["loss"]
    assert registered(stubs, graph_message(SCALED)) == reply


def test_identity_does_not_depend_on_origins(stubs):
    bare = graph_message(QUADRATIC)
    bare.ClearField("origins")
    assert registered(stubs, bare).digest == registered(stubs, graph_message(QUADRATIC)).digest


def test_reading_back(stubs, digest):
    reply = stubs.graphs.GetGraph(pb.GetGraphRequest(digest=digest))
    assert wire.decode_graph(reply.graph, OP_SET).digest == digest
    assert parse(reply.text, OP_SET).digest == digest


def test_reading_what_is_not_registered(stubs):
    refused = refusal(lambda: stubs.graphs.GetGraph(pb.GetGraphRequest(digest="0" * 64)))
    assert (refused.code, refused.info.reason) == (grpc.StatusCode.NOT_FOUND, "GRAPH_NOT_REGISTERED")


def large_graph():
    """A loss with a constant of 2 MiB, and its bytes."""
    data = np.arange(1 << 18, dtype=np.float64)
    text = """graph (%0 "w": f64[]) {
      %1: f64[262144] = blob DIGEST
      %2: f64[] = reduce_sum %1 {axes=[0]}
      %3: f64[] = mul %0, %2
      return "loss" %3
    }"""
    name = hashlib.sha256(data.tobytes()).hexdigest()
    message = graph_message(
        text.replace("blob DIGEST", "constant 0.0")
        .replace("f64[262144] = c", "f64[] = c")
        .replace("reduce_sum %1 {axes=[0]}", "neg %1")
    )
    constant = message.constants[0]
    constant.shape[:] = [1 << 18]
    constant.blob = name
    message.nodes[0].op = "reduce_sum"
    message.nodes[0].attributes["axes"].integers.values.append(0)
    return message, data, name


def test_large_constants_travel_as_blobs_both_ways(stubs):
    message, data, name = large_graph()
    refused = refusal(lambda: registered(stubs, message))
    assert (refused.code, refused.info.metadata["digests"]) == (grpc.StatusCode.NOT_FOUND, name)
    raw = data.tobytes()
    stubs.blobs.WriteBlob(
        blob_service_pb2.WriteBlobRequest(digest=name, size=len(raw), offset=k, data=raw[k : k + (1 << 20)])
        for k in range(0, len(raw), 1 << 20)
    )
    digest = registered(stubs, message).digest
    call = call_of(digest, {"w": 2.0})
    value = stubs.derivatives.Evaluate(derivative_service_pb2.EvaluateRequest(call=call)).outputs["loss"]
    assert wire.decode_tensor(value) == 2.0 * data.sum()
    back = stubs.graphs.GetGraph(pb.GetGraphRequest(digest=digest)).graph
    assert back.constants[0].blob == name


def test_graph_survives_its_blobs(stubs, server):
    message, data, name = large_graph()
    if server.blobs.get(name) is None:
        server.blobs.put(name, data.tobytes())
    digest = registered(stubs, message).digest
    server.blobs._whole.pop(name)
    reply = stubs.graphs.GetGraph(pb.GetGraphRequest(digest=digest))
    assert server.blobs.get(reply.graph.constants[0].blob) == data.tobytes()


def test_checking_a_correct_graph(stubs):
    reply = stubs.graphs.CheckGraph(pb.CheckGraphRequest(graph=graph_message()))
    assert not reply.violations
    assert reply.digest == parse(QUADRATIC, OP_SET).digest
    assert [o.name for o in reply.signature.outputs] == ["loss"]


def test_checking_answers_every_violation_and_stores_nothing(stubs, server):
    message = graph_message(QUADRATIC.replace("loss", "unheard of"))
    known = len(server.graphs)
    stubs.graphs.CheckGraph(pb.CheckGraphRequest(graph=message))
    assert len(server.graphs) == known
    message.nodes[0].op = "frobnicate"
    message.outputs[0].value = 9
    reply = stubs.graphs.CheckGraph(pb.CheckGraphRequest(graph=message))
    assert {v.field for v in reply.violations} == {"nodes[0].op", "outputs[0].value"}
    assert reply.violations[0].constraint == "G12"
    assert "frobnicate" in reply.violations[0].description
    assert reply.violations[0].source == "unheard of.py:2"
    assert not reply.digest


def test_registering_names_violations_below_the_graph(stubs):
    refused = refusal(lambda: registered(stubs, graph_pb2.Graph(op_set_version=1)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.violations) == ["graph.outputs"]


def of_type(*shape: int, element_type: Any = tensor_pb2.ELEMENT_TYPE_FLOAT64) -> tensor_pb2.Tensor:
    """A tensor without elements."""
    return tensor_pb2.Tensor(element_type=element_type, shape=shape)


def explained(stubs, question="evaluate", graph=None, arguments=None, more=(), **call):
    ref = graph or execution_pb2.GraphRef(inline=graph_message())
    asked = execution_pb2.Call(graph=ref, arguments=arguments or {"w": of_type(3)}, **call)
    request = pb.ExplainGraphRequest()
    field = getattr(request, question)
    field.MergeFrom(type(field)(call=asked, **dict(more)))
    return stubs.graphs.ExplainGraph(request)


@pytest.mark.parametrize(
    ("question", "more", "inputs", "outputs"),
    [
        ("evaluate", {}, ["w"], ["value:loss"]),
        ("gradient", {}, ["w"], ["value:loss", "gradient:w"]),
        ("jvp", {"tangents": {"w": of_type(3)}}, ["w", "tangent:w"], ["value:loss", "tangent:loss"]),
        ("vjp", {"cotangents": {"loss": of_type()}}, ["w", "cotangent:loss"], ["value:loss", "cotangent:w"]),
    ],
)
def test_explaining(stubs, question, more, inputs, outputs):
    reply = explained(stubs, question, more=more)
    assert [i.name for i in reply.signature.inputs] == inputs
    assert [o.name for o in reply.signature.outputs] == outputs
    assert reply.text.startswith("graph (")
    assert min(reply.flops, reply.bytes, reply.peak_bytes, reply.seconds, reply.loss_flops) > 0
    assert list(reply.chunks) == [1]
    assert (reply.placement, reply.executor) == ("front-end", "numpy")
    assert reply.reason
    assert not reply.HasField("refusal")


def test_explaining_products_with_and_without_the_gradient(stubs):
    for alone, outputs in ((False, ["value:loss", "gradient:w", "product:w"]), (True, ["product:w"])):
        reply = explained(stubs, "hvp", more={"tangents": {"w": of_type(3)}, "product_only": alone})
        assert [o.name for o in reply.signature.outputs] == outputs


def test_explaining_an_estimate(stubs):
    few, many = (
        explained(stubs, "estimate_trace", more={"max_probes": probes, "estimator": "ESTIMATOR_HUTCHINSON"})
        for probes in (64, 4096)
    )
    assert many.flops > 32 * few.flops > 0


def test_a_question_with_its_elements_is_explained_as_well(stubs):
    arguments = call_of().arguments
    assert explained(stubs, "gradient", arguments=arguments) == explained(stubs, "gradient")


def test_explaining_a_batch_of_a_symbolic_graph(stubs, digest):
    registered_graph = execution_pb2.GraphRef(digest=digest)
    one = explained(stubs, "gradient", registered_graph)
    batch = execution_pb2.Batch(inputs=["w"])
    many = explained(stubs, "gradient", registered_graph, {"w": of_type(1000, 3)}, batch=batch)
    assert sum(many.chunks) == 1000
    assert many.flops > 500 * one.flops
    symbolic = execution_pb2.GraphRef(inline=graph_message(SCALED))

    def flops(length):
        types = {"w": of_type(length), "scale": of_type()}
        count = of_type(element_type=tensor_pb2.ELEMENT_TYPE_INT64)
        return explained(stubs, "evaluate", symbolic, {**types, "count": count}).flops

    assert flops(1000) > flops(10)


UNKNOWN: Any = 99
IN_BATCH = {"arguments": {"w": of_type(2, 3)}}
EXPLAINED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown reduction": (
        {**IN_BATCH, "batch": execution_pb2.Batch(inputs=["w"], reduction=UNKNOWN)},
        "gradient.call.batch.reduction",
    ),
    "unknown batch input": (
        {**IN_BATCH, "batch": execution_pb2.Batch(inputs=["x"])},
        "gradient.call.batch.inputs[0]",
    ),
    "unknown wrt": ({"more": {"wrt": ["x"]}}, "gradient.wrt[0]"),
    "unknown executor": (
        {"options": execution_pb2.ExecutionOptions(executor="abacus")},
        "gradient.call.options.executor",
    ),
    "negative length": ({"arguments": {"w": of_type(-1)}}, 'gradient.call.arguments["w"].shape'),
    "other type": ({"arguments": {"w": of_type(4)}}, 'gradient.call.arguments["w"]'),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_cannot_be_explained(stubs, name):
    more, field = EXPLAINED[name]
    refused = refusal(lambda: explained(stubs, "gradient", **more))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.violations) == [field]


def test_a_batch_that_would_be_refused_is_explained_as_such(stubs):
    batch = execution_pb2.Batch(inputs=["w"])
    found = explained(stubs, "gradient", arguments={"w": of_type(2**40, 3)}, batch=batch)
    assert found.placement == "refused"
    assert "points" in found.reason
    assert found.refusal.limit == "points"
    assert found.refusal.message in found.reason
    assert not found.chunks


def test_faults_of_graphs_are_found_where_they_lie(stubs):
    broken = graph_message(SCALED)
    broken.nodes[0].operands[1] = 99
    refused = refusal(lambda: explained(stubs, "gradient", execution_pb2.GraphRef(inline=broken)))
    assert list(refused.violations) == ["gradient.call.graph.inline.nodes[0].operands[1]"]


def test_registered_graphs_are_forgotten_in_the_end_and_can_come_again(start):
    _, stubs = start(graph_store_count=2, store="none")
    texts = [QUADRATIC.replace("reduce_sum", op) for op in ("reduce_sum", "reduce_max", "reduce_min")]
    digests = [registered(stubs, graph_message(text)).digest for text in texts]
    request = derivative_service_pb2.EvaluateRequest(call=call_of(digests[0], {"w": W}))
    assert refusal(lambda: stubs.derivatives.Evaluate(request)).info.reason == "GRAPH_NOT_REGISTERED"
    registered(stubs, graph_message(texts[0]))
    assert stubs.derivatives.Evaluate(request)
