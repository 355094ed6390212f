"""A corpus of bad messages, each with exactly the violations that must be found in it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gradserve.ir.errors import BlobNotFound, InvalidGraph, LimitExceeded, UnsupportedOpSet
from gradserve.ir.limits import GraphLimits
from gradserve.ir.types import type_of
from gradserve.ops import OP_SET, builder
from gradserve.text.parsing import parse
from gradserve.text.printing import to_text
from gradserve.v1 import graph_pb2, tensor_pb2
from gradserve.wire import decode_graph, encode_graph

TEXT = """\
graph (%0 "w": f64[3], %1 "x": f64[2,3]) {
  %2: f64[3] = constant [1.0, 2.0, 3.0]
  %3: bool[2] = constant [true, false]
  %4: f64[3] = mul %0, %2  # loss.py:3
  %5: f64[2,3] = broadcast_to %4 {shape=[2,3]}  # loss.py:4
  %6: f64[2,3] = mul %5, %1
  %7: f64[2] = reduce_sum %6 {axes=[1]}
  %8: f32[2] = convert %7 {element_type=f32}
  return "y" %8, "flag" %3
}"""
MUL, BROADCAST, _, SUM, CONVERT = range(5)
DIGEST = "0123456789abcdef" * 4


def message() -> graph_pb2.Graph:
    return encode_graph(parse(TEXT, OP_SET))


def attribute(node, name, **value):
    def change(m):
        m.nodes[node].attributes[name].CopyFrom(graph_pb2.Attribute(**value))

    return change


def assign(path, **values):
    """Assigns fields of the part of a message that `path` leads to, such as `nodes.0.types.0`."""

    def change(m):
        part = m
        for step in path.split(".") if path else []:
            part = part[int(step)] if step.isdigit() else getattr(part, step)
        for name, value in values.items():
            field = getattr(part, name)
            if hasattr(field, "extend"):
                del field[:]
                field.extend(value)
            else:
                setattr(part, name, value)

    return change


def unstated_axis(m):
    m.inputs[0].type.shape.add()


def forgotten_attribute(m):
    m.nodes[SUM].attributes.clear()


def symbol_named(name):
    return lambda m: setattr(m.inputs[0].type.shape[0], "symbol", name)


def function_table(m):
    m.functions.add().CopyFrom(message())


def two_origins(m):
    m.origins.add(node=MUL, file="loss.py", line=9)


def no_payload(m):
    m.constants[0].ClearField("inline")


def many_axes(m):
    m.inputs[0].type.shape.extend([tensor_pb2.Dimension(size=1)] * 40)


def extra_result(m):
    m.nodes[CONVERT].types.add(element_type=tensor_pb2.ELEMENT_TYPE_BOOL)


INTEGERS = graph_pb2.Integers
REFUSED = {
    "op set not stated": (assign("", op_set_version=0), ("op_set_version", "G16", "write 1")),
    "unknown op": (assign("nodes.2", op="mull"), ("nodes[2].op", "G12", "has no op 'mull'")),
    "operand from the future": (
        assign("nodes.0", operands=[0, 6]),
        ("nodes[0].operands[1]", "G2", "%6 is not known yet where %4 is made"),
    ),
    "operand is the node itself": (assign("nodes.0", operands=[4, 2]), ("nodes[0].operands[0]", "G2", "%4")),
    "operand out of range": (
        assign("nodes.0", operands=[0, 4_000_000_000]),
        ("nodes[0].operands[1]", "G1", "no value %4000000000; the graph's values are %0 to %8"),
    ),
    "too few operands": (assign("nodes.0", operands=[0]), ("nodes[0]", "mul (C0)", "operands are %0: f64[3]; traced")),
    "shapes differ": (
        assign("nodes.2", operands=[4, 1]),
        ("nodes[2]", "mul (C1)", "operands are %4: f64[3], %1: f64[2,3]"),
    ),
    "element types differ": (
        assign("inputs.1.type", element_type=tensor_pb2.ELEMENT_TYPE_FLOAT32),
        ("nodes[2]", "mul (C2)", "operands are %5: f64[2,3], %1: f32[2,3]"),
    ),
    "declared type is another": (
        assign("nodes.3.types.0", element_type=tensor_pb2.ELEMENT_TYPE_FLOAT32),
        ("nodes[3].types[0]", "G10", "reduce_sum gives f64[2], not f32[2]; operands are %6: f64[2,3]"),
    ),
    "too many results": (extra_result, ("nodes[4].types", "G10", "convert gives f32[2]; 2 types are declared")),
    "element type not stated": (
        assign("inputs.0.type", element_type=0),
        ("inputs[0].type.element_type", "G7", "the element type is not stated"),
    ),
    "element type unknown": (
        assign("nodes.1.types.0", element_type=8),
        ("nodes[1].types[0].element_type", "G7", "8 is no element type; write 1 for bool"),
    ),
    "length not stated": (unstated_axis, ("inputs[0].type.shape[1]", "G7", "the length is not stated")),
    "length negative": (
        assign("inputs.0.type.shape.0", size=-3),
        ("inputs[0].type", "G8", "axis 0 has the length -3"),
    ),
    "length huge": (assign("inputs.0.type.shape.0", size=2**60), ("inputs[0].type", "G8", "2**62 bytes")),
    "too many axes": (many_axes, ("inputs[0].type.shape", "G8", "more than 32 axes")),
    "symbol empty": (symbol_named(""), ("inputs[0].type", "G9", "letters, digits and underscores")),
    "symbol with a space": (symbol_named("n rows"), ("inputs[0].type", "G9", "'n rows'")),
    "constant too short": (
        assign("constants.0", inline=b"\0" * 23),
        ("constants[0].inline", "G11", "23 bytes are not the 24 of f64[3]"),
    ),
    "truth value of two": (assign("constants.1", inline=b"\1\2"), ("constants[1].inline", "G11", "other than 0 and 1")),
    "constant of negative length": (assign("constants.0", shape=[-1]), ("constants[0].shape", "G8", "length -1")),
    "constant of unknown type": (
        assign("constants.0", element_type=99),
        ("constants[0].element_type", "G7", "99 is no element type"),
    ),
    "constant without elements": (no_payload, ("constants[0]", "G11", "neither elements nor")),
    "blob by another name": (assign("constants.0", blob="abc"), ("constants[0].blob", "G11", "'abc' is not a SHA-256")),
    "blob in capitals": (assign("constants.0", blob="A" * 64), ("constants[0].blob", "G11", "lower-case")),
    "name empty": (assign("inputs.0", name=""), ("inputs[0].name", "G6", "missing")),
    "name with a colon": (assign("inputs.0", name="tangent:x"), ("inputs[0].name", "G6", "colon")),
    "name with a control character": (assign("outputs.0", name="a\nb"), ("outputs[0].name", "G6", "'a\\nb'")),
    "inputs of one name": (assign("inputs.1", name="w"), ("inputs[1].name", "G5", "inputs[0]")),
    "outputs of one name": (assign("outputs.1", name="y"), ("outputs[1].name", "G5", "outputs[0]")),
    "output out of range": (assign("outputs.1", value=9), ("outputs[1].value", "G3", "%0 to %8")),
    "no output": (assign("", outputs=[]), ("outputs", "G4", "no output")),
    "attribute missing": (forgotten_attribute, ("nodes[3].attributes", "reduce_sum (A2)", "axes is missing")),
    "attribute unknown": (
        attribute(SUM, "keepdims", boolean=True),
        ('nodes[3].attributes["keepdims"]', "reduce_sum (A1)", "reduce_sum has axes"),
    ),
    "attribute of a plain op": (
        attribute(MUL, "axis", integer=0),
        ('nodes[0].attributes["axis"]', "mul (A1)", "mul has none"),
    ),
    "attribute empty": (attribute(SUM, "axes"), ('nodes[3].attributes["axes"]', "reduce_sum (A3)", "not empty")),
    "attribute of another kind": (
        attribute(SUM, "axes", integer=1),
        ('nodes[3].attributes["axes"]', "reduce_sum (A3)", "must be integers, not integer"),
    ),
    "shape as plain integers": (
        attribute(BROADCAST, "shape", integers=INTEGERS(values=[2, 3])),
        ('nodes[1].attributes["shape"]', "broadcast_to (A3)", "must be lengths, not integers"),
    ),
    "element type attribute unknown": (
        attribute(CONVERT, "element_type", element_type=17),
        ('nodes[4].attributes["element_type"]', "G7", "17 is no element type"),
    ),
    "list attribute too long": (
        attribute(SUM, "axes", integers=INTEGERS(values=range(33))),
        ('nodes[3].attributes["axes"]', "G13", "33 entries"),
    ),
    "shape attribute negative": (
        attribute(BROADCAST, "shape", lengths=graph_pb2.Lengths(values=[{"size": -2}, {"size": -3}])),
        [('nodes[1].attributes["shape"]', "G13", "length -2"), ('nodes[1].attributes["shape"]', "G13", "length -3")],
    ),
    "axis out of range": (
        attribute(SUM, "axes", integers=INTEGERS(values=[5])),
        ("nodes[3]", "reduce_sum (C1)", "operands are %6: f64[2,3]"),
    ),
    "functions": (function_table, ("functions[0]", "G14", "leave it out")),
    "node with functions": (assign("nodes.0", functions=[0]), ("nodes[0].functions", "G14", "leave them out")),
    "origin of no node": (assign("origins.0", node=5), ("origins[0].node", "G15", "no node 5; the graph has 5")),
    "two origins of one node": (two_origins, ("origins[2].node", "G15", "node 0 has an origin already")),
    "origin without a file": (assign("origins.1", file=""), ("origins[1]", "G15", "not a file name")),
    "origin before the first line": (assign("origins.1", line=0), ("origins[1]", "G15", "counted from 1")),
}


def refusal(m: graph_pb2.Graph) -> InvalidGraph:
    with pytest.raises(InvalidGraph) as caught:
        decode_graph(m, OP_SET)
    return caught.value


def test_the_message_of_the_corpus_is_correct():
    assert decode_graph(message(), OP_SET) == parse(TEXT, OP_SET)


@pytest.mark.parametrize(("change", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_bad_message_is_refused_for_its_fault_alone(change, expected):
    m = message()
    change(m)
    found = refusal(m).violations
    wanted = expected if isinstance(expected, list) else [expected]
    assert [(v.field, v.constraint) for v in found] == [(field, constraint) for field, constraint, _ in wanted]
    for violation, (_, _, description) in zip(found, wanted, strict=True):
        assert description in str(violation)


def test_all_violations_are_found_at_once():
    m = message()
    faults = ["unknown op", "operand out of range", "name empty", "constant too short", "no output", "functions"]
    for fault in faults:
        REFUSED[fault][0](m)
    found = {(v.field, v.constraint) for v in refusal(m).violations}
    assert found == {REFUSED[fault][1][:2] for fault in faults}


def test_several_faults_of_one_node_are_all_found():
    m = message()
    m.nodes[SUM].operands[:] = [77]
    attribute(SUM, "axes", integer=1)(m)
    attribute(SUM, "more", word="?")(m)
    m.nodes[SUM].types[0].ClearField("element_type")
    assert sorted(v.constraint for v in refusal(m).violations) == ["G1", "G7", "reduce_sum (A1)", "reduce_sum (A3)"]


def test_a_violation_names_the_source_line():
    m = message()
    m.nodes[MUL].operands[:] = [0, 3]
    (violation,) = refusal(m).violations
    assert (violation.constraint, violation.source) == ("mul (C1)", "loss.py:3")


def test_violations_beyond_fifty_are_counted():
    m = message()
    for _ in range(80):
        m.nodes.add(op="nothing")
    refused = refusal(m)
    assert (len(refused.violations), refused.omitted) == (50, 30)


def test_a_newer_op_set_is_not_supported():
    m = message()
    m.op_set_version = OP_SET.version + 1
    with pytest.raises(UnsupportedOpSet, match=f"up to {OP_SET.version}"):
        decode_graph(m, OP_SET)


def test_missing_blobs_are_all_named():
    m = message()
    for k, constant in enumerate(m.constants):
        constant.blob = f"{k:064x}"
    with pytest.raises(BlobNotFound) as caught:
        decode_graph(m, OP_SET, lambda digest: None)
    assert caught.value.digests == (f"{0:064x}", f"{1:064x}")


def test_a_blob_that_does_not_fit_is_refused():
    m = message()
    m.constants[0].blob = DIGEST
    with pytest.raises(InvalidGraph) as caught:
        decode_graph(m, OP_SET, {DIGEST: b"short"}.get)
    assert [v.field for v in caught.value.violations] == ["constants[0].blob"]


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("nodes", 4),
        ("inputs", 1),
        ("outputs", 1),
        ("constants", 1),
        ("values", 8),
        ("operands", 6),
        ("origins", 1),
        ("name_length", 6),
        ("inline_bytes", 25),
    ],
)
def test_a_graph_over_a_limit_is_refused_by_its_name(name, limit):
    assert decode_graph(message(), OP_SET, limits=GraphLimits(**{name: limit + 3}))
    with pytest.raises(LimitExceeded) as caught:
        decode_graph(message(), OP_SET, limits=GraphLimits(**{name: limit}))
    assert caught.value.limit == f"graph_{name}"


INTERNAL = [op for op in OP_SET if op.internal]


@pytest.mark.parametrize("op", INTERNAL, ids=lambda op: op.name)
def test_an_internal_op_is_refused_as_such(op):
    g = builder()
    sample = next(op.samples())
    results = g.apply(sample.op, [g.input(f"x{k}", type_of(x)) for k, x in enumerate(sample.operands)])
    graph = g.build({"y": results[0]})
    (violation,) = refusal(encode_graph(graph)).violations
    assert (violation.field, violation.constraint) == ("nodes[0].op", "G12")
    assert f"{op.name} is internal" in violation.description
    assert parse(to_text(graph), OP_SET) == graph


def test_functions_hold_no_internal_op():
    m = encode_graph(parse(TEXT, OP_SET))
    function_table(m)
    m.nodes.add(op="cond", functions=[0, 0], operands=[3, 0])
    m.functions[0].nodes.add(op="lu", operands=[0])
    assert "functions[0].nodes[5].op" in {v.field for v in refusal(m).violations}


def test_some_ops_are_internal():
    assert {op.name for op in INTERNAL} >= {"lu", "rotation", "spectrum_cotangent"}


class Lines:
    """How many lines of Python have been run."""

    count = 0


@contextmanager
def lines_run() -> Iterator[Lines]:
    """Counts those that are run within it: what does not depend on how busy the machine is."""
    lines, before = Lines(), sys.gettrace()

    def trace(_frame: Any, event: str, _argument: Any) -> Any:
        lines.count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)


def test_a_million_nodes_are_refused_at_once():
    m = graph_pb2.Graph.FromString(b"\x08\x01" + b"\x22\x00" * 1_000_000)
    assert len(m.nodes) == 1_000_000
    with lines_run() as lines, pytest.raises(LimitExceeded):
        decode_graph(m, OP_SET)
    assert lines.count < 1000


def test_a_long_chain_is_decoded_by_work_that_grows_with_it():
    def chain(count: int) -> Any:
        m = message()
        for k in range(count):
            m.nodes.add().CopyFrom(m.nodes[MUL])
            m.nodes[-1].operands[:] = [4 if k == 0 else 8 + k, 2]
        return m

    def decoded(m: Any) -> int:
        with lines_run() as lines:
            graph = decode_graph(m, OP_SET)
        assert len(graph.nodes) == len(m.nodes)
        return lines.count

    short, long = map(chain, (500, 4000))
    decoded(short)  # what is made once and kept
    assert decoded(long) < 8.5 * decoded(short)
