"""Derived functions: NumPy's and SciPy's values for their arguments, JAX's derivatives, and the corner cases."""

import jax.numpy as jnp
import jax.scipy.special
import numpy as np
import pytest
import scipy.linalg
import scipy.special

from gradserve import numpy as functions
from gradserve.autodiff.kinks import kinks
from gradserve.ir.errors import InvalidGraph
from gradserve.ops import builder
from tests.ops.support import agree, check_derivatives, evaluate, f64, gradients, normal, trace
from tests.rows import in_one
from tests.running import prepared

X = normal(2, 3, 4)
M = normal(3, 4, seed=1)
S = normal(4, 4, seed=2) + 2 * np.eye(4)
V = normal(4, seed=3)
W = normal(4, seed=4)
INTEGERS = np.array([[3, 0, 2], [1, 5, 5]])
TRUTHS = np.array([[True, False], [True, True]])
AXES = [None, 0, -1, (0, 2), (2, 0), ()]


@in_one
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "var", "std", "any", "all", "count_nonzero"])
def test_reductions(name, axis, keepdims):
    function, reference = getattr(functions, name), getattr(np, name)
    agree(lambda x: function(x, axis, keepdims=keepdims), lambda x: reference(x, axis, keepdims=keepdims), X)


@in_one
@pytest.mark.parametrize("x", [INTEGERS, TRUTHS, X.astype(np.float32), np.float64(2.5)], ids=lambda x: str(x.dtype))
@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "all", "count_nonzero", "cumsum"])
def test_reductions_of_other_elements(name, x):
    found, expected = evaluate(getattr(functions, name), x), getattr(np, name)(x)
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions(name, axis, keepdims):
    function, reference = getattr(functions, name), getattr(np, name)
    agree(lambda x: function(x, axis, keepdims=keepdims), lambda x: reference(x, axis, keepdims=keepdims), X)


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_cumsum(axis):
    agree(lambda x: functions.cumsum(x, axis), lambda x: np.cumsum(x, axis), X)


def test_var_counts_degrees_of_freedom():
    agree(lambda x: functions.var(x, 0, ddof=1), lambda x: np.var(x, 0, ddof=1), M)
    with np.errstate(all="ignore"):
        assert np.isnan(evaluate(lambda x: functions.var(x, ddof=1), np.ones(1)))
    assert np.isnan(evaluate(functions.mean, np.zeros(0)))


def test_average():
    agree(lambda x, w: functions.average(x, 1, w), lambda x, w: np.average(x, 1, w), M, V)
    agree(lambda x, w: functions.average(x, None, w), lambda x, w: np.average(x, None, w), M, M + 3)
    agree(functions.average, np.average, M)


@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (lambda x: functions.mean(x, 1), lambda x: jnp.mean(x, 1)),
        (lambda x: functions.var(x, (0, 2), ddof=1), lambda x: jnp.var(x, (0, 2), ddof=1)),
        (lambda x: functions.std(x, 1), lambda x: jnp.std(x, 1)),
        (lambda x: functions.logsumexp(x, 1), lambda x: jax.scipy.special.logsumexp(x, 1)),
        (lambda x: functions.softmax(x, -1), lambda x: jax.nn.softmax(x, -1)),
        (lambda x: functions.log_softmax(x, (0, 1)), lambda x: jax.nn.log_softmax(x, (0, 1))),
        (lambda x: functions.norm(x, axis=1), lambda x: jnp.linalg.norm(x, axis=1)),
        (lambda x: functions.norm(x, 3, axis=2), lambda x: jnp.linalg.norm(x, 3, axis=2)),
        (lambda x: functions.roll(functions.flip(x, 1), 3), lambda x: jnp.roll(jnp.flip(x, 1), 3)),
        (lambda x: functions.tile(x, (2, 1, 2)), lambda x: jnp.tile(x, (2, 1, 2))),
        (lambda x: functions.diagonal(x, 1, 2, 0), lambda x: jnp.diagonal(x, 1, 2, 0)),
        (lambda x: functions.einsum("ijk,ljk->il", x, x), lambda x: jnp.einsum("ijk,ljk->il", x, x)),
    ],
)
def test_derivatives(function, reference):
    check_derivatives(function, reference, X)


@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_exponentials(name, axis):
    function, reference = getattr(functions, name), getattr(scipy.special, name)
    for scale in (1, 1000):
        agree(lambda x: function(x, axis), lambda x: reference(x, axis), X * scale)
    agree(lambda x: function(x, axis), lambda x: reference(x, axis), M[:, :1] - 1e6)


def test_logsumexp_keeps_axes():
    agree(
        lambda x: functions.logsumexp(x, (0, 2), keepdims=True),
        lambda x: scipy.special.logsumexp(x, (0, 2), keepdims=True),
        X,
    )


def test_logsumexp_at_minus_infinity():
    x = np.array([[-np.inf, 1.0, 2.0], [-np.inf, -np.inf, -np.inf], [np.inf, 0.0, 1.0]])
    agree(lambda x: functions.logsumexp(x, 1), lambda x: scipy.special.logsumexp(x, 1), x)
    (gradient,) = gradients(lambda x: functions.logsumexp(x, 1), x[:2])
    np.testing.assert_allclose(gradient, [[0, *scipy.special.softmax([1.0, 2.0])], [0, 0, 0]])
    agree(lambda x: functions.softmax(x, 1), lambda x: scipy.special.softmax(x, 1), x[:1])
    assert np.isnan(evaluate(functions.logsumexp, np.array([np.nan, 1.0])))


