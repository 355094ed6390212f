"""Graphs that no client should send: refused with the right code, in words that name what is wrong."""

import grpc
import numpy as np
import pytest

from gradserve import wire
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.v1 import derivative_service_pb2 as pb
from gradserve.v1 import execution_pb2, graph_pb2, tensor_pb2
from tests.service.support import QUADRATIC, VECTOR, W, call_of, graph_message, refusal


@pytest.fixture(autouse=True)
def _then_serves_on(still_serves):
    """Whatever a test sends, the next call is answered."""


def gradient(stubs, call):
    return refusal(lambda: stubs.derivatives.Gradient(pb.GradientRequest(call=call)))


def changed(change, text=QUADRATIC):
    message = graph_message(text)
    change(message)
    return message


def deep(message):
    """A graph whose functions hold functions, a thousand deep."""
    data = b""
    for _ in range(1000):
        data = b"\x32" + varint(len(data)) + data
    return message.SerializeToString() + data


def varint(number):
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])


BAD_GRAPHS = {
    "unknown op": (lambda g: setattr(g.nodes[0], "op", "frobnicate"), "nodes[0].op", "frobnicate"),
    "operand from the future": (lambda g: g.nodes[0].operands.__setitem__(1, 2), "nodes[0].operands[1]", "%2"),
    "operand that is nowhere": (lambda g: g.nodes[0].operands.__setitem__(1, 99), "nodes[0].operands[1]", "%99"),
    "cycle": (lambda g: g.nodes[0].operands.__setitem__(0, 1), "nodes[0].operands[0]", "%1"),
    "wrong arity": (lambda g: g.nodes[0].operands.append(0), "nodes[0]", "mul (C0)"),
    "negative length": (lambda g: setattr(g.inputs[0].type.shape[0], "size", -3), "inputs[0].type", "-3"),
    "unknown attribute": (lambda g: g.nodes[0].attributes["x"].SetInParent(), 'nodes[0].attributes["x"]', "unknown"),
    "attribute that is not a number": (
        lambda g: g.nodes[1].attributes["axes"].MergeFrom(graph_pb2.Attribute(real=float("nan"))),
        'nodes[1].attributes["axes"]',
        "integers",
    ),
    "output of nothing": (lambda g: setattr(g.outputs[0], "value", 7), "outputs[0].value", "%7"),
    "two inputs of one name": (lambda g: g.inputs.append(g.inputs[0]), "inputs[1].name", "w"),
    "unknown element type": (
        lambda g: setattr(g.inputs[0].type, "element_type", 99),
        "inputs[0].type.element_type",
        "99",
    ),
    "no op set": (lambda g: setattr(g, "op_set_version", 0), "op_set_version", "op-set"),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_bad_graph(stubs, name):
    change, field, words = BAD_GRAPHS[name]
    refused = gradient(stubs, call_of(changed(change)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.info.reason == "INVALID_GRAPH"
    path = f"call.graph.inline.{field}"
    assert words in refused.violations[path]
    assert next(iter(refused.violations)) in refused.message


def test_shapes_that_differ(stubs):
    message = changed(lambda g: g.inputs.add(name="v", type=wire.encode_type(parse(VECTOR, OP_SET).inputs[0].type)))
    message.inputs[1].type.shape[0].size = 4
    message.nodes[0].operands[:] = [0, 1]
    message.nodes[1].operands[:] = [2]
    message.outputs[0].value = 3
    refused = gradient(stubs, call_of(message, {"w": W, "v": np.zeros(4)}))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    description = refused.violations["call.graph.inline.nodes[0]"]
    assert description.startswith("mul (C1): ")
    assert "f64[3]" in description
    assert "f64[4]" in description
    assert description.endswith("traced at loss.py:2")


def test_element_types_that_differ(stubs):
    message = changed(lambda g: g.inputs.add(name="v", type=wire.encode_type(parse(VECTOR, OP_SET).inputs[0].type)))
    message.inputs[1].type.element_type = tensor_pb2.ELEMENT_TYPE_FLOAT32
    message.nodes[0].operands[:] = [0, 1]
    message.nodes[1].operands[:] = [2]
    message.outputs[0].value = 3
    refused = gradient(stubs, call_of(message, {"w": W, "v": np.zeros(3, np.float32)}))
    assert "mul (C2)" in refused.violations["call.graph.inline.nodes[0]"]


def test_all_violations_of_a_graph_come_in_one_reply(stubs):
    message = graph_message()
    for _ in range(20):
        message.nodes.add(op="frobnicate", operands=[0])
    refused = gradient(stubs, call_of(message))
    assert len(refused.violations) == 20
    assert {f"call.graph.inline.nodes[{k}].op" for k in range(2, 22)} == set(refused.violations)
    assert "and 19 more" in refused.message


def test_violations_beyond_what_a_reply_holds_are_counted(stubs):
    message = graph_message()
    for _ in range(2000):
        message.nodes.add(op="frobnicate" * 3, operands=[0])
    refused = gradient(stubs, call_of(message))
    assert refused.info.metadata["violations"] == "2000"
    assert len(refused.violations) + int(refused.info.metadata["violations_left_out"]) == 2000
    assert len(refused.violations) >= 20


def test_graph_of_a_million_nodes(stubs):
    message = graph_message()
    data = message.nodes[0].SerializeToString()
    node = b"\x22" + varint(len(data)) + data
    call = call_of().SerializeToString()
    inline = message.SerializeToString() + node * 1_000_000
    ref = execution_pb2.GraphRef().SerializeToString() + b"\x0a" + varint(len(inline)) + inline
    call = b"\x0a" + varint(len(ref)) + ref
    refused = refusal(lambda: stubs.raw("DerivativeService/Gradient")(b"\x0a" + varint(len(call)) + call))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.limit == refused.info.metadata["limit"] == "graph_nodes"
    assert "1000002" in refused.message


def test_deep_nesting(stubs):
    inline = deep(graph_message())
    refused = refusal(lambda: stubs.raw("GraphService/RegisterGraph")(b"\x0a" + varint(len(inline)) + inline))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "nesting" in refused.message


def test_functions_that_no_op_takes(stubs):
    refused = gradient(stubs, call_of(changed(lambda g: g.functions.add().CopyFrom(graph_message()))))
    assert "call.graph.inline.functions[0]" in refused.violations


def test_newer_op_set(stubs):
    refused = gradient(stubs, call_of(changed(lambda g: setattr(g, "op_set_version", 1000))))
    assert refused.code is grpc.StatusCode.UNIMPLEMENTED
    assert refused.info.reason == "OP_SET_NOT_SUPPORTED"
    assert "1000" in refused.message
