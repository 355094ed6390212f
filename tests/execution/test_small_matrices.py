"""Stacks of small matrices as machine code, against NumPy's einsum."""

from __future__ import annotations

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.execution.fused import contraction
from gradserve.execution.fused.values import positions

STACK = 300
PRODUCTS = ["bij,bjk->bik", "bij,bj->bi", "bi,bi->b", "bji,bkj->bik", "jbi,jib->b", "bij,jk->bik", "b,bi->bi"]


def error(subscripts: str, inner: int) -> float:
    """The largest error of the contraction, relative to the largest number."""
    rng = np.random.default_rng(inner)
    lengths = {"b": STACK, "i": 2, "j": inner, "k": 3}
    terms = subscripts.split("->")[0].split(",")
    operands = [rng.standard_normal([lengths[x] for x in term]) for term in terms]
    with Client(threads=1) as client:
        f = client.function(lambda x, y: np.einsum(subscripts, x, y))
        f.executor = "fused"
        found = f(*operands)
    expected = np.einsum(subscripts, *operands)
    return float(np.max(abs(found - expected)) / np.max(abs(expected)))


@pytest.mark.parametrize("subscripts", PRODUCTS)
@pytest.mark.parametrize("inner", [1, 3, 8, 9])
def test_stacks_of_small_matrices(subscripts, inner):
    assert error(subscripts, inner) < 1e-14


def test_a_term_that_is_left_out_is_found(monkeypatch):
    monkeypatch.setattr(contraction, "positions", lambda *shape: [*positions(*shape)][:-1] or [0])
    assert error("bij,bj->bi", 5) > 1e-3
