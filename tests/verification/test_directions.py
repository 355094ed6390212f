"""Directions of signs and the layout of inputs in one vector."""

import numpy as np
import pytest

from gradserve.verification.directions import Layout, scales, sign_directions, within

LAYOUT = Layout({"W": (3, 4), "b": (), "v": (5,), "none": (0,)})


def test_a_layout_packs_unpacks_and_locates():
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape) for name, shape in LAYOUT.shapes.items()}
    vector = LAYOUT.pack(arrays)
    assert vector.shape == (LAYOUT.size,) == (18,)
    for name, part in LAYOUT.unpack(vector).items():
        np.testing.assert_array_equal(part, arrays[name])
    for position in range(LAYOUT.size):
        name, index = LAYOUT.locate(position)
        assert arrays[name][index] == vector[position]
    assert LAYOUT.locate(7) == ("W", (1, 3))
    assert LAYOUT.locate(12) == ("b", ())
    with pytest.raises(IndexError):
        LAYOUT.locate(18)


def test_directions_are_powers_of_two_with_random_signs():
    rng = np.random.default_rng(0)
    point = rng.standard_normal(1000) * 10.0 ** rng.uniform(-5, 5, 1000)
    rows = sign_directions(point, 8, seed=3)
    np.testing.assert_array_equal(np.abs(rows), np.tile(scales(point), (8, 1)))
    assert (scales(point) <= np.maximum(1, np.abs(point))).all()
    assert (2 * scales(point) > np.maximum(1, np.abs(point))).all()
    correlations = np.sign(rows) @ np.sign(rows).T / 1000
    assert np.abs(correlations - np.eye(8)).max() < 0.15


def test_steps_along_directions_are_exact_or_nearly():
    rng = np.random.default_rng(0)
    point = rng.standard_normal(1000) * 10.0 ** rng.uniform(-3, 3, 1000)
    (row,) = sign_directions(point, 1, seed=0)
    for step in (2.0**-4, 2.0**-16):
        moved = (point + step * row) - point
        assert np.count_nonzero(moved != step * row) < 400
        assert np.abs(moved / (step * row) - 1).max() < 1e-10


def test_directions_depend_on_seed_and_number_alone():
    point = np.zeros(100)
    np.testing.assert_array_equal(sign_directions(point, 8, 5)[:3], sign_directions(point, 3, 5))
    assert (sign_directions(point, 1, 5) != sign_directions(point, 1, 6)).any()
    np.testing.assert_array_equal(sign_directions(point, 1, 2**64 - 1), sign_directions(point, 1, 2**64 - 1))
    assert sign_directions(np.zeros(6), 1, 0).tolist() == [[-1.0, -1.0, -1.0, -1.0, -1.0, 1.0]]  # on every machine


def test_within_leaves_one_span():
    np.testing.assert_array_equal(within(np.arange(5.0), range(1, 3)), [0, 1, 2, 0, 0])
