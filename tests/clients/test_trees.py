"""Trees of parameters: flattened to named leaves and put together again."""

import dataclasses
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradserve.client.tracing.trace import trace
from gradserve.client.tracing.trees import count, flatten, paths, unflatten
from gradserve.ir.errors import InvalidRequest
from tests.clients.evaluation import evaluate


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclasses.dataclass
class Layer:
    weight: Any
    bias: Any


@dataclasses.dataclass(frozen=True)
class Scaled:
    scale: Any
    doubled: Any = dataclasses.field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "doubled", 2 * self.scale)


keys = st.one_of(st.integers(-3, 99), st.text(st.characters(exclude_characters=".:", codec="utf-8"), min_size=1))
leaves = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.builds(np.arange, st.integers(1, 3)))
trees = st.recursive(
    st.one_of(leaves, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3).filter(lambda d: len({str(k) for k in d}) == len(d)),
        st.dictionaries(st.text("ab", min_size=1), inner, max_size=2).map(OrderedDict),
        st.builds(Pair, inner, inner),
        st.builds(Layer, inner, inner),
    ),
    max_leaves=12,
)


def same(one, other):
    if isinstance(one, np.ndarray):
        return one is other
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one):
        return same(vars(one), vars(other))
    return one == other


@given(trees)
def test_flatten_and_unflatten_are_inverse(tree):
    named, structure = flatten(tree)
    assert same(unflatten(structure, [leaf for _, leaf in named]), tree)


@given(trees)
def test_paths_are_those_of_the_leaves_and_differ(tree):
    named, structure = flatten(tree, "p")
    assert [path for path, _ in named] == paths(structure, "p")
    assert len({path for path, _ in named}) == len(named) == count(structure)


@given(trees)
def test_equal_trees_have_equal_structures(tree):
    named, structure = flatten(tree)
    again = flatten(unflatten(structure, range(len(named))))[1]
    assert again == structure
    assert hash(again) == hash(structure)


def test_paths_name_keys_positions_and_fields():
    tree = {"layers": [Layer(1.0, 2.0), Pair(3.0, None)], "scale": (4.0,)}
    named, _ = flatten(tree)
    assert dict(named) == {
        "layers.0.weight": 1.0,
        "layers.0.bias": 2.0,
        "layers.1.first": 3.0,
        "scale.0": 4.0,
    }


def test_a_single_leaf_is_its_name():
    assert flatten(2.5, "w")[0] == [("w", 2.5)]


def test_fields_that_the_constructor_computes_are_not_leaves():
    named, structure = flatten(Scaled(3.0))
    assert named == [("scale", 3.0)]
    assert unflatten(structure, [4.0]) == Scaled(4.0)


@pytest.mark.parametrize("key", ["a.b", "a:b", "", ".", "tangent:w"])
def test_keys_that_would_break_a_path_are_refused(key):
    with pytest.raises(InvalidRequest, match="Rename it"):
        flatten({"outer": {key: 1.0}})


def test_keys_that_are_written_alike_are_refused():
    with pytest.raises(InvalidRequest, match="both written '1'"):
        flatten({"1": 1.0, 1: 2.0})


@pytest.mark.parametrize("leaf", ["text", object(), {1.5: 1.0}, {1, 2}, lambda x: x, Layer])
def test_what_is_no_tree_is_refused_with_its_path(leaf):
    with pytest.raises(InvalidRequest, match=r"p\.bad"):
        flatten({"bad": leaf}, "p")


def test_the_number_of_leaves_must_fit():
    _, structure = flatten([1.0, 2.0])
    with pytest.raises(InvalidRequest, match="2 leaves"):
        unflatten(structure, [1.0])


def test_a_function_sees_its_tree_and_its_result_keeps_its_own():
    def network(model, x):
        hidden = x
        for layer in model["layers"]:
            hidden = np.tanh(hidden @ layer.weight + layer.bias)
        return {"output": hidden, "norms": [np.sum(layer.weight**2) for layer in model["layers"]], "none": None}

    layers = [Layer(np.full((3, 3), 0.1 * k), np.ones(3)) for k in (1, 2)]
    traced = trace(network, {"layers": layers}, np.ones(3))
    assert [i.name for i in traced.graph.inputs] == [
        "model.layers.0.weight",
        "model.layers.0.bias",
        "model.layers.1.weight",
        "model.layers.1.bias",
        "x",
    ]
    result = evaluate(traced, {"model": {"layers": layers}, "x": np.ones(3)})
    expected = network({"layers": layers}, np.ones(3))
    np.testing.assert_allclose(result["output"], expected["output"])
    np.testing.assert_allclose(result["norms"], expected["norms"])
    assert result["none"] is None
