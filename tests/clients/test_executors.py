"""Calls run on the executor that is asked for, and say so."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gradserve.client import Client
from gradserve.ir.errors import InvalidRequest

W = np.linspace(-1.0, 2.0, 7)


@pytest.fixture(autouse=True)
def all_optimizations():
    """Programs are compiled as for users."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def named_in(f):
    """The executor that the last report names."""
    assert f.last_report is not None
    return f.last_report.executor


@pytest.mark.parametrize("executor", ["fused", "xla"])
def test_an_executor_is_named_and_kept_to(executor):
    with Client() as client:
        f = client.function(lambda w: np.sum(np.sin(w) * w), w=W)
        expected = f.grad(W)
        assert named_in(f) == "numpy"
        f.executor = executor
        assert_allclose(f.grad(W), expected, rtol=1e-13)
        assert named_in(f) == f.explain(W).executor == executor
        assert_allclose(expected, np.sin(W) + W * np.cos(W), rtol=1e-14)


def test_an_executor_that_there_is_not():
    with Client() as client:
        f = client.function(lambda w: np.sum(w), w=W)
        with pytest.raises(InvalidRequest, match="there is no executor 'moon'; there are auto, fused, numpy, xla"):
            f.executor = "moon"
