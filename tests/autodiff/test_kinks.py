"""The graph that counts, node by node, how many elements sit where an op has no derivative."""

from collections import Counter

import numpy as np
import pytest

from gradserve.autodiff import kinks
from gradserve.ir.types import ElementType
from tests.laws.support import evaluate
from tests.ops.support import named, trace

POINT = np.array([0.0, 1.0, -2.0, 1.0])


def counts(function, *operands, wrt=("x0",)):
    """The ops with kinks, and how many elements of each sit on one."""
    graph = trace(function, *operands)
    counting = kinks(graph, wrt)
    assert all(t.element_type is ElementType.INT64 and not t.shape for t in counting.output_types.values())
    found = evaluate(counting, named(operands))
    total: Counter[str] = Counter()
    for name, count in found.items():
        total[graph.nodes[int(name.split(":")[1])].op.name] += int(count)
    return dict(total)


def shifted(x):
    largest = x.builder.reduce_max(x.builder.stop_gradient(x), axes=(0,))
    return x.builder.exp(x - largest)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x.builder.abs(x), {"abs": 1}),
        (lambda x: x.builder.maximum(x, 0.0), {"maximum": 1}),
        (lambda x: x.builder.select(x.builder.gt(x, 1.0), x, 0.0), {"gt": 2}),
        (lambda x: x.builder.clip(x, -2.0, 1.0), {"clip": 3}),
        (lambda x: x.builder.sort(x, axis=0), {"sort": 1}),
        (lambda x: x.builder.reduce_max(x, axes=(0,)), {"reduce_max": 1}),
        (lambda x: x.builder.argmax(x, axis=0), {"argmax": 1}),
        (lambda x: x.builder.argmin(x, axis=0), {"argmin": 0}),
        (lambda x: x.builder.floor(x), {"floor": 4}),
        (lambda x: x.builder.round(x * 0.5), {"round": 2}),
        (lambda x: x.builder.remainder(x, 2.0), {"remainder": 2}),
        (lambda x: x.builder.sign(x), {"sign": 1}),
        (lambda x: x.builder.searchsorted(np.array([1.0, 3.0]), x, right=False), {"searchsorted": 2}),
        (lambda x: x.builder.searchsorted(np.array([-9.0, 1.0, 1.0]), x, right=True), {"searchsorted": 2}),
        (lambda x: x.builder.convert(x * 0.5, ElementType.INT32), {"convert": 1}),
        (lambda x: x.builder.convert(x, ElementType.BOOL), {"convert": 1}),
        (lambda x: x.builder.exp(x * x), {}),
    ],
)
def test_each_op_says_where_its_kinks_are(function, expected):
    assert counts(function, POINT) == expected


def test_only_what_moves_counts():
    def function(x, y):
        return x * x.builder.abs(y) + x.builder.maximum(x, y)

    assert counts(function, POINT, POINT) == {"maximum": 4}
    assert counts(function, POINT, POINT, wrt=("x1",)) == {"abs": 1, "maximum": 4}


def test_what_asks_for_nan_is_on_no_kink():
    assert counts(lambda x: x.builder.select(x.builder.ne(x, x), 0.0, x), POINT) == {}


def test_a_bend_that_only_jumps_are_computed_from_does_not_count():
    assert counts(lambda x: x.builder.floor(0.5 + x.builder.abs(x)), POINT) == {"floor": 0}
    assert counts(lambda x: x + x.builder.floor(0.5 + x.builder.abs(x)), POINT) == {"floor": 0}
    assert counts(lambda x: x.builder.abs(x) + x.builder.floor(0.5 + x.builder.abs(x)), POINT) == {"abs": 1, "floor": 0}


def test_a_jump_that_another_one_is_computed_from_counts():
    assert counts(lambda x: x.builder.sign(0.5 + x.builder.sign(x)), POINT) == {"sign": 1}


def test_what_is_taken_as_a_constant_does_not_count():
    assert counts(shifted, POINT) == {}


def test_a_kink_beyond_another_node_counts():
    assert counts(lambda x: x.builder.abs(x - 1.0), POINT) == {"abs": 2}
