"""Losses of many trades trace as they are written, and have the derivatives of their own values, and JAX's."""

from __future__ import annotations

import types
from typing import Any

import jax
import jax.numpy
import jax.scipy.special
import jax.scipy.stats
import numpy as np
import pytest

from tests import compiled
from tests.clients import everyday_losses, odd_losses, rare_losses
from tests.clients.everyday_losses import LOSSES as USUAL

LOSSES = USUAL | odd_losses.LOSSES | rare_losses.LOSSES

jax.config.update("jax_enable_x64", True)

_BY_JAX = ("portfolio", "crystallography", "robotics", "mixture")
"""Losses whose code JAX runs as well."""
_SMALL = 1e-9


def _of_jax(function: Any) -> Any:
    """The same code over JAX."""
    names = {"np": jax.numpy, "stats": jax.scipy.stats, "special": jax.scipy.special}
    return types.FunctionType(function.__code__, {**vars(everyday_losses), **names})


def test_there_are_as_many_trades():
    assert len(USUAL) >= 24
    assert len(odd_losses.LOSSES) >= 15
    assert len(rare_losses.LOSSES) >= 15
    assert len(LOSSES) == len(USUAL) + len(odd_losses.LOSSES) + len(rare_losses.LOSSES)


@pytest.mark.parametrize("trade", LOSSES)
def test_values_and_derivatives_are_those_of_the_code(trade, embedded):
    function, point = LOSSES[trade]
    value, gradient = embedded.function(function).value_and_grad(point)
    assert np.isclose(value, function(point), rtol=1e-12)
    rng = np.random.default_rng(3)
    for _ in range(2):
        v, h = rng.normal(size=point.shape) * np.maximum(1.0, np.abs(point)), 1e-4
        f = [function(point + k * h * v) for k in (-2, -1, 1, 2)]
        expected = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)
        assert np.sum(gradient * v) == pytest.approx(expected, rel=1e-6, abs=1e-8 * max(1.0, abs(value)))


@pytest.mark.parametrize("trade", _BY_JAX)
def test_gradients_are_those_of_jax(trade, embedded):
    function, point = LOSSES[trade]
    gradient = embedded.function(function).grad(point)
    expected = np.asarray(compiled.grad(_of_jax(function))(jax.numpy.asarray(point)))
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=_SMALL * np.max(np.abs(expected)))


@pytest.mark.parametrize(
    "trade", ["garch", "tomography", "hierarchical", "system_identification", "structure", "conduction", "acoustics"]
)
def test_a_service_answers_the_same_bits(trade, client, embedded):
    function, point = LOSSES[trade]
    one, other = (each.function(function).grad(point) for each in (client, embedded))
    assert np.array_equal(one, other)
