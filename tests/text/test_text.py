"""The text form: what it looks like, and what is said about text that is no graph."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from gradserve.ir.errors import InvalidGraph
from gradserve.ir.graph import BlobRef, Graph, Input, Literal, Origin, Output
from gradserve.ir.types import ElementType, Symbol, TensorType
from gradserve.ops import OP_SET, builder
from gradserve.ops.movement.placement import Concatenate
from gradserve.text import printing
from gradserve.text.parsing import parse
from gradserve.text.printing import constant_text, excerpt, to_text
from tests.ir.strategies import arrays

F64 = ElementType.FLOAT64
DIGEST = "0123456789abcdef" * 4
TEXT = """\
graph (%0 "w": f64[3,3], %1 "layers.0 \\"b\\"": f64[3]) {
  %2: f64[2] = constant [0.5, -inf]
  %3: f32[100] = constant blob 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  %4: f64[], %5: f64[] = slogdet %0  # a: b.py:31
  %6: f64[3,3] = permute %0 {order=[1,0]}
  %7: i64[4] = iota {element_type=i64, length=4}
  %8: f64[3] = contract %6, %1 {lhs_batch=[], lhs_contract=[1], rhs_batch=[], rhs_contract=[0]}
  return "y" %8, "gradient:w" %6, "l" %5, "i" %7, "c" %2, "d" %3
}"""


def test_the_form_is_read_and_written():
    graph = parse(TEXT, OP_SET)
    assert to_text(graph) == TEXT
    assert graph.nodes[0].origin == Origin("a: b.py", 31)
    assert [len(node.types) for node in graph.nodes] == [2, 1, 1, 1]
    assert graph.constants[1] == BlobRef(TensorType(ElementType.FLOAT32, (100,)), DIGEST)
    assert graph.inputs[1].name == 'layers.0 "b"'


def test_what_the_builder_makes_reads_well():
    g = builder()
    x = g.input("x", TensorType(F64, (2, 3)))
    g.origin = Origin("loss.py", 31)
    text = to_text(g.build({"loss": g.reduce_sum(x * x + 0.5, axes=(0, 1))}))
    assert text == (
        'graph (%0 "x": f64[2,3]) {\n'
        "  %1: f64[] = constant 0.5\n"
        "  %2: f64[2,3] = mul %0, %0  # loss.py:31\n"
        "  %3: f64[2,3] = broadcast_to %1 {shape=[2,3]}  # loss.py:31\n"
        "  %4: f64[2,3] = add %2, %3  # loss.py:31\n"
        "  %5: f64[] = reduce_sum %4 {axes=[0,1]}  # loss.py:31\n"
        '  return "loss" %5\n'
        "}"
    )


def test_space_and_comments_mean_nothing():
    loose = (
        '# a graph\n\n graph(%0"x":f64[ n ]){# its body\r\n\n'
        '%1 : f64[n]=neg   %0 # negated\n\nreturn"y"%1\n}\n\n# over\n'
    )
    tight = 'graph (%0 "x": f64[n]) {\n  %1: f64[n] = neg %0\n  return "y" %1\n}'
    assert to_text(parse(loose, OP_SET)) == tight


@given(arrays())
def test_elements_survive_bit_by_bit(array):
    graph = Graph((), (Literal(array),), (), (Output("y", 0),))
    again = parse(to_text(graph), OP_SET).constants[0]
    assert again == graph.constants[0]
    if array.size <= 16:
        assert isinstance(again, Literal)
        assert again.array.tobytes() == array.tobytes()
        assert not again.array.flags.writeable


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array(0.1), "0.1"),
        (np.array(0.1, "f4"), "0.1"),
        (np.array(-0.0), "-0.0"),
        (np.array([[1e300, np.nan], [np.inf, 5e-324]]), "[[1e+300, nan], [inf, 5e-324]]"),
        (np.array([True, False]), "[true, false]"),
        (np.array([-(2**63), 2**63 - 1]), "[-9223372036854775808, 9223372036854775807]"),
        (np.zeros((2, 0, 3)), "[]"),
        (np.array(0xFFF8_0000_0000_0001, "u8").view("f8"), "nan(0xfff8000000000001)"),
        (np.array([0x7F80_0001], "u4").view("f4"), "[nan(0x7f800001)]"),
        (np.zeros(17), "blob " + Literal(np.zeros(17)).digest),
    ],
)
def test_constants_look_like_what_they_are(array, text):
    assert constant_text(Literal(array)) == text


@pytest.mark.parametrize("name", ["inf", "nan", "blob", "true", "graph", "return", "f64", "constant", "e5", "_"])
def test_no_symbol_is_mistaken_for_a_word_of_the_form(name):
    type_ = TensorType(F64, (Symbol(name), 2))
    graph = Graph((Input("x", type_),), (), (), (Output("y", 0),))
    assert parse(to_text(graph), OP_SET) == graph


@pytest.mark.parametrize("name", ["# no comment", "\\", '"', "Größe", "损失", "a b", "\x85", "\u2028", "\n", "%0", "}"])
def test_names_of_any_letters_are_quoted(name):
    graph = Graph((Input(name, TensorType(F64)),), (), (), (Output("y", 0),))
    text = to_text(graph)
    assert text.splitlines()[0].startswith('graph (%0 "')
    if name.isprintable():
        assert parse(text, OP_SET) == graph


HEAD = 'graph (%0 "x": f64[2]) {\n'
TAIL = '\nreturn "y" %1\n}'
REFUSED = {
    "": ("line 1", "T1", "does not end"),
    "graph {": ("line 1", "T1", "expected '(', not '{', at column 7"),
    'graph (%0 "x" f64[]) {\n}': ("line 1", "T1", "expected ':'"),
    HEAD + "%1: f64[2] = neg %0": ("line 2", "T1", "does not end"),
    HEAD + "%1: f64[2] = neg %0" + TAIL + "\nmore": ("line 5", "T1", "has ended above"),
    HEAD + "%1: f64[2] = neg %0;" + TAIL: ("line 2", "T1", "';' at column 20"),
    HEAD + "%1: f64[2] = neg %0 %0" + TAIL: ("line 2", "T1", "expected the end of the line, not '%0'"),
    HEAD + "%1: f64[2] = neg %0," + TAIL: ("line 2", "T1", "expected a value such as %3"),
    HEAD + "%2: f64[2] = neg %0" + TAIL: ("line 2", "T1", "must be %1"),
    HEAD + "%1: f16[2] = neg %0" + TAIL: ("line 2", "T1", "expected one of bool, i32"),
    HEAD + "%1: f64[1.5] = neg %0" + TAIL: ("line 2", "T1", "'1.5'"),
    HEAD + "%1: f64[2] = negate %0" + TAIL: ("line 2", "G12", "no op 'negate'"),
    HEAD + "%1: f64[2] = neg %1" + TAIL: ("line 2, nodes[0].operands[0]", "G2", "%1 is not known yet"),
    HEAD + "%1: f64[3] = neg %0" + TAIL: ("line 2, nodes[0].types[0]", "G10", "neg gives f64[2]"),
    HEAD + '%1: f64[2] = neg %0\nreturn "y" %7\n}': ("line 3, outputs[0].value", "G3", "%0 to %1"),
    HEAD + "%1: f64[2] = neg %0\nreturn\n}": ("line 3, outputs", "G4", "no output"),
    'graph (%0 "x": f64[-2]) {\nreturn "y" %0\n}': ("line 1, inputs[0].type", "G8", "length -2"),
    'graph (%0 "x\\q": f64[]) {\nreturn "y" %0\n}': ("line 1", "T1", "wrong escape"),
    HEAD + "%1: f64[] = reduce_sum %0" + TAIL: ("line 2", "reduce_sum (A2)", "axes is missing"),
    HEAD + "%1: f64[] = reduce_sum %0 {axes=0}" + TAIL: ("line 2", "reduce_sum (A3)", "not int"),
    HEAD + "%1: f64[] = reduce_sum %0 {axes=[n]}" + TAIL: ("line 2", "reduce_sum (A3)", "axes must be"),
    HEAD + "%1: f64[] = reduce_sum %0 {axes=[0], axes=[0]}" + TAIL: ("line 2", "T1", "axes is there twice"),
    HEAD + "%1: f64[2] = neg %0 {a=true}" + TAIL: ("line 2", "neg (A1)", "unknown attribute a"),
    HEAD + "%1: f32[2] = convert %0 {element_type=f16}" + TAIL: ("line 2", "convert (A3)", "must be ElementType"),
    HEAD + "%1: f64[2] = constant [1.0]" + TAIL: ("line 2", "T1", "a list of 1 does not fit f64[2]"),
    HEAD + "%1: f64[2] = constant [1.0, [2.0]]" + TAIL: ("line 2", "T1", "a list of 1 does not fit"),
    HEAD + "%1: f64[1,1] = constant [1.0]" + TAIL: ("line 2", "T1", "expected a list, not '1.0'"),
    HEAD + "%1: f64[0] = constant [1.0]" + TAIL: ("line 2", "T1", "is written []"),
    HEAD + "%1: f64[n] = constant [1.0]" + TAIL: ("line 2", "T1", "holds a symbol"),
    HEAD + "%1: f64[] = constant one" + TAIL: ("line 2", "T1", "'one' at column 22 is no f64"),
    HEAD + "%1: f64[] = constant 1e999" + TAIL: ("line 2", "T1", "is no f64"),
    HEAD + "%1: f32[] = constant 1e39" + TAIL: ("line 2", "T1", "is no f32"),
    HEAD + "%1: i32[] = constant 2147483648" + TAIL: ("line 2", "T1", "is no i32"),
    HEAD + "%1: i32[] = constant 1.0" + TAIL: ("line 2", "T1", "is no i32"),
    HEAD + "%1: bool[] = constant 1" + TAIL: ("line 2", "T1", "is no bool"),
    HEAD + "%1: f64[] = constant nan(0x1)" + TAIL: ("line 2", "T1", "is no f64"),
    HEAD + "%1: i32[] = constant " + "9" * 10_000 + TAIL: ("line 2", "T1", "is no i32"),
    HEAD + "%1: f64[] = constant " + "[" * 10_000 + TAIL: ("line 2", "T1", "deeper than 32"),
    HEAD + "%1: f64[] = constant blob 12ab" + TAIL: ("line 2", "T1", "'1' at column 27 begins no word"),
    HEAD + "%1: f64[2] = neg %0\n%2: f64[] = constant 1.0" + TAIL: ("line 3", "T1", "comes before all nodes"),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.items(), ids=range(len(REFUSED)))
def test_text_that_is_no_graph_is_refused_with_its_line(text, expected):
    with pytest.raises(InvalidGraph) as caught:
        parse(text, OP_SET)
    violation = caught.value.violations[0]
    assert (violation.field, violation.constraint) == expected[:2]
    assert expected[2] in violation.description


def test_all_bad_lines_are_found():
    text = HEAD + "%1: f64[2] = oops %0\n%2: f64[2] = neg %0 {\n%3: f64[2] = reduce_sum %0 {axes=1}\nreturn y %1\n}"
    with pytest.raises(InvalidGraph) as caught:
        parse(text, OP_SET)
    assert [v.field for v in caught.value.violations] == ["line 2", "line 3", "line 4", "line 5"]


# ---- excerpts


def chain(length: int, wide: int = 1) -> Graph:
    g = builder()
    x = g.input("x", TensorType(ElementType.FLOAT64, (2,)))
    parts = [g.constant(float(k)) for k in range(wide)]
    value = x if wide == 1 else g.apply(Concatenate(0), [g.broadcast(part, (2,)) for part in parts])[0]
    for _ in range(length):
        value = g.sin(value)
    return g.build({"y": value})


@pytest.mark.parametrize("length", [0, 1, 500])
def test_a_graph_that_has_room_is_shown_whole(length):
    text = to_text(chain(length))
    assert excerpt(chain(length), len(text), "letters") == text
    if length == 500:
        assert excerpt(chain(length), len(text) - 1, "letters") != text


@pytest.mark.parametrize("letters", [200, 1000, 5000])
def test_an_excerpt_has_the_first_lines_and_the_last_and_counts_the_others(letters):
    lines = to_text(chain(500)).splitlines()
    shown = excerpt(chain(500), letters, "explain_letters").splitlines()
    (middle,) = (k for k, line in enumerate(shown) if "left out" in line)
    first, last = shown[:middle], shown[middle + 1 :]
    if letters > 200:
        assert first == lines[: len(first)]
        assert last == lines[-len(last) :]
    left_out, count = (int(word) for word in re.findall(r"(\d+) of (\d+) lines", shown[middle])[0])
    assert count == len(lines)
    assert left_out == len(lines) - len(first) - len(last)
    assert 0.5 * letters < sum(map(len, shown)) < letters + 200
    assert f"explain_letters is {letters:,}" in shown[middle]


def test_a_long_line_is_cut_in_an_excerpt():
    shown = excerpt(chain(0, wide=5000), 4000, "letters").splitlines()
    assert max(map(len, shown)) <= 501
    assert any(line.endswith("…") for line in shown)
    assert shown[-1] == "}"


def test_what_is_left_out_is_not_written(monkeypatch):
    written: list[Any] = []
    whole = printing.node_text

    def noted(*given: Any) -> str:
        written.append(given)
        return whole(*given)

    monkeypatch.setattr(printing, "node_text", noted)
    excerpt(chain(5000), 2000, "letters")
    assert len(written) < 300
