"""Values and derivatives over batches."""

import numpy as np
import pytest

from gradserve.ir.types import ElementType
from gradserve.jobs import cut
from gradserve.ops import builder
from gradserve.questions.call import Batch, Call, Reduction
from gradserve.questions.derivations import Evaluate
from tests.jobs.support import F32, F64, differentiated, real


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
