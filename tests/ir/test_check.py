"""Rules of graphs that were made in Python, where a message could not even say what is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from gradserve.ir.check import CONSTRAINTS, check
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import BlobRef, Graph, Input, Literal, Node, Origin, Output
from gradserve.ir.limits import GraphLimits
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, Symbol, TensorType
from gradserve.ops import OP_SET
from gradserve.ops.elementwise.arithmetic import Add, Mul
from gradserve.ops.movement.shapes import BroadcastTo, Permute

F64, BOOL = ElementType.FLOAT64, ElementType.BOOL
VECTOR = TensorType(F64, (3,))
GRAPH = Graph(
    inputs=(Input("w", VECTOR),),
    constants=(Literal(np.ones(3)),),
    nodes=(Node(Mul(), (0, 1), (VECTOR,), Origin("loss.py", 3)), Node(Add(), (2, 0), (VECTOR,))),
    outputs=(Output("y", 3),),
)


@dataclass(frozen=True)
class Scale(Add):
    """An op with a number for an attribute, outside the op set."""

    name = "scale"
    factor: float = 1.0


def found(graph: Graph) -> list[tuple[str, str]]:
    return [(v.field, v.constraint) for v in check(graph)]


def with_node(node: Node) -> Graph:
    return replace(GRAPH, nodes=(node, GRAPH.nodes[1]))


def test_a_correct_graph_has_no_violations():
    assert check(GRAPH) == []


@pytest.mark.parametrize("operand", [-1, 4, 2**40])
def test_an_operand_that_is_no_value(operand):
    assert found(with_node(Node(Mul(), (0, operand), (VECTOR,)))) == [("nodes[0].operands[1]", "G1")]


@pytest.mark.parametrize("operand", [2, 3])
def test_an_operand_that_is_not_made_yet(operand):
    assert found(with_node(Node(Mul(), (0, operand), (VECTOR,)))) == [("nodes[0].operands[1]", "G2")]


def test_an_output_that_is_no_value():
    assert found(replace(GRAPH, outputs=(Output("y", -1), Output("z", 4)))) == [
        ("outputs[0].value", "G3"),
        ("outputs[1].value", "G3"),
    ]


def test_an_empty_graph_lacks_an_output():
    assert found(Graph((), (), (), ())) == [("outputs", "G4")]


def test_inputs_and_outputs_may_share_a_name():
    assert found(replace(GRAPH, outputs=(Output("w", 0), Output("y", 0)))) == []


@pytest.mark.parametrize("name", ["", "a\tb", "a\x7f", "a\u2028b", "\ud800"])
def test_names_that_nobody_can_read(name):
    graph = replace(GRAPH, inputs=(Input(name, VECTOR),))
    assert found(graph) == [("inputs[0].name", "G6")]
    assert [v.constraint for v in check(graph, derived=True)] == ["G6"]


def test_names_of_derived_graphs_hold_a_colon():
    graph = replace(GRAPH, outputs=(Output("gradient:w", 3),))
    assert found(graph) == [("outputs[0].name", "G6")]
    assert check(graph, derived=True) == []


@pytest.mark.parametrize(
    ("shape", "constraint"),
    [
        ((1,) * 33, "G8"),
        ((-1,), "G8"),
        ((2**31, 2**28), "G8"),
        ((2**40, 0, 2**40), "G8"),
        ((Symbol("n"), 2**60), "G8"),
        ((Symbol("1n"),), "G9"),
        ((Symbol("n" * 65),), "G9"),
    ],
)
def test_shapes_that_no_array_has(shape, constraint):
    graph = Graph((Input("x", TensorType(F64, shape)),), (), (), (Output("x", 0),))
    assert found(graph) == [("inputs[0].type", constraint)]


@pytest.mark.parametrize("shape", [(1,) * 32, (0,), (2**58,), (0, 2**58), (Symbol("_n1"), 2)])
def test_shapes_that_some_array_has(shape):
    assert found(Graph((Input("x", TensorType(F64, shape)),), (), (), (Output("x", 0),))) == []


def test_declared_types_are_those_that_the_op_infers():
    assert found(with_node(Node(Mul(), (0, 1), (TensorType(F64, (4,)),)))) == [
        ("nodes[0].types[0]", "G10"),
        ("nodes[1]", "add (C1)"),
    ]


def test_a_node_without_results():
    graph = replace(GRAPH, nodes=(Node(Mul(), (0, 1), ()),), outputs=(Output("y", 0),))
    assert found(graph) == [("nodes[0].types", "G10")]


def test_a_node_without_results_of_operands_whose_lengths_are_unknown():
    symbolic = TensorType(F64, (Symbol("n"),))
    graph = replace(GRAPH, inputs=(Input("w", symbolic),), nodes=(Node(Add(), (0, 0), ()),), outputs=(Output("y", 0),))
    assert found(graph) == [("nodes[0].types", "G10")]


def test_constants_have_numbers_and_digests():
    refs = (BlobRef(TensorType(F64, (Symbol("n"),)), "a" * 64), BlobRef(VECTOR, "a" * 63))
    graph = Graph((), refs, (), (Output("y", 0),))
    assert found(graph) == [("constants[1]", "G11"), ("constants[0]", "G11")]


@pytest.mark.parametrize(
    ("op", "attribute"),
    [(Permute(order=(2**63,)), "order"), (Permute(order=(0,) * 33), "order"), (Scale(factor=float("nan")), "factor")],
)
def test_attributes_that_no_graph_can_carry(op, attribute):
    operands = (0,) if isinstance(op, Permute) else (0, 1)
    assert found(with_node(Node(op, operands, (VECTOR,)))) == [(f'nodes[0].attributes["{attribute}"]', "G13")]


@pytest.mark.parametrize("origin", [Origin("", 1), Origin("loss.py", 0), Origin("a\nb", 1), Origin("a", 2**32)])
def test_origins_that_name_no_line(origin):
    assert found(with_node(replace(GRAPH.nodes[0], origin=origin))) == [("nodes[0].origin", "G15")]


def test_the_rule_of_an_op_is_named_with_types_and_source():
    graph = with_node(Node(Mul(), (0, 0, 1), (VECTOR,), Origin("loss.py", 7)))
    (violation,) = check(graph)
    assert str(violation) == (
        "nodes[0]: mul (C0): mul takes 2 operands, not 3; "
        "operands are %0: f64[3], %0: f64[3], %1: f64[3]; traced at loss.py:7"
    )


def test_a_thousand_operands_are_not_all_shown():
    (violation,) = check(with_node(Node(Mul(), (0,) * 1000, (VECTOR,))))
    assert violation.description.endswith("%0: f64[3] and 992 more")


def test_types_wait_until_symbols_are_bound():
    rows = TensorType(F64, (Symbol("n"),))
    graph = Graph(
        inputs=(Input("x", rows), Input("w", VECTOR)),
        constants=(),
        nodes=(
            Node(Mul(), (0, 1), (rows,)),
            Node(BroadcastTo(shape=(Symbol("n"), 3)), (1,), (TensorType(F64, (Symbol("n"), 3)),)),
            Node(Add(), (1, 9), (VECTOR,)),
        ),
        outputs=(Output("y", 2),),
    )
    assert found(graph) == [("nodes[2].operands[1]", "G1")]


def test_what_is_known_in_a_graph_with_symbols_is_checked():
    graph = Graph(
        inputs=(Input("x", TensorType(F64, (Symbol("n"),))), Input("w", VECTOR)),
        constants=(),
        nodes=(Node(Add(), (1, 1), (TensorType(F64, (Symbol("n"),)),)),),
        outputs=(Output("y", 2),),
    )
    assert found(graph) == [("nodes[0].types[0]", "G10")]


def test_limits_come_first():
    broken = replace(GRAPH, outputs=())
    with pytest.raises(LimitExceeded, match="nodes of the graph: 2; the limit is 1") as caught:
        check(broken, limits=GraphLimits(nodes=1))
    assert caught.value.limit == "graph_nodes"
    assert [v.constraint for v in check(broken, limits=GraphLimits())] == ["G4"]
    for name in ("values", "operands", "name_length", "inline_bytes", "constants"):
        with pytest.raises(LimitExceeded, match=name.replace("_", " ")):
            check(GRAPH, limits=GraphLimits(**{name: 0}))


def test_every_rule_is_described():
    assert list(CONSTRAINTS) == [f"G{k}" for k in range(1, len(CONSTRAINTS) + 1)]
    assert all(OP_SET.find(name) for name in ("mul", "add", "permute", "broadcast_to"))
