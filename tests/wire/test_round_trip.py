"""decode(encode(g)) == g and parse(to_text(g)) == g, for graphs over all ops, and a proof that the laws can fail."""

import pytest
from hypothesis import given, settings

from gradserve.ir.check import check
from gradserve.ir.graph import BlobRef, Graph, Literal
from gradserve.ops import OP_SET, builder
from gradserve.text.parsing import parse
from gradserve.text.printing import to_text
from gradserve.v1 import graph_pb2
from gradserve.wire import decode_graph, decode_signature, encode_graph, encode_signature, large_constants
from gradserve.wire import graph_decode as decode
from tests.ir.strategies import applications, graphs
from tests.rows import in_one

SMALL = settings(max_examples=100)

TEXT = """\
graph (%0 "w": f64[3], %1 "x": f64[n,3]) {
  %2: f64[3] = constant [1.0, 2.0, 3.0]
  %3: f64[3] = mul %0, %2  # loss.py:3
  %4: f64[n,3] = broadcast_to %3 {shape=[n,3]}
  %5: f64[n,3] = mul %4, %1
  %6: f64[n] = reduce_sum %5 {axes=[1]}  # loss.py:5
  %7: f32[n] = convert %6 {element_type=f32}
  return "y" %7, "z" %3
}"""


def assert_survives_the_wire(graph: Graph) -> None:
    wire = encode_graph(graph).SerializeToString()
    decoded = decode_graph(graph_pb2.Graph.FromString(wire), OP_SET)
    assert decoded == graph
    assert [node.origin for node in decoded.nodes] == [node.origin for node in graph.nodes]


def assert_survives_text(graph: Graph) -> None:
    parsed = parse(to_text(graph), OP_SET)
    assert parsed == graph
    assert to_text(parsed) == to_text(graph)


@SMALL
@given(graphs(internal=False))
def test_encoding_loses_nothing(graph):
    assert_survives_the_wire(graph)


@SMALL
@given(graphs())
def test_text_loses_nothing(graph):
    assert_survives_text(graph)


@SMALL
@given(graphs())
def test_what_the_builder_makes_is_correct(graph):
    assert check(graph) == []


@SMALL
@given(graphs(internal=False))
def test_blobs_hold_what_does_not_travel_inline(graph):
    message = encode_graph(graph, inline_limit=0)
    kept = {digest: array.tobytes() for digest, array in large_constants(graph, inline_limit=0).items()}
    assert all(constant.inline == b"" for constant in message.constants)
    whole = decode_graph(message, OP_SET, kept.get)
    assert whole == graph
    assert all(isinstance(constant, Literal) for constant in whole.constants)
    referring = decode_graph(message, OP_SET)
    assert referring == graph
    assert referring.digest == graph.digest
    assert all(isinstance(c, BlobRef) or not c.array.size for c in referring.constants)


@SMALL
@given(graphs())
def test_a_signature_survives_the_wire(graph):
    signature = decode_signature(encode_signature(graph))
    assert signature.inputs == graph.input_types
    assert signature.outputs == graph.output_types


@in_one
@pytest.mark.parametrize("op", list(OP_SET), ids=lambda op: op.name)
def test_every_application_of_every_op_survives_both_ways(op):
    for applied, types in applications(op):
        g = builder()
        operands = [g.input(f"x{k}", type_) for k, type_ in enumerate(types)]
        graph = g.build({f"y{k}": result for k, result in enumerate(g.apply(applied, operands))})
        assert_survives_text(graph)
        if not op.internal:
            assert_survives_the_wire(graph)


def test_symbols_survive_both_ways():
    graph = parse(TEXT, OP_SET)
    assert to_text(graph) == TEXT
    assert_survives_the_wire(graph)
    assert_survives_text(graph)


def test_a_planted_fault_in_decoding_breaks_the_law(monkeypatch):
    def forgetful(self: decode._Reading, path: str, message: graph_pb2.Attribute, case: str) -> object:
        return tuple(reversed(message.integers.values)) if case == "integers" else original(self, path, message, case)

    original = decode._Reading.attribute
    graph = parse('graph (%0 "x": f64[2,2]) {\n%1: f64[2,2] = permute %0 {order=[0,1]}\nreturn "y" %1\n}', OP_SET)
    assert_survives_the_wire(graph)
    monkeypatch.setattr(decode._Reading, "attribute", forgetful)
    with pytest.raises(AssertionError):
        assert_survives_the_wire(graph)


def test_a_planted_fault_in_printing_breaks_the_law(monkeypatch):
    graph = parse('graph () {\n%0: f64[] = constant 0.1\nreturn "y" %0\n}', OP_SET)
    assert_survives_text(graph)
    monkeypatch.setattr("gradserve.text.printing._real", lambda array: f"{float(array):.3e}0000001")
    with pytest.raises(AssertionError):
        assert_survives_text(graph)
