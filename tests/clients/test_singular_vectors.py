"""Singular vectors of complex matrices, in losses that no phase changes: values are NumPy's, derivatives JAX's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import NotDifferentiable
from tests import compiled

_rng = np.random.default_rng(4)
DIRECTION = _rng.normal(size=5) + 1j * _rng.normal(size=5)


def _loss(xp):
    def loss(z):
        u, s, vh = xp.linalg.svd(z, full_matrices=False)
        low = (u[..., :2] * s[..., None, :2]) @ vh[..., :2, :]
        overlap = xp.abs(xp.conj(u[..., 0]) @ DIRECTION[: z.shape[-2]]) ** 2
        other = xp.abs(vh[..., 1, :] @ DIRECTION[: z.shape[-1]]) ** 2
        return xp.sum(xp.abs(low[..., 0, :]) ** 2) + xp.sum(overlap + other) + xp.sum(xp.log(s)) / 10

    return loss


@pytest.mark.parametrize("shape", [(4, 3), (3, 5), (3, 3), (2, 5, 2)])
def test_derivatives_are_those_of_jax(shape, embedded):
    z = _rng.normal(size=shape) + 1j * _rng.normal(size=shape)
    value, gradient = embedded.function(_loss(np)).value_and_grad(z)
    assert np.isclose(value, _loss(np)(z), rtol=1e-12)
    with jax.enable_x64(True):
        expected = np.asarray(compiled.grad(_loss(jnp))(jnp.asarray(z)))
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-11)
    assert not np.allclose(np.conj(gradient), expected, rtol=1e-3)


def test_vectors_are_orthonormal_and_give_the_matrix(embedded):
    z = _rng.normal(size=(5, 3)) + 1j * _rng.normal(size=(5, 3))
    u, s, vh = embedded.function(lambda z: np.linalg.svd(z, full_matrices=False))(z)
    np.testing.assert_allclose((u * s) @ vh, z, atol=1e-13)
    np.testing.assert_allclose(u.conj().T @ u, np.eye(3), atol=1e-13)
    np.testing.assert_allclose(s, np.linalg.svdvals(z), rtol=1e-13)


def test_a_phase_is_refused_and_what_no_matrix_determines_is_nan(embedded):
    z = _rng.normal(size=(3, 3)) + 1j * _rng.normal(size=(3, 3))
    with pytest.raises(NotDifferentiable, match="phase"):
        embedded.function(lambda z: np.sum(np.linalg.svd(z)[0].real)).grad(z)
    u, s, _ = embedded.function(lambda z: np.linalg.svd(np.outer(z, z)))(z[0])
    assert s[1] < 1e-12
    assert np.isnan(u[:, 1:]).all()
    assert not np.isnan(u[:, 0]).any()
