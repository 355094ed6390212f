"""ADBench's Gaussian mixture, written in NumPy, through the service on Ray, against JAX."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytestmark = [pytest.mark.data, pytest.mark.ray]


@dataclass(frozen=True)
class Mixture:
    """The data of one instance, and the parameters to differentiate."""

    parameters: dict[str, Any]
    points: Any
    gamma: float
    m: int


def read(path: Path) -> Mixture:
    numbers = iter(path.read_text().split())

    def take(*shape):
        return np.array([float(next(numbers)) for _ in range(math.prod(shape))]).reshape(shape)

    d, k, n = (int(next(numbers)) for _ in range(3))
    alpha, mu, icf, x = take(k), take(k, d), take(k, d + d * (d - 1) // 2), take(n, d)
    return Mixture({"alpha": alpha, "mu": mu, "icf": icf}, x, float(next(numbers)), int(next(numbers)))


def log_posterior(np_, mixture: Mixture, alpha, mu, icf):
    """The objective of the benchmark's README, in any NumPy-like namespace."""
    x, d, k = mixture.points, mu.shape[1], mu.shape[0]
    n = x.shape[0]
    q, lower = icf[:, :d], icf[:, d:]
    # Column by column, the strictly lower part of a matrix; position -1 is a zero put in front.
    position = np.full((d, d), -1)
    position.T[np.triu_indices(d, 1)] = np.arange(d * (d - 1) // 2)
    padded = np_.concatenate([np_.zeros((k, 1)), lower], axis=1)
    triangle = padded[:, (position + 1).reshape(-1)].reshape((k, d, d))
    centred = x[:, None, :] - mu[None, :, :]
    scaled = np_.exp(q)[None] * centred + np_.einsum("kij,nkj->nki", triangle, centred)
    scores = alpha + np_.sum(q, axis=1) - 0.5 * np_.sum(scaled**2, axis=2)
    top = np_.max(scores, axis=1)
    likelihood = np_.sum(top + np_.log(np_.sum(np_.exp(scores - top[:, None]), axis=1)))
    top = np_.max(alpha)
    weights = top + np_.log(np_.sum(np_.exp(alpha - top)))
    gamma, m = mixture.gamma, mixture.m
    prior = np_.sum(
        0.5 * gamma**2 * (np_.sum(np_.exp(2 * q), axis=1) + np_.sum(lower**2, axis=1)) - m * np_.sum(q, axis=1)
    )
    big_n = d + m + 1
    log_gamma = 0.25 * d * (d - 1) * math.log(math.pi) + sum(math.lgamma(0.5 * (big_n - j)) for j in range(d))
    constant = k * (big_n * d * math.log(gamma / math.sqrt(2)) - log_gamma)
    return likelihood - n * weights - 0.5 * n * d * math.log(2 * math.pi) + prior - constant


@pytest.mark.parametrize("name", ["gmm_d10_K25", "gmm_d64_K25"])
def test_equals_jax(service, data_folder, name):
    from gradserve.client import Client

    jax.config.update("jax_enable_x64", True)
    mixture = read(data_folder / "adbench" / f"{name}.txt")
    with Client(service.address, timeout=300.0) as client:
        f = client.function(lambda alpha, mu, icf: log_posterior(np, mixture, alpha, mu, icf), **mixture.parameters)
        f.placement = "cluster"
        value, gradient = f.value_and_grad(**mixture.parameters)
        assert f.last_report
        assert f.last_report.placement == "cluster"
        signs = np.random.default_rng(0)
        direction = {key: signs.choice([-1.0, 1.0], x.shape) for key, x in mixture.parameters.items()}
        product = f.hvp(**mixture.parameters, tangent=direction)
    names = list(mixture.parameters)
    derivative = jax.value_and_grad(lambda *p: log_posterior(jnp, mixture, *p), argnums=tuple(range(len(names))))
    point = tuple(mixture.parameters.values())
    expected, expected_gradient = derivative(*point)
    _, expected_product = jax.jvp(lambda *p: derivative(*p)[1], point, tuple(direction.values()))
    assert abs(value - expected) <= 1e-10 * abs(expected)
    for key, wanted in zip(names, expected_gradient, strict=True):
        assert np.max(np.abs(gradient[key] - wanted)) <= 1e-10 * np.max(np.abs(wanted)), key
    for key, wanted in zip(names, expected_product, strict=True):
        assert np.max(np.abs(product[key] - wanted)) <= 1e-9 * np.max(np.abs(wanted)), key
