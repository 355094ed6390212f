"""Losses that people train with, through the service on Ray: gradients and Hessian-vector products equal to JAX's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from gradserve.client import Client
from tests.system.networks import JAX, NETWORKS, OURS, Network, lstm

pytestmark = pytest.mark.ray

TOLERANCE = 1e-9


def relative_error(found: Any, expected: Any) -> float:
    """The largest error over the largest entry, over all leaves of two trees."""
    pairs = list(zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True))
    return float(max(np.max(np.abs(a - b)) for a, b in pairs) / max(np.max(np.abs(b)) for _, b in pairs))


def direction(parameters: Any) -> Any:
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: np.asarray(rng.choice([-1.0, 1.0], np.shape(x))), parameters)


def check(service: Any, network: Network) -> None:
    jax.config.update("jax_enable_x64", True)
    point, v = network.parameters, direction(network.parameters)

    def theirs(p: Any) -> Any:
        return network.loss(JAX, p)

    value, gradient = jax.jit(jax.value_and_grad(theirs))(point)
    product = jax.jit(lambda p, t: jax.jvp(jax.grad(theirs), (p,), (t,))[1])(point, v)
    with Client(service.address, timeout=300.0) as client:
        f = client.function(lambda p: network.loss(OURS, p), point)
        f.placement = "cluster"
        found_value, found_gradient = f.value_and_grad(point)
        assert f.last_report
        assert f.last_report.placement == "cluster"
        found_product = f.hvp(point, tangent=v)
    assert abs(found_value - value) < TOLERANCE * abs(value)
    assert relative_error(found_gradient, gradient) < TOLERANCE
    assert relative_error(found_product, product) < TOLERANCE


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
def test_equals_jax(service, network):
    check(service, network)


def sequence_of(path: Path) -> Network:
    lines = [np.array(line.split(), float) for line in path.read_text().splitlines() if line.strip()]
    (layers, _, _), lines = lines[0].astype(int), lines[1:]
    main, extra, state = lines[: 2 * layers], lines[2 * layers : 2 * layers + 3], lines[2 * layers + 3 :][: 2 * layers]
    return lstm(np.array(main), np.array(extra), np.array(state), np.array(lines[4 * layers + 3 :]))


@pytest.mark.data
def test_lstm_equals_jax(service, data_folder):
    network = sequence_of(data_folder / "adbench" / "lstm_l2_c1024.txt")
    assert network.parameters["main"].shape == (4, 56)
    check(service, network)


def test_a_small_lstm_equals_jax(service):
    rng = np.random.default_rng(5)
    main, extra, state = rng.standard_normal((4, 12)), rng.standard_normal((3, 3)), rng.standard_normal((4, 3))
    check(service, lstm(main, extra, state, np.eye(3)[rng.integers(0, 3, 40)]))


def test_an_error_in_the_ninth_digit_is_seen():
    tree = {"a": np.ones(3), "b": np.full(2, 5.0)}
    assert relative_error(jax.tree.map(lambda x: x * (1 + 1e-8), tree), tree) > TOLERANCE
