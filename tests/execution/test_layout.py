"""The strides that a schedule predicts are those of NumPy's results."""

import random
from typing import Any

import numpy as np
import pytest

from gradserve.execution.numpy.executor import kernel
from gradserve.execution.numpy.layout import kept_order, place, row_major, spread, strides_cut_anew, strides_of
from gradserve.ir.types import ElementType, TensorType, type_of
from gradserve.ops import builder
from tests.laws.support import OPS
from tests.rows import in_one
from tests.running import kernel_of, schedule_of

F64 = ElementType.FLOAT64
CASES = 400


def strides(array):
    return tuple(s // array.itemsize for s in np.asarray(array).strides)


def agree(shape, predicted, array):
    """Strides along axes of length 1 mean nothing, and nor do those of an empty array."""
    return 0 in shape or all(n == 1 or s == t for n, s, t in zip(shape, predicted, strides(array), strict=True))


def shuffled(rng, array):
    """The same elements with the axes in a random order in memory, some of them backwards."""
    if not array.ndim:
        return array
    order = list(range(array.ndim))
    rng.shuffle(order)
    turned = np.empty([array.shape[axis] for axis in order], array.dtype).transpose(np.argsort(order))
    turned = turned[tuple(slice(None, None, rng.choice([1, 1, -1])) for _ in order)]
    turned[...] = array
    return turned


def random_shape(rng, lengths):
    return tuple(rng.choice(lengths) for _ in range(rng.randint(1, 4)))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_elementwise_results_keep_the_order_of_their_operands(count):
    rng = random.Random(count)
    computed: dict[int, Any] = {1: np.negative, 2: np.add, 3: np.where}
    for _ in range(CASES):
        full = random_shape(rng, [1, 2, 3, 4])
        shapes = [tuple(rng.choice([n, n, 1]) for n in full[rng.randint(0, len(full)) :]) for _ in range(count)]
        operands = [shuffled(rng, np.ones(shape)) for shape in shapes]
        result = np.asarray(computed[count](*operands))
        types = [TensorType(F64, x.shape) for x in operands]
        order = kept_order(spread(types, [strides(x) for x in operands], result.shape)) if result.ndim else []
        assert agree(result.shape, strides_of(result.shape, order), result), [strides(x) for x in operands]


def test_a_reshape_is_a_view_where_numpy_makes_one():
    rng = random.Random(0)
    copies = 0
    for _ in range(10 * CASES):
        array = shuffled(rng, np.ones(random_shape(rng, [1, 2, 3, 6])))
        if rng.random() < 0.3:
            array = np.broadcast_to(array, (2, *array.shape))
        shape, left = [], array.size
        while left > 1:
            shape.append(rng.choice([n for n in range(2, left + 1) if left % n == 0]))
            left //= shape[-1]
        shape.insert(rng.randint(0, len(shape)), 1)
        predicted = strides_cut_anew(array.shape, strides(array), tuple(shape))
        view = array.view()
        try:
            reshaped = np.reshape(view, shape, copy=False)
        except ValueError:
            assert predicted is None
            copies += 1
        else:
            assert predicted is not None
            assert agree(tuple(shape), predicted, reshaped)
    assert copies > CASES


@in_one
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_op_puts_its_results_where_predicted(op):
    rng = random.Random(1)
    for sample in op.samples():
        for _ in range(4):
            operands = [shuffled(rng, np.array(x)) for x in sample.operands]
            types = [type_of(x) for x in operands]
            results = sample.op.infer(*types)
            placed = place(sample.op, types, [strides(x) for x in operands], results)
            if placed.copies:
                continue
            with np.errstate(all="ignore"):
                found = kernel_of(sample.op, types)(*operands)
            found = found if isinstance(found, tuple) else (found,)
            for result, predicted in zip(found, placed.strides, strict=True):
                assert agree(np.shape(result), predicted, result), (sample.op, types)


@in_one
@pytest.mark.parametrize("op", [op for op in OPS if not op.view], ids=lambda op: op.name)
def test_what_is_no_view_has_memory_of_its_own(op):
    """A schedule uses that of an operand again once nothing reads the operand."""
    for sample in op.samples():
        operands = [np.array(x) for x in sample.operands]
        with np.errstate(all="ignore"):
            found = kernel_of(sample.op, [type_of(x) for x in operands])(*operands)
        results = found if isinstance(found, tuple) else (found,)
        assert not any(np.shares_memory(result, x) for result in results for x in operands), sample.op


def points_apart(n, d, square=True):
    g = builder()
    x = g.input("x", TensorType(F64, (n, d)))
    apart = g.reshape(x, (n, 1, d)) - g.reshape(x, (1, n, d))
    return schedule_of(g.build({"y": g.mul(apart, apart) if square else apart}))


def test_differences_of_points_lie_with_a_long_axis_last():
    schedule = points_apart(40, 3)
    difference = next(step for step in schedule.steps if step.op.name == "sub")
    assert difference.order == (2, 0, 1)
    x = np.random.default_rng(0).standard_normal((40, 3))
    made = kernel(difference)(x[:, None, :], x[None, :, :])
    assert np.array_equal(made, x[:, None, :] - x[None, :, :])
    assert strides(made) == (40, 1, 1600)
    assert strides(made * made) == (40, 1, 1600)


@pytest.mark.parametrize(("n", "d"), [(40, 32), (4, 3)])
def test_long_rows_and_small_results_stay_as_they_are(n, d):
    assert all(step.order is None for step in points_apart(n, d).steps)


def test_row_major_strides():
    assert row_major((2, 3, 4)) == (12, 4, 1)
    assert row_major(()) == ()
