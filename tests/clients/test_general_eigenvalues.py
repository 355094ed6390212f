"""Eigenvalues of general matrices: derivatives of simple ones, whatever the others are, and refusals of the others'."""

import mpmath as mp
import numpy as np
import pytest
import scipy.linalg

from gradserve.client import NotDifferentiable, NumericalFailure
from gradserve.ops.spectral.general import OfSimple

RATES = np.array([0.9, 0.3, 0.1])


def reproduction(p):
    """The basic reproduction number, of a next generation matrix of rank one."""
    rate, incubation, recovery = p
    new = np.array([[0, rate, rate / 2], [0, 0, 0], [0, 0, 0]])
    moves = np.array([[incubation, 0, 0], [-incubation, recovery, 0], [0, -recovery / 2, recovery]])
    return np.max(np.abs(np.linalg.eigvals(new @ np.linalg.inv(moves))))


def growth(p):
    """The growth of a population whose last ages have no young: zeros of its matrix are defective."""
    return np.max(np.linalg.eigvals(scipy.linalg.leslie(np.array([0, p[0], p[1], 0, 0]), [0.5, 0.4, 0.3, 0.2])).real)


def central(function, x, h=1e-5):
    return np.array([(function(x + h * e) - function(x - h * e)) / (2 * h) for e in np.eye(len(x))])


def test_a_largest_eigenvalue_beside_equal_ones(client):
    found = client.function(reproduction).grad(RATES)
    np.testing.assert_allclose(found, central(reproduction, RATES), rtol=1e-8, atol=1e-9)


def test_a_largest_eigenvalue_beside_defective_ones(client):
    point = np.array([1.2, 0.9])
    np.testing.assert_allclose(client.function(growth).grad(point), central(growth, point), rtol=1e-8)


def test_second_derivatives_are_those_of_the_roots(client):
    """x^2 - a x - b: both roots are known."""
    point = np.array([1.3, -2.0])

    def precise(a, b):
        return mp.im((a + mp.sqrt(a * a + 4 * b)) / 2)

    f = client.function(lambda p: np.max(np.roots(np.array([1.0, -p[0], -p[1]])).imag))
    rows = f.hessian(point)
    for i in range(2):
        for j in range(2):
            orders = (int(i == 0) + int(j == 0), int(i == 1) + int(j == 1))
            assert rows[i, j] == pytest.approx(float(mp.diff(precise, tuple(point), orders)), rel=1e-10)


def test_vectors_keep_lengths_and_phases(client):
    """Their derivatives are those of NumPy's own vectors, the complex ones as well."""
    a = np.array([[0.5, -2.0, 0.3], [1.0, 0.25, 0.1], [0.2, -0.4, 0.9]])
    weights = np.random.default_rng(3).normal(size=(2, 3, 3))

    def loss(x):
        v = np.linalg.eig(x.reshape(3, 3)).eigenvectors
        return np.sum(weights[0] * v.real + weights[1] * v.imag)

    np.testing.assert_allclose(client.function(loss).grad(a.ravel()), central(loss, a.ravel()), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "matrix",
    [np.eye(2), np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[2.0, 1.0, 0], [0, 2.0, 1.0], [0, 0, 2.0]])],
    ids=["equal", "defective", "defective of three"],
)
def test_eigenvalues_that_are_not_simple_are_refused(embedded, matrix):
    f = embedded.function(lambda a: np.sum(np.linalg.eigvals(a).real ** 2))
    assert f(matrix) == pytest.approx(np.sum(np.diag(matrix) ** 2), rel=1e-4)
    with pytest.raises(NotDifferentiable, match="equal to another or defective"):
        f.grad(matrix)


def test_without_its_guard_such_a_gradient_would_come_back(embedded, monkeypatch):
    monkeypatch.setattr(OfSimple, "guards", property(lambda self: ()))
    found = embedded.function(lambda a: np.sum(np.linalg.eigvals(a).real ** 2)).grad(np.eye(2))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", ["sqrtm", "logm"])
def test_real_matrices_without_a_real_function_are_refused(embedded, name):
    function = getattr(scipy.linalg, name)
    matrix = np.array([[1.0, 2.0], [0.0, -3.0]])
    with pytest.raises(NumericalFailure, match=r"write it of A.astype\(complex\)"):
        embedded.function(lambda a: np.sum(function(a)))(matrix)
    f = embedded.function(lambda a: np.sum(np.abs(function(a.astype(complex))) ** 2))
    theirs = lambda x: np.sum(np.abs(function(x.reshape(2, 2).astype(complex))) ** 2)  # noqa: E731
    np.testing.assert_allclose(f(matrix), theirs(matrix.ravel()), rtol=1e-12)
    upper = np.array([[1.0, 2.0], [0.3, -3.0]])
    expected = central(theirs, upper.ravel()).reshape(2, 2)
    np.testing.assert_allclose(f.grad(upper), expected, rtol=1e-6, atol=1e-8)


def test_a_system_that_nothing_regulates_is_refused(embedded):
    f = embedded.function(
        lambda a: np.sum(scipy.linalg.solve_continuous_are(a, np.zeros((2, 1)), np.eye(2), np.eye(1)))
    )
    with pytest.raises(NumericalFailure, match="no solution that makes the system stable"):
        f(np.diag([1.0, 2.0]))
