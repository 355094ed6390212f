"""Solvers and Jacobians within a loss, of complex numbers: against closed forms, SciPy and JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from gradserve.client import functions
from tests import compiled

jax.config.update("jax_enable_x64", True)
ENERGY = np.array([[1.0, 0.3, 0.0], [0.3, -0.5, 0.2], [0.0, 0.2, 0.4]])
DRIVE = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
STATE = np.array([1.0, 0.0, 0.0], complex)
POINT = np.array([0.4, 1.1])


def schroedinger(psi, t, p):
    return -1j * ((ENERGY + p[0] * np.cos(p[1] * t) * DRIVE) @ psi)


def transferred(p):
    found = scipy.integrate.solve_ivp(lambda t, y: schroedinger(y, t, p), (0, 2), STATE, rtol=1e-12, atol=1e-13)
    return abs(found.y[2, -1]) ** 2


@pytest.mark.parametrize("options", [{}, {"method": "radau"}, {"adjoint": "equation"}], ids=str)
def test_states_of_a_driven_system(embedded, options):
    def loss(p):
        found = functions.odeint(schroedinger, STATE, np.linspace(0, 2, 3), p, rtol=1e-9, **options)
        return np.abs(found.y[-1, 2]) ** 2

    value, gradient = embedded.function(loss).value_and_grad(POINT)
    assert value == pytest.approx(transferred(POINT), rel=1e-7)
    expected = [(transferred(POINT + h) - transferred(POINT - h)) / 2e-5 for h in 1e-5 * np.eye(2)]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_roots_and_fixed_points(client):
    cube = client.function(lambda w: functions.root(lambda z: z**3 - (w[0] + 1j * w[1]), 1 + 0.5j).x.real)
    value, gradient = cube.value_and_grad(np.array([1.0, 2.0]))
    root, slope = (1 + 2j) ** (1 / 3), (1 + 2j) ** (-2 / 3) / 3
    np.testing.assert_allclose((value, *gradient), (root.real, slope.real, (1j * slope).real), rtol=1e-12)
    omega = client.function(lambda w: functions.fixed_point(lambda z: np.exp(-z * w), 0.5 + 0.1j).x.real)
    value, gradient = omega.value_and_grad(1.0)
    np.testing.assert_allclose((value, gradient), (0.5671432904097838, -(0.5671432904097838**2) / 1.5671432904097838))


def test_a_minimum_over_complex_numbers(client):
    def square(z):
        return np.real(z * np.conj(z))

    f = client.function(lambda w: functions.minimize(lambda z: square(z - (w + 1j)), 0.1j).x)
    assert f(0.8) == pytest.approx(0.8 + 1j)
    jacobian = f.jacobian(0.8)
    assert jacobian == pytest.approx(1.0)


def test_a_complex_integrand(client):
    f = client.function(lambda w: functions.quad(lambda x: np.exp(1j * w * x - x * x), -np.inf, np.inf).value.real)
    value, gradient = f.value_and_grad(0.8)
    np.testing.assert_allclose((value, gradient), np.sqrt(np.pi) * np.exp(-0.16) * np.array([1.0, -0.4]), rtol=1e-11)


def test_jacobians_follow_jax(client):
    z = np.array([0.3 + 0.2j, -0.5 + 1j])

    def reals(np_, w):
        return np_.stack([np_.abs(w[0] * w[1]) ** 2, np_.real(w[0] ** 2)])

    found = client.function(lambda z: functions.jacobian(lambda w: reals(np, w))(z))(z)
    np.testing.assert_allclose(found, compiled.jacrev(lambda w: reals(jnp, w))(z), rtol=1e-12)
    x = np.array([0.3, 0.8])
    found = client.function(lambda x: functions.jacobian(lambda y: {"a": np.exp(1j * y) * y[::-1]})(x)["a"])(x)
    np.testing.assert_allclose(found, compiled.jacfwd(lambda y: jnp.exp(1j * y) * y[::-1])(x), rtol=1e-12)
    loss = client.function(lambda z: np.sum(np.abs(functions.jacobian(lambda w: reals(np, w))(z)) ** 2))
    expected = compiled.grad(lambda z: jnp.sum(jnp.abs(jax.jacrev(lambda w: reals(jnp, w))(z)) ** 2))(z)
    np.testing.assert_allclose(loss.grad(z), expected, rtol=1e-12)
