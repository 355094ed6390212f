"""Symbols become numbers, and every type that waited for them is checked."""

import numpy as np
import pytest
from hypothesis import given, settings

from gradserve.ir.bind import bind, solve_symbols, symbols
from gradserve.ir.check import check
from gradserve.ir.errors import InvalidGraph, InvalidRequest
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.text.printing import to_text
from tests.ir.strategies import graphs

TEXT = """\
graph (%0 "x": f64[n,d], %1 "w": f64[d], %2 "b": f64[]) {
  %3: f64[n] = contract %0, %1 {lhs_batch=[], lhs_contract=[1], rhs_batch=[], rhs_contract=[0]}  # loss.py:2
  %4: f64[n] = broadcast_to %2 {shape=[n]}
  %5: f64[n] = add %3, %4
  %6: f64[twice] = concatenate %5, %5 {axis=0}
  %7: f64[twice,1] = reshape %6 {shape=[twice,1]}  # loss.py:5
  return "y" %7, "w" %1
}"""
GRAPH = parse(TEXT, OP_SET)


def refused(text, lengths, error=InvalidGraph):
    with pytest.raises(error) as caught:
        bind(parse(text, OP_SET), lengths)
    return [(v.field, v.constraint, v.source) for v in caught.value.violations]


def test_the_symbols_of_a_graph_are_known():
    assert symbols(GRAPH) == ("n", "d", "twice")
    assert not GRAPH.is_concrete


@pytest.mark.parametrize(("n", "d"), [(5, 3), (0, 3), (1, 1), (7, 0)])
def test_lengths_go_everywhere_and_others_follow(n, d):
    bound = bind(GRAPH, {"n": n, "d": d})
    numbers = TEXT.replace("twice", str(2 * n)).replace("[n", f"[{n}").replace("d]", f"{d}]")
    assert to_text(bound) == numbers
    assert bound.is_concrete
    assert check(bound) == []
    assert symbols(bound) == ()


def test_shapes_of_arguments_tell_the_lengths():
    arguments = {"x": np.ones((5, 3)), "w": np.ones(3), "b": np.ones(())}
    lengths = solve_symbols(GRAPH, {name: argument.shape for name, argument in arguments.items()})
    assert lengths == {"n": 5, "d": 3}
    assert bind(GRAPH, lengths).output_types["y"].shape == (10, 1)


def test_an_argument_that_is_not_there_tells_nothing():
    assert solve_symbols(GRAPH, {"w": (3,)}) == {"d": 3}


def test_all_shapes_that_do_not_fit_are_named():
    with pytest.raises(InvalidRequest) as caught:
        solve_symbols(GRAPH, {"x": (5, 3), "w": (4,), "b": (1,)})
    described = [(v.field, v.constraint, v.description) for v in caught.value.violations]
    assert described == [
        (
            'arguments["w"]',
            "G17",
            "an argument of shape [4] does not fit f64[d]: axis 0 has the length 4, not d = 3",
        ),
        ('arguments["b"]', "G17", "an argument of shape [1] does not fit f64[]: it has 1 axes, not 0"),
    ]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ({}, [("inputs[0].type", "G17", ""), ("inputs[1].type", "G17", "")]),
        ({"n": 5}, [("inputs[0].type", "G17", ""), ("inputs[1].type", "G17", "")]),
        ({"n": -1, "d": 3}, [("inputs[0].type", "G8", "")]),
        ({"n": 2**40, "d": 2**40}, [("inputs[0].type", "G8", "")]),
    ],
)
def test_inputs_need_lengths_that_an_array_can_have(lengths, expected):
    assert refused(TEXT, lengths, InvalidRequest) == expected


def test_constraints_that_waited_are_checked_with_source():
    text = TEXT.replace('%1 "w": f64[d]', '%1 "w": f64[e]')
    (violation,) = refused(text, {"n": 5, "d": 3, "e": 4})
    assert violation == ("nodes[0]", "contract (C3)", "loss.py:2")
    assert bind(parse(text, OP_SET), {"n": 5, "d": 3, "e": 3}).is_concrete


def test_a_declared_type_that_is_wrong_for_these_lengths_is_refused():
    assert refused(TEXT.replace("%5: f64[n]", "%5: f64[d]"), {"n": 5, "d": 3}) == [("nodes[2].types[0]", "G10", "")]


def test_a_length_that_follows_cannot_be_chosen():
    assert refused(TEXT, {"n": 5, "d": 3, "twice": 11}) == [("nodes[3].types[0]", "G10", "")]


def test_a_symbol_that_nothing_tells_is_refused():
    text = TEXT.replace("shape=[twice,1]", "shape=[other,1]")
    assert refused(text, {"n": 5, "d": 3}) == [("nodes[4].attributes", "G17", "loss.py:5")]


def test_a_result_may_not_outgrow_arrays():
    text = 'graph (%0 "x": f64[n]) {\n%1: f64[m,n] = broadcast_to %0 {shape=[m,n]}\nreturn "y" %1\n}'
    assert [v[:2] for v in refused(text, {"n": 2**30, "m": 2**30})] == [("nodes[0].types[0]", "G8")]


@settings(max_examples=30)
@given(graphs())
def test_a_graph_without_symbols_is_bound_already(graph):
    assert bind(graph, {"n": 3}) is graph
