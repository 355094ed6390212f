"""Arrays from what chunks say about their arguments."""

import math

import numpy as np
import pytest

from gradserve.estimation.samplers import signs
from gradserve.ir.graph import Literal
from gradserve.ir.types import ElementType
from gradserve.pools.sources import array_of, nbytes, part
from gradserve.pools.work import Constant, OneHots, Point, Rows, Shared, Signs, key_of

DATA = {"a": np.arange(12.0).reshape(4, 3), "s": np.array(2.0)}


def test_shared_is_the_array_itself():
    assert array_of(Shared("a"), DATA, {}) is DATA["a"]


def test_rows_are_a_view():
    rows = array_of(Rows("a", 1, 3), DATA, {})
    np.testing.assert_array_equal(rows, DATA["a"][1:3])
    assert rows.base is DATA["a"].base


def test_a_point_is_an_array_even_of_scalars():
    np.testing.assert_array_equal(array_of(Point("a", 2), DATA, {}), DATA["a"][2])
    assert isinstance(array_of(Point("v", 1), {"v": np.arange(3.0)}, {}), np.ndarray)


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (0, 2), (1, 5), (4, 9), (8, 9), (3, 3)])
def test_one_hots_of_several_inputs_make_up_the_identity(start, stop):
    shapes = [(2,), (), (2, 3), (0,)]
    offsets = [0, 2, 3, 9]
    parts = [
        array_of(OneHots(start, stop, offset, shape, ElementType.FLOAT32), {}, {})
        for shape, offset in zip(shapes, offsets, strict=True)
    ]
    assert [part.shape for part in parts] == [(stop - start, *shape) for shape in shapes]
    assert {part.dtype for part in parts} == {np.dtype(np.float32)}
    flat = [part.reshape(stop - start, math.prod(shape)) for part, shape in zip(parts, shapes, strict=True)]
    np.testing.assert_array_equal(np.concatenate(flat, axis=1), np.eye(9)[start:stop])


def test_signs_are_those_of_the_sampler():
    made = array_of(Signs(1, "p", 2, 5, (3, 2), ElementType.FLOAT32), {}, {})
    np.testing.assert_array_equal(made, signs(1, "p", 2, 5, (3, 2), ElementType.FLOAT32))


def test_a_constant_is_found_by_its_key():
    literal = Literal(np.arange(3.0))
    assert array_of(Constant(key_of(literal)), DATA, {key_of(literal): literal}) is literal.array


@pytest.mark.parametrize("source", [Shared("a"), Rows("a", 1, 3), Point("a", 1), Constant("0")])
def test_a_part_is_rows_of_what_the_whole_is(source):
    whole = array_of(source, DATA, {"0": Literal(np.arange(3.0))})
    piece = array_of(part(source, 1, 2), DATA, {"0": Literal(np.arange(3.0))})
    np.testing.assert_array_equal(piece, whole[1:2] if isinstance(source, Rows) else whole)


@pytest.mark.parametrize(
    "source", [OneHots(0, 9, 2, (2, 3), ElementType.FLOAT32), Signs(1, "p", 0, 9, (3,), ElementType.FLOAT64)]
)
def test_parts_of_what_is_made_are_rows_of_it(source):
    np.testing.assert_array_equal(array_of(part(source, 3, 7), {}, {}), array_of(source, {}, {})[3:7])


@pytest.mark.parametrize("source", [Shared("a"), Rows("a", 1, 3), Rows("a", 2, 2), Shared("s"), Point("a", 2)])
def test_bytes_are_those_of_the_array(source):
    assert nbytes(source, DATA) == array_of(source, DATA, {}).nbytes
