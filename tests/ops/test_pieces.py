"""Ops made of pieces: each is itself on the piece of its operands, and its gap closes where that ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradserve.ir import evaluate
from gradserve.ir.attributes import plain_op
from gradserve.ir.op import attribute_types
from gradserve.ir.types import ElementType
from gradserve.ops import OP_SET
from gradserve.ops.elementwise.comparison import Lt
from gradserve.ops.registry import builder

OPS = [
    *("abs", "argmax", "argmin", "ceil", "clip", "convert", "eq", "floor", "ge", "gt", "le", "lt", "maximum"),
    *("minimum", "ne", "remainder", "round", "searchsorted", "sign"),
]
_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "argmax": {"axis": 0},
    "argmin": {"axis": 0},
    "convert": {"element_type": ElementType.INT64},
    "searchsorted": {"right": False},
}
_CUTS = {
    **dict.fromkeys(("abs", "sign"), 0.0),
    **dict.fromkeys(("ceil", "floor", "remainder"), 2.0),
    **dict.fromkeys(("ge", "gt", "le", "lt", "maximum", "minimum", "clip"), 1.25),
    "round": 1.5,
    **dict.fromkeys(("argmax", "argmin"), 1.25),
    "convert": 2.0,
    "searchsorted": 1.25,
}
"""Where pieces meet, of the first operand; the others are these."""
_OTHERS = {
    **dict.fromkeys(("eq", "ne", "ge", "gt", "le", "lt", "maximum", "minimum"), (1.25,)),
    "clip": (1.25, 9.0),
    "remainder": (2.0,),
}


def _given(name, x, piece_at=None, other_at=None):
    """The op, the piece at x, the op on the piece of another point, and the gap between those of two."""
    g = builder()
    found = OP_SET.find(name)
    assert found is not None
    op = found(**_ATTRIBUTES[name]) if name in _ATTRIBUTES else plain_op(found)
    pieces = op.pieces
    assert pieces is not None

    def operands(x):
        if name.startswith("arg"):
            return [g.constant(np.array([x, 1.25, 0.0 if name == "argmax" else 99.0]))]
        if name == "searchsorted":
            return [g.constant(np.array([-1.0, 1.25, 7.0])), g.constant(np.float64(x))]
        return [g.constant(np.float64(each)) for each in (x, *_OTHERS.get(name, ()))]

    def on(x):
        (result,) = g.apply(op, operands(x))
        return pieces.on(g, op, operands(x), result)

    here = operands(x)
    (result,) = g.apply(op, here)
    first = on(x if piece_at is None else piece_at)
    second = on(x if other_at is None else other_at)
    values = result, on(x), pieces.continued(g, op, here, first), pieces.gap(g, here, first, second)
    return [np.asarray(each) for each in evaluate.evaluated(g, values)]


def test_these_are_the_ops_of_pieces():
    made = [
        op(**_ATTRIBUTES.get(op.name, {}))
        for op in OP_SET
        if op.name in _ATTRIBUTES or not (attribute_types(op) or op.calls_functions)
    ]
    assert sorted(op.name for op in made if op.pieces is not None) == OPS
    assert OP_SET.find("convert")(ElementType.FLOAT32).pieces is None  # type: ignore[misc,call-arg]


@pytest.mark.parametrize("name", OPS)
def test_an_op_is_itself_on_its_own_piece(name):
    for x in (-3.7, -1.0, -0.2, 0.0, 0.3, 1.25, 1.5, 2.0, 8.9, 9.0, 12.5):
        result, _, continued, _ = _given(name, x)
        np.testing.assert_allclose(continued, result, rtol=1e-15, atol=1e-15)
        assert continued.dtype == result.dtype


@pytest.mark.parametrize("name", [name for name in OPS if name not in ("eq", "ne")])
def test_gaps_close_where_pieces_meet(name):
    cut, h = _CUTS[name], 1e-3
    below, above = cut - h, cut + h
    assert _given(name, below)[1] != _given(name, above)[1]
    for first, second in ((below, above), (above, below)):
        gaps = [_given(name, x, first, second)[3] for x in (below, cut, above)]
        assert gaps[1] == 0.0
        assert gaps[0] * gaps[2] < 0.0


@pytest.mark.parametrize("name", [name for name in OPS if name not in ("eq", "ne")])
def test_a_piece_goes_on_beyond_its_end(name):
    cut, h = _CUTS[name], 1e-9
    beyond = _given(name, cut + h, piece_at=cut - h)[2]
    before = _given(name, cut - h)[0]
    np.testing.assert_allclose(beyond.astype(float), before.astype(float), atol=1e-8)


def test_a_planted_gap_is_seen(monkeypatch):
    monkeypatch.setattr(type(Lt().pieces), "gap", lambda self, g, operands, *_: g.add(*operands))
    with pytest.raises(AssertionError):
        test_gaps_close_where_pieces_meet("lt")
