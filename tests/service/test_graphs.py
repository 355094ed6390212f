"""Graphs by content: registering, reading, checking, explaining."""

import hashlib
from typing import Any

import grpc
import numpy as np
import pytest

from gradserve import wire
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.v1 import blob_service_pb2, derivative_service_pb2, execution_pb2, graph_pb2
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
    server.blobs.bytes -= data.nbytes
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


def explained(stubs, graph=None, **more):
    ref = graph or execution_pb2.GraphRef(inline=graph_message())
    return stubs.graphs.ExplainGraph(pb.ExplainGraphRequest(graph=ref, **more))


@pytest.mark.parametrize(
    ("derivation", "inputs", "outputs"),
    [
        (pb.DERIVATION_UNSPECIFIED, ["w"], ["value:loss"]),
        (pb.DERIVATION_EVALUATE, ["w"], ["value:loss"]),
        (pb.DERIVATION_GRADIENT, ["w"], ["value:loss", "gradient:w"]),
        (pb.DERIVATION_JVP, ["w", "tangent:w"], ["value:loss", "tangent:loss"]),
        (pb.DERIVATION_VJP, ["w", "cotangent:loss"], ["value:loss", "cotangent:w"]),
        (pb.DERIVATION_HVP, ["w", "tangent:w"], ["product:w"]),
    ],
)
def test_explaining(stubs, derivation, inputs, outputs):
    reply = explained(stubs, derivation=derivation)
    assert [i.name for i in reply.signature.inputs] == inputs
    assert [o.name for o in reply.signature.outputs] == outputs
    assert reply.text.startswith("graph (")
    assert min(reply.flops, reply.bytes, reply.peak_bytes, reply.seconds, reply.loss_flops) > 0
    assert list(reply.chunks) == [1]
    assert (reply.placement, reply.executor) == ("front-end", "numpy")
    assert reply.reason


def test_explaining_a_batch_of_a_symbolic_graph(stubs, digest):
    one = explained(stubs, execution_pb2.GraphRef(digest=digest), derivation=pb.DERIVATION_GRADIENT)
    batch = execution_pb2.Batch(inputs=["w"])
    many = explained(
        stubs, execution_pb2.GraphRef(digest=digest), derivation=pb.DERIVATION_GRADIENT, batch=batch, batch_size=1000
    )
    assert sum(many.chunks) == 1000
    assert many.flops > 500 * one.flops
    symbolic = execution_pb2.GraphRef(inline=graph_message(SCALED))
    assert explained(stubs, symbolic, symbols={"n": 1000}).flops > explained(stubs, symbolic, symbols={"n": 10}).flops


UNKNOWN: Any = 99
EXPLAINED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown derivation": ({"derivation": 99}, "derivation"),
    "unknown reduction": (
        {"batch": execution_pb2.Batch(inputs=["w"], reduction=UNKNOWN), "batch_size": 1},
        "batch.reduction",
    ),
    "no points": ({"batch": execution_pb2.Batch(inputs=["w"])}, "batch_size"),
    "unknown batch input": ({"batch": execution_pb2.Batch(inputs=["x"]), "batch_size": 2}, "batch.inputs[0]"),
    "unknown wrt": ({"derivation": pb.DERIVATION_GRADIENT, "wrt": ["x"]}, "wrt[0]"),
    "unknown executor": ({"options": execution_pb2.ExecutionOptions(executor="abacus")}, "options.executor"),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_cannot_be_explained(stubs, name):
    more, field = EXPLAINED[name]
    refused = refusal(lambda: explained(stubs, **more))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.violations) == [field]


def test_a_batch_that_would_be_refused_is_explained_as_such(stubs):
    found = explained(stubs, batch=execution_pb2.Batch(inputs=["w"]), batch_size=2**63 - 1)
    assert found.placement == "refused"
    assert "points" in found.reason


def test_symbol_without_a_length(stubs):
    refused = refusal(lambda: explained(stubs, execution_pb2.GraphRef(inline=graph_message(SCALED))))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.violations) == ["graph.inline.inputs[0].type"]


def test_registered_graphs_are_forgotten_in_the_end_and_can_come_again(start):
    _, stubs = start(graph_store_count=2)
    texts = [QUADRATIC.replace("reduce_sum", op) for op in ("reduce_sum", "reduce_max", "reduce_min")]
    digests = [registered(stubs, graph_message(text)).digest for text in texts]
    request = derivative_service_pb2.EvaluateRequest(call=call_of(digests[0], {"w": W}))
    assert refusal(lambda: stubs.derivatives.Evaluate(request)).info.reason == "GRAPH_NOT_REGISTERED"
    registered(stubs, graph_message(texts[0]))
    assert stubs.derivatives.Evaluate(request)
