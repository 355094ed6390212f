"""What a digest depends on, and what not."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradserve.ir.canonical import canonical, digest
from gradserve.ir.check import check
from gradserve.ir.graph import BlobRef, Graph, Input, Literal, Node, Origin, Output
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import OP_SET
from gradserve.ops.elementwise.arithmetic import Add
from gradserve.text.parsing import parse
from tests.ir.strategies import graphs

SMALL = settings(max_examples=100)
TEXT = """\
graph (%0 "w": f64[2,2], %1 "x": f64[2,2]) {
  %2: f64[2,2] = constant [[1.0, 2.0], [3.0, 4.0]]
  %3: f64[2,2] = mul %0, %2
  %4: f64[2,2] = mul %1, %2
  %5: f64[2,2] = add %3, %4
  %6: f64[2] = reduce_sum %5 {axes=[1]}
  return "y" %6
}"""


def scrambled(graph: Graph, dice: random.Random) -> Graph:
    """The same function with other numbers, in another order, with dead nodes and constants, and no origins."""
    inputs = len(graph.inputs)
    constants = [*graph.constants, *graph.constants[:2], Literal(np.array([dice.random()]))]
    positions = list(range(len(constants)))
    dice.shuffle(positions)
    number = dict(enumerate(range(inputs)))
    number |= {inputs + k: inputs + positions.index(k) for k in range(len(graph.constants))}
    values = {k: made for k, (_, made) in enumerate(graph.numbered_nodes())}
    nodes: list[Node] = []
    count = inputs + len(constants)
    while values:
        ready = [k for k in values if all(o in number for o in graph.nodes[k].operands)]
        k = dice.choice(ready)
        node = graph.nodes[k]
        for _ in range(1 + dice.randrange(2)):  # once for itself, perhaps once more for nobody
            operands = tuple(number[o] for o in node.operands)
            nodes.append(Node(node.op, operands, node.types, Origin("other.py", dice.randrange(1, 99))))
            number |= {value: count + j for j, value in enumerate(values[k])}
            count += len(node.types)
        del values[k]
    return Graph(
        inputs=graph.inputs,
        constants=tuple(constants[k] for k in positions),
        nodes=tuple(nodes),
        outputs=tuple(replace(output, value=number[output.value]) for output in graph.outputs),
    )


@SMALL
@given(graphs(), st.integers(0, 2**32))
def test_the_way_of_writing_a_graph_down_makes_no_difference(graph, seed):
    other = scrambled(graph, random.Random(seed))
    assert check(other) == []
    assert other.digest == graph.digest
    assert canonical(other) == canonical(graph)


@SMALL
@given(graphs())
def test_the_canonical_form_is_its_own(graph):
    form = canonical(graph)
    assert check(form) == []
    assert canonical(form) == form
    assert form.digest == graph.digest
    assert form.input_types == graph.input_types
    assert form.output_types == graph.output_types


CHANGES = {
    "an input's name": ('"x"', '"X"'),
    "an output's name": ('"y"', '"Y"'),
    "the order of inputs": ('%0 "w": f64[2,2], %1 "x"', '%0 "x": f64[2,2], %1 "w"'),
    "an element": ("4.0]]", "5.0]]"),
    "the last bit of an element": ("4.0]]", "4.000000000000001]]"),
    "an operand": ("mul %1, %2", "mul %0, %2"),
    "the order of operands": ("add %3, %4", "add %4, %3"),
    "an op": ("add %3, %4", "sub %3, %4"),
    "an attribute": ("axes=[1]", "axes=[0]"),
    "an output's value": ('"y" %6', '"y" %5'),
    "one output more": ('"y" %6', '"y" %6, "z" %5'),
    "the element type": ("f64", "f32"),
}


@pytest.mark.parametrize(("before", "after"), CHANGES.values(), ids=CHANGES)
def test_what_a_graph_computes_makes_a_difference(before, after):
    assert parse(TEXT.replace(before, after), OP_SET).digest != parse(TEXT, OP_SET).digest


def test_an_input_that_nothing_reads_makes_a_difference():
    scalar = TensorType(ElementType.FLOAT64)
    one = Graph((Input("x", scalar),), (), (), (Output("y", 0),))
    assert replace(one, inputs=(*one.inputs, Input("z", scalar))).digest != one.digest


def test_a_blob_is_the_constant_that_it_names():
    graph = parse(TEXT, OP_SET)
    (constant,) = graph.constants
    referring = replace(graph, constants=(BlobRef(constant.type, constant.digest),))
    assert referring.digest == graph.digest


def test_of_equal_constants_the_one_with_elements_is_kept():
    literal = Literal(np.ones(2))
    ref = BlobRef(literal.type, literal.digest)
    graph = Graph((), (ref, literal), (Node(Add(), (0, 1), (literal.type,)),), (Output("y", 2),))
    (kept,) = canonical(graph).constants
    assert kept is literal


def test_names_cannot_forge_another_graph():
    scalar = TensorType(ElementType.FLOAT64)
    one = Graph((Input('a" f64[]\ninput "b', scalar),), (), (), (Output("y", 0),))
    two = Graph((Input("a", scalar), Input("b", scalar)), (), (), (Output("y", 0),))
    assert digest(one) != digest(two)


def test_a_long_chain_is_no_recursion():
    scalar = TensorType(ElementType.FLOAT64)
    nodes = tuple(Node(Add(), (k, k), (scalar,)) for k in range(20_000))
    graph = Graph((Input("x", scalar),), (), nodes, (Output("y", 20_000),))
    assert canonical(graph) == graph


def test_the_digest_stays_what_it_was():
    # Digests are kept by clients and in caches: a change of the canonical form needs a new format line.
    assert parse(TEXT, OP_SET).digest == "ce52ff2a1f0aca6d5863e388395e553ba6b9d9698d5a1945a97ff3afb39aeacd"