def test_logsumexp_of_nothing():
    np.testing.assert_array_equal(evaluate(lambda x: functions.logsumexp(x, 0), np.zeros((0, 2))), [-np.inf] * 2)
    assert evaluate(lambda x: functions.logsumexp(x, 0), np.zeros((2, 0))).shape == (0,)


def test_the_shift_of_logsumexp_has_no_kinks():
    """Not even where several terms are the largest."""
    ties = np.ones(3)
    counts = prepared(kinks(trace(functions.logsumexp, ties), ("x0",)))({"x0": ties})
    assert not any(counts.values())


@pytest.mark.parametrize("function", [functions.norm, functions.std])
def test_a_root_has_derivative_zero_where_it_vanishes(function):
    np.testing.assert_array_equal(gradients(function, np.zeros(3))[0], np.zeros(3))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("order", [None, 0, 1, 2, 3, 0.5, -1, np.inf, -np.inf])
def test_norms_of_vectors(order, keepdims):
    agree(
        lambda x: functions.norm(x, order, 1, keepdims),
        lambda x: np.linalg.norm(x, order, 1, keepdims),
        X,
    )


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [(0, 1), (2, 0), (-1, 1)])
@pytest.mark.parametrize("order", [None, "fro", 1, -1, np.inf, -np.inf])
def test_norms_of_matrices(order, axis, keepdims):
    agree(lambda x: functions.norm(x, order, axis, keepdims), lambda x: np.linalg.norm(x, order, axis, keepdims), X)
    agree(lambda x: functions.norm(x, order), lambda x: np.linalg.norm(x, order), M)


def test_norm_of_all_elements():
    agree(functions.norm, np.linalg.norm, X)


def test_questions():
    x = np.array([0.0, np.inf, -np.inf, np.nan, 1.0])
    agree(functions.isnan, np.isnan, x)
    agree(functions.isinf, np.isinf, x)
    agree(functions.isclose, np.isclose, x, np.array([1e-9, np.inf, np.inf, np.nan, 1.1]))


def test_systems():
    b = normal(4, 2, seed=5)
    agree(functions.solve, np.linalg.solve, S, b)
    agree(functions.solve, np.linalg.solve, S, V)
    agree(functions.solve, np.linalg.solve, np.stack([S, 2 * S]), b)
    agree(functions.inv, np.linalg.inv, S)
    agree(functions.det, np.linalg.det, S)
    agree(lambda x: functions.slogdet(x)[1], lambda x: np.linalg.slogdet(x)[1], S)
    agree(lambda x: functions.det(x), lambda x: np.linalg.det(x), np.array([[1, 2], [3, 5]]))


@pytest.mark.parametrize("exponent", [0, 1, 2, 5, -3])
def test_matrix_power(exponent):
    agree(lambda x: functions.matrix_power(x, exponent), lambda x: np.linalg.matrix_power(x, exponent), S)


def test_factors():
    symmetric, b = S @ S.T, normal(4, 2, seed=5)
    agree(functions.cholesky, np.linalg.cholesky, symmetric)
    agree(lambda x: functions.cholesky(x, upper=True), lambda x: np.linalg.cholesky(x).T, symmetric)
    agree(
        lambda a, b: functions.solve_triangular(a, b, trans="T", lower=True),
        lambda a, b: scipy.linalg.solve_triangular(a, b, trans="T", lower=True),
        S,
        b,
    )


@pytest.mark.parametrize("lower", [True, False])
def test_cho_solve(lower):
    def solved(a, b):
        return functions.cho_solve((functions.cholesky(a, upper=not lower), lower), b)

    agree(solved, np.linalg.solve, S @ S.T, normal(4, 2, seed=5))


def test_arrays_and_numbers_become_constants():
    agree(lambda x: functions.matmul(M, x), lambda x: M @ x, V)
    agree(lambda x: functions.dot(2.0, x), lambda x: 2 * x, V)
    with pytest.raises(TypeError, match="at least one operand must be a value"):
        functions.dot(V, W)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: functions.sum(x, 3), "sum: axis 3 is out of bounds for f64[2,3,4]"),
        (lambda x: functions.mean(x, (0, -3)), r"axes \(0, -3\) name an axis twice"),
        (lambda x: functions.reshape(x, (5, -1)), r"reshape: f64\[2,3,4\] does not fit the shape \(5, -1\)"),
        (lambda x: functions.squeeze(x, 0), "squeeze: f64.2,3,4. is longer than 1"),
        (lambda x: functions.split(x, 3), "split: f64.2,3,4. has no 3 equal parts along axis 0"),
        (lambda x: functions.matmul(x, 2.0), "matmul: scalars have no product of matrices"),
        (lambda x: functions.matmul(x, np.ones((3, 4, 2))), "leading axes of .* do not broadcast"),
        (lambda x: functions.matmul(x, x), "inner lengths differ: 4 from f64.2,3,4. and 3 from f64.2,3,4."),
        (lambda x: functions.norm(x, "nuc", 0), "there is no norm of order 'nuc' along 1 axes"),
        (lambda x: functions.norm(x, 3, (0, 1)), "there is no norm of order 3 along 2 axes"),
        (lambda x: functions.diagonal(x, 0, 1, 1), "axes 1 and 1 of f64.2,3,4. are one"),
        (lambda x: functions.tensordot(x, x, 4), "do not both have 4 axes"),
        (lambda x: functions.stack([x, functions.ravel(x)]), "shapes differ"),
        (lambda x: functions.moveaxis(x, (0, 1), 0), "differ in length"),
    ],
)
def test_refusals(function, message):
    g = builder()
    with pytest.raises(InvalidGraph, match=message.replace("f64[2,3,4]", r"f64\[2,3,4\]")):
        function(g.input("x", f64(2, 3, 4)))
