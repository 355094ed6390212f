"""Functions that nodes call: their text, their message, their part in the digest, and what is refused."""

from __future__ import annotations

import pytest

from gradserve.ir.check import check
from gradserve.ir.errors import InvalidGraph, LimitExceeded
from gradserve.ir.limits import GraphLimits
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.text.printing import to_text
from gradserve.v1 import graph_pb2
from gradserve.wire import decode_graph, encode_graph

TEXT = """\
function @0 (%0 "x0": f64[]) {
  %1: f64[] = sin %0  # loss.py:3
  return "y0" %1
}
function @1 (%0 "x0": f64[]) {
  %1: bool[] = constant true
  %2: f64[] = cond %1, %0 {otherwise=@0, then=@0}
  return "y0" %2
}
graph (%0 "p": bool[], %1 "x": f64[]) {
  %2: f64[] = cond %0, %1 {otherwise=@0, then=@1}
  return "y" %2
}"""


def message():
    return encode_graph(parse(TEXT, OP_SET))


def violations(m):
    with pytest.raises(InvalidGraph) as caught:
        decode_graph(m, OP_SET)
    return {(v.field, v.constraint) for v in caught.value.violations}


def test_text_round_trip():
    graph = parse(TEXT, OP_SET)
    assert to_text(graph) == TEXT
    assert [len(f.functions) for f in graph.functions] == [0, 1]


def test_message_round_trip():
    graph = decode_graph(message(), OP_SET)
    assert to_text(graph) == TEXT
    assert graph.digest == parse(TEXT, OP_SET).digest
    assert len(message().functions) == 2
    assert not any(f.functions for f in message().functions)


def test_the_digest_covers_functions():
    assert parse(TEXT.replace("sin", "cos"), OP_SET).digest != parse(TEXT, OP_SET).digest
    assert parse(TEXT.replace("loss.py:3", "other.py:9"), OP_SET).digest == parse(TEXT, OP_SET).digest


def test_a_correct_graph_has_no_violations():
    assert check(parse(TEXT, OP_SET)) == []


def forward(m):
    m.functions[1].nodes[0].functions[0] = 1


def beyond(m):
    m.nodes[0].functions[1] = 7


def too_few(m):
    del m.nodes[0].functions[1]


def fault_inside(m):
    m.functions[0].nodes[0].operands[0] = 5


def table_inside(m):
    m.functions[1].functions.add().CopyFrom(m.functions[0])


def other_types(m):
    m.functions[0].inputs[0].type.shape.add(size=3)
    m.functions[0].nodes[0].types[0].shape.add(size=3)


def symbol(m):
    other_types(m)
    m.functions[0].inputs[0].type.shape[0].symbol = "n"
    m.functions[0].nodes[0].types[0].shape[0].symbol = "n"


REFUSED = {
    "a function that calls itself": (forward, ("functions[1].nodes[0].functions[0]", "G14")),
    "a function that is not there": (beyond, ("nodes[0].functions[1]", "G14")),
    "too few functions": (too_few, ("nodes[0].functions", "G14")),
    "a fault in a function": (fault_inside, ("functions[0].nodes[0].operands[0]", "G1")),
    "a table in a function": (table_inside, ("functions[1].functions", "G14")),
    "operands of other types": (other_types, ("functions[1].nodes[0]", "cond (C2)")),
    "a symbol": (symbol, ("functions[0].inputs[0].type", "G14")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_coordinates(name):
    fault, expected = REFUSED[name]
    m = message()
    fault(m)
    assert expected in violations(m)


def test_constants_of_functions_travel_with_them():
    m = message()
    constant = m.functions[1].constants[0]
    constant.ClearField("inline")
    constant.blob = "0" * 64
    assert ("functions[1].constants[0]", "G14") in violations(m)


def chain(length):
    """Functions that each call the one before twice."""
    m = message()
    del m.functions[1:]
    for k in range(length):
        m.functions.add().CopyFrom(message().functions[1])
        m.functions[-1].nodes[0].functions[:] = [k, k]
    m.nodes[0].functions[:] = [length, length]
    return m


@pytest.mark.parametrize(
    ("limits", "name"), [(GraphLimits(depth=8, nodes=2**50), "depth"), (GraphLimits(depth=99), "nodes")]
)
def test_nesting_is_limited_before_any_work(limits, name):
    with pytest.raises(LimitExceeded) as caught:
        decode_graph(chain(40), OP_SET, limits=limits)
    assert caught.value.limit == f"graph_{name}"


def test_nesting_below_the_limit_is_taken():
    graph = decode_graph(chain(6), OP_SET)
    assert len(graph.functions) == 7
    assert parse(to_text(graph), OP_SET).digest == graph.digest


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("function @1", "function @2", "must be @1"),
        ("then=@1", "then=@2", "A4"),
        ("then=@1", "then=3", "A4"),
        (", then=@1", "", "A4"),
        ('%0 "x0": f64[]) {\n  %1: f64[] = sin %0', '%0 "x0": f64[n]) {\n  %1: f64[n] = sin %0', "symbol"),
    ],
)
def test_text_that_is_no_graph(old, new, text):
    assert old in TEXT
    with pytest.raises(InvalidGraph, match=text):
        parse(TEXT.replace(old, new, 1), OP_SET)


def test_a_table_of_functions_nobody_calls():
    m = message()
    m.functions.add().CopyFrom(m.functions[0])
    assert violations(m) == {("functions[2]", "G14")}


def test_a_function_needs_a_table():
    m = graph_pb2.Graph.FromString(message().SerializeToString())
    del m.functions[:]
    assert ("nodes[0].functions[0]", "G14") in violations(m)
