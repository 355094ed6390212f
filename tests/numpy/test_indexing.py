"""Indexing a traced array selects what NumPy selects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import Untraceable
from tests.clients.evaluation import assert_same, assert_traces, evaluate, traced_result

C = np.arange(60.0).reshape(3, 4, 5)
MASK = np.arange(12).reshape(3, 4) % 3 == 0


@st.composite
def arrays_and_keys(draw):
    shape = draw(npst.array_shapes(min_dims=1, max_dims=4, max_side=4))
    if draw(st.booleans()):
        return shape, draw(npst.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    count = draw(st.integers(1, len(shape)))
    indexed = draw(st.permutations(range(len(shape))))[:count]
    common = draw(npst.broadcastable_shapes((2, 3), max_dims=2))
    key = []
    for axis, n in enumerate(shape):
        if axis in indexed:
            stretched = draw(st.sampled_from([common, (), common[1:]]))
            key.append(draw(npst.arrays(np.int64, stretched, elements=st.integers(-n, n - 1))))
        else:
            key.append(draw(st.one_of(st.integers(-n, n - 1), st.slices(n))))
        if draw(st.integers(0, 4)) == 0:
            key.append(None)
    return shape, tuple(key)


@given(arrays_and_keys())
@settings(max_examples=300)
def test_any_key_selects_what_numpy_selects(drawn):
    shape, key = drawn
    x = np.arange(float(np.prod(shape))).reshape(shape)
    assert_same(traced_result(lambda x: x[key], x), x[key])


@given(arrays_and_keys())
@settings(max_examples=100)
def test_traced_positions_select_what_captured_ones_do(drawn):
    shape, key = drawn
    x = np.arange(float(np.prod(shape))).reshape(shape)
    parts = key if isinstance(key, tuple) else (key,)
    positions = {str(k): part for k, part in enumerate(parts) if isinstance(part, np.ndarray) and k % 2 == 0}

    def select(x, positions):
        return x[tuple(positions.get(str(k), part) for k, part in enumerate(parts))]

    assert_same(traced_result(select, x, positions), x[key])


@pytest.mark.parametrize(
    "select",
    [
        lambda x: x[MASK],
        lambda x: x[MASK[:, 0]],
        lambda x: x[:, MASK[0]],
        lambda x: x[MASK, 1],
        lambda x: x[MASK[:, 0], :, [4]],
        lambda x: x[..., np.array([True, False, True, False, True])],
        lambda x: x[~MASK & MASK],
        lambda x: x[[0, 2]],
        lambda x: x[[]],
        lambda x: x[np.array([1, 2], np.uint8), 0],
        lambda x: x[np.array(1)],
        lambda x: x[np.int32(1), ::-2],
        lambda x: x[0, :, [1, 2]],
        lambda x: x[[[0], [1]], :, [0, 4]],
        lambda x: x[...],
        lambda x: x[()],
        lambda x: x[2:1, ::3],
        lambda x: np.stack([row[0] for row in x]),
        lambda x: np.stack([*x[0]])[len(x) - 1],
    ],
)
def test_masks_lists_and_iteration(select):
    assert_traces(select, C)


def test_a_traced_position_may_be_computed():
    assert_traces(lambda x: x[np.argmax(x[:, 0, 0]), 1], C)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (3, "index 3 is out of bounds for axis 0 with size 3"),
        ((0, 0, 0, 0), "too many indices"),
        ((..., ...), "single ellipsis"),
        (1.0, "only integers"),
        (np.array([0.0, 1.0]), "only integers"),
        (np.array([0, -4]), "index -4 is out of bounds"),
        (MASK.T, "boolean index"),
        ("name", "only integers"),
        (True, "only integers"),
    ],
)
def test_a_key_that_does_not_fit_is_an_index_error(key, message):
    with pytest.raises(IndexError, match=message):
        trace(lambda x: x[key], C)


def test_a_traced_position_outside_its_own_axis_is_refused_when_run():
    # In row-major order (0, 5) would be inside of the array: the element (1, 1).
    traced = trace(lambda x, i, j: x[0, i, j], C, 1, 2)
    assert_same(evaluate(traced, {"x": C, "i": -1, "j": -5}), C[0, -1, -5])
    for i, j in ((0, 5), (1, -6), (4, 0), (-5, 0)):
        with pytest.raises(Exception, match="ind"):
            evaluate(traced, {"x": C, "i": i, "j": j})


def test_a_traced_mask_is_refused():
    with pytest.raises(Untraceable, match=r"test_indexing.py:\d+: a traced mask.*np.where\(mask, x, 0\)"):
        trace(lambda x: x[x > 0], C)


def test_traced_slices_are_refused():
    with pytest.raises(Untraceable, match="a slice depends on a traced array"):
        trace(lambda x, n: x[:n], C, 2)
