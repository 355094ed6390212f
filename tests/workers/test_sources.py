"""Arrays from what chunks say about their arguments."""

import numpy as np
import pytest

from gradserve.estimation.samplers import signs
from gradserve.ir.types import ElementType
from gradserve.workers.sources import array_of, nbytes
from gradserve.workers.work import Rows, Shared, Signs

DATA = {"a": np.arange(12.0).reshape(4, 3), "s": np.array(2.0)}


def test_shared_is_the_array_itself():
    assert array_of(Shared("a"), DATA) is DATA["a"]


def test_rows_are_a_view():
    rows = array_of(Rows("a", 1, 3), DATA)
    np.testing.assert_array_equal(rows, DATA["a"][1:3])
    assert rows.base is DATA["a"].base


def test_signs_are_those_of_the_sampler():
    made = array_of(Signs(1, "p", 2, 5, (3, 2), ElementType.FLOAT32), {})
    np.testing.assert_array_equal(made, signs(1, "p", 2, 5, (3, 2), ElementType.FLOAT32))


@pytest.mark.parametrize("source", [Shared("a"), Rows("a", 1, 3), Rows("a", 2, 2), Shared("s")])
def test_bytes_are_those_of_the_array(source):
    assert nbytes(source, DATA) == array_of(source, DATA).nbytes
