"""Values that are made where their only reader would move them to: within what is padded or joined."""

import numpy as np
import pytest

from gradserve.execution.fused import movement
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from tests.execution.test_fused_executor import agree
from tests.running import prepared

TABLE = TensorType(ElementType.FLOAT64, (6, 7))


def given():
    return {"x": np.random.default_rng(0).standard_normal((6, 7))}


def of_pads(g, x):
    one, other = g.mul(x, x), g.sin(x)
    low = g.emit("pad", one, low=(1, 0), high=(0, 2), interior=(0, 0))
    high = g.emit("pad", other, low=(0, 2), high=(1, 0), interior=(0, 0))
    return {"both": g.add(low, high)}


def of_gaps(g, x):
    return {"y": g.emit("pad", g.mul(x, x), low=(1, 0), high=(0, 2), interior=(2, 1))}


def of_joined(g, x):
    return {"y": g.emit("concatenate", g.mul(x, x), x, g.exp(x), g.mul(x, x), axis=1)}


def of_read_elsewhere(g, x):
    square = g.mul(x, x)
    joined = g.emit("concatenate", square, g.exp(x), axis=0)
    return {"y": g.emit("reduce_sum", joined, axes=(0,)), "z": g.cos(square)}


def of_outputs(g, x):
    square = g.mul(x, x)
    return {"square": square, "y": g.emit("concatenate", square, g.exp(x), axis=0)}


def of_nested(g, x):
    inner = g.emit("concatenate", g.mul(x, x), g.exp(x), axis=0)
    return {"y": g.emit("pad", g.add(inner, 1.0), low=(1, 1), high=(1, 1), interior=(0, 0))}


def of_sums(g, x):
    sums = g.emit("reduce_sum", g.mul(x, x), axes=(0,))
    return {"y": g.emit("pad", sums, low=(3,), high=(2,), interior=(0,))}


GRAPHS = [of_pads, of_gaps, of_joined, of_read_elsewhere, of_outputs, of_nested, of_sums]


def built(make):
    g = builder()
    return g.build(make(g, g.input("x", TABLE)))


@pytest.mark.parametrize("make", GRAPHS)
def test_places_hold_what_belongs_there(make):
    agree(built(make), given())


def test_the_planted_fault_of_a_place_beside_the_right_one_is_found(monkeypatch):
    kept = movement._apart
    monkeypatch.setattr(
        movement, "_apart", lambda op, m, t, into: kept(type(op)((0, 0), op.high, op.interior), m, t, into)
    )
    graph = built(of_pads)
    expected, found = (prepared(graph, each)(given())["both"] for each in ("numpy", "fused"))
    assert not np.allclose(found, expected)
