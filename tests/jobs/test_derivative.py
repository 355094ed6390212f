"""Values and derivatives over batches."""

import numpy as np
import pytest

from gradserve.ir.types import ElementType
from gradserve.jobs.sweeps import cut
from gradserve.ops import builder
from gradserve.questions.call import Batch, Call, Reduction
from gradserve.questions.derivations import Evaluate
from tests.jobs.support import F32, F64, call_of, differentiated, real, total


@pytest.mark.parametrize("seconds", [cut.CHUNK_SECONDS, 1e-9])
def test_the_mean_of_whole_numbers_is_no_whole_number(context, monkeypatch, seconds):
    monkeypatch.setattr(cut, "CHUNK_SECONDS", seconds)
    g = builder()
    x = g.input("x", real(3))
    right = g.gt(x, 0.0)
    outputs = {"right": right, "count": g.reduce_sum(right, axes=(0,)), "x": x, "single": g.convert(x, F32)}
    points = np.array([[1.0, -1.0, 2.0], [3.0, 4.0, -2.0]])
    call = Call(g.build(outputs), {"x": points}, Batch(("x",), Reduction.MEAN))
    found = differentiated(context, call, Evaluate()).arrays["value"]
    assert found["right"].tolist() == [1.0, 0.5, 0.5]
    assert found["count"] == 2.0
    assert found["x"].tolist() == [2.0, 1.5, 0.0]
    types = [ElementType.of(found[name].dtype) for name in outputs]
    assert types == [F64, F64, F64, F32]


@pytest.mark.parametrize("others", [np.int64, np.float64])
def test_constants_of_the_same_bytes_and_another_type_are_kept_apart(context, others):
    """The bytes of the elements do not tell a vector from a matrix, or integers from reals."""
    vector = np.arange(1.0, 7.0)
    matrix = vector.view(others).reshape(2, 3)
    g = builder()
    x, y = g.input("x", real(6)), g.input("y", real(2, 3, element_type=ElementType.of(matrix.dtype)))
    graph = g.build({"loss": total(g, x * g.constant(vector)) + total(g, g.convert(y * g.constant(matrix), F64))})
    found = differentiated(context, call_of(graph, {"x": np.ones(6), "y": np.ones_like(matrix)}), Evaluate())
    np.testing.assert_allclose(found.arrays["value"]["loss"], vector.sum() + matrix.astype(float).sum())
