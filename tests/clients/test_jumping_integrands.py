"""Integrals of what jumps or has kinks, where what decides moves: derivatives against closed forms."""

from __future__ import annotations

from typing import Any

import jax
import jax.scipy.stats
import numpy as np
import pytest
import scipy.integrate
from scipy import stats

from gradserve.client.functions import quadrature
from tests import compiled

jax.config.update("jax_enable_x64", True)
jnp: Any = jax.numpy
quad: Any = scipy.integrate.quad
quad_vec: Any = scipy.integrate.quad_vec
dblquad: Any = scipy.integrate.dblquad
POINT = np.array([1.3, 0.7])


def _answered(x: Any, p: Any) -> Any:
    if x < p[0]:
        return x
    return x * x * p[1]


def _payoff(p: Any) -> Any:
    return quad(lambda x: np.maximum(x - p[0], 0.0) * stats.norm.pdf(x, scale=p[1]), -np.inf, np.inf)[0]


def _paid(p: Any) -> Any:
    """Bachelier's formula."""
    d = p[0] / p[1]
    return p[1] * jax.scipy.stats.norm.pdf(d) - p[0] * jax.scipy.stats.norm.sf(d)


CASES: dict[str, tuple[Any, Any]] = {
    "a choice": (
        lambda p: quad(lambda x: np.where(x < p[0], np.exp(x), p[1] * x), 0, 2)[0],
        lambda p: jnp.exp(p[0]) - 1 + p[1] * (4 - p[0] ** 2) / 2,
    ),
    "an answer": (
        lambda p: quad(_answered, 0, 2, args=(p,))[0],
        lambda p: p[0] ** 2 / 2 + p[1] * (8 - p[0] ** 3) / 3,
    ),
    "a payoff": (_payoff, _paid),
    "at points that move": (
        lambda p: quad(lambda x: np.where(x < p[0], x, p[1]), 0, 2, points=[p[0], 0.5])[0],
        lambda p: p[0] ** 2 / 2 + p[1] * (2 - p[0]),
    ),
    "beyond a number": (
        lambda p: quad(lambda x: (x > p[0]) * np.exp(-p[1] * x), 0, np.inf)[0],
        lambda p: jnp.exp(-p[1] * p[0]) / p[1],
    ),
    "where the function decides": (
        lambda p: quad(lambda x: np.where(x * x < p[0], p[1], 0.0), -3, 3)[0],
        lambda p: 2 * p[1] * jnp.sqrt(p[0]),
    ),
    "with limits that move": (
        lambda p: quad(lambda x: np.sign(x - p[1]) * x, -p[0], 2 * p[0])[0],
        lambda p: -(p[1] ** 2 - p[0] ** 2) / 2 + (4 * p[0] ** 2 - p[1] ** 2) / 2,
    ),
    "steps": (
        lambda p: quad(lambda x: np.floor(x * p[0]), 0, 3)[0],
        lambda p: sum(3.0 - k / p[0] for k in (1, 2, 3)),
    ),
    "a size": (
        lambda p: quad(lambda x: np.abs(x - p[0]) * p[1], 0, 2)[0],
        lambda p: p[1] * (p[0] ** 2 + (2 - p[0]) ** 2) / 2,
    ),
    "from where there is nothing": (
        lambda p: quad(lambda x: max(x - p[0], 0) * stats.lognorm.pdf(x, p[1]), 0, np.inf)[0],
        lambda p: (
            jnp.exp(p[1] ** 2 / 2) * jax.scipy.stats.norm.cdf(p[1] - jnp.log(p[0]) / p[1])
            - p[0] * jax.scipy.stats.norm.sf(jnp.log(p[0]) / p[1])
        ),
    ),
    "several at once": (
        lambda p: np.sum(quad_vec(lambda x: np.where(x < p, x, 1.0), 0, 2)[0] * np.array([1.0, 2.0])),
        lambda p: jnp.sum((p**2 / 2 + 2 - p) * jnp.array([1.0, 2.0])),
    ),
    "in a halving point": (
        lambda p: quad(lambda x: np.where(x < p[0] - 0.3, p[1], 2.0), 0, 2)[0],
        lambda p: p[1] * (p[0] - 0.3) + 2.0 * (2.3 - p[0]),
    ),
    "by two numbers": (
        lambda p: dblquad(lambda y, x: np.where(y < p[0] * x, p[1], 0.0), 0, 0.5, 0, 1)[0],
        lambda p: p[1] * p[0] / 8,
    ),
    "outside": (
        lambda p: quad(lambda x: np.where(x < p[0], p[1] * x, 0.0), 0, 1)[0],
        lambda p: p[1] / 2,
    ),
}
"""By what decides: an integral, and it in closed form."""


@pytest.mark.parametrize("name", CASES)
def test_derivatives_know_of_jumps(name, embedded):
    loss, closed = CASES[name]
    f = embedded.function(loss, POINT)
    value, gradient = f.value_and_grad(POINT)
    assert value == pytest.approx(float(closed(jnp.asarray(POINT))), rel=1e-7)
    np.testing.assert_allclose(gradient, compiled.grad(closed)(POINT), rtol=2e-7, atol=1e-7)
    tangent = np.array([1.0, -0.5])
    expected = compiled.hessian(closed)(POINT) @ tangent
    np.testing.assert_allclose(f.hvp(POINT, tangent=tangent), expected, rtol=1e-5, atol=1e-5)


def test_a_planted_rule_without_jumps_is_seen(embedded, monkeypatch):
    monkeypatch.setattr(quadrature, "changes", lambda one, other: one != one)
    with pytest.raises(AssertionError):
        test_derivatives_know_of_jumps("a choice", embedded)
