"""Functions of matrices: SciPy's numbers, of one matrix and of stacks; their derivatives; what they refuse."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import pytest
import scipy.linalg

from gradserve.autodiff import derive
from gradserve.client import Client, functions
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import InvalidGraph, NotDifferentiable, NumericalFailure
from gradserve.questions.derivations import Hvp
from tests import compiled
from tests.clients.evaluation import assert_same, assert_traces, evaluate
from tests.numpy.test_derivatives import assert_gradient, assert_second_derivative, run

RANDOM = np.random.default_rng(11)
A, C = RANDOM.normal(size=(3, 3)), RANDOM.normal(size=(3, 2))
B = RANDOM.normal(size=(2, 2)) + 3 * np.eye(2)
P = A @ A.T + np.eye(3)
STACK = np.stack([P, 2 * P + np.eye(3), np.eye(3)])
TALL = RANDOM.normal(size=(4, 2))


def both(x):
    return (x + x.swapaxes(-1, -2)) / 2


def each(function):
    return lambda x: np.stack([np.asarray(function(m)) for m in x])


def polar(a):
    return scipy.linalg.polar(a)


CASES = {
    "expm": (functions.expm, scipy.linalg.expm, A),
    "sqrtm": (functions.sqrtm, lambda x: scipy.linalg.sqrtm(both(x)), P),
    "logm": (functions.logm, lambda x: scipy.linalg.logm(both(x)), P),
    "a power": (
        lambda x: functions.funm_sym(x, "power", -1.5),
        lambda x: scipy.linalg.fractional_matrix_power(both(x), -1.5),
        P,
    ),
    "tanh": (lambda x: functions.funm_sym(x, "tanh"), lambda x: scipy.linalg.tanhm(both(x)), P),
    "projection on semidefinite matrices": (
        lambda x: functions.funm_sym(x, "positive"),
        lambda x: (both(x) + scipy.linalg.sqrtm(both(x) @ both(x)).real) / 2,
        A + A.T,
    ),
    "polar, square": (functions.polar, polar, A),
    "polar, tall": (functions.polar, polar, TALL),
}


@pytest.mark.parametrize("name", CASES)
def test_numbers_and_derivatives(name):
    function, reference, at = CASES[name]
    assert_same(function(at), reference(at))
    assert_same(evaluate(trace(function, at), {next(iter(trace(function, at).inputs)): at}), reference(at))
    assert_gradient(function, [at])
    assert_second_derivative(function, [at])


@pytest.mark.parametrize("name", ["expm", "sqrtm", "logm", "a power", "tanh"])
def test_stacks(name):
    function, reference, _ = CASES[name]
    assert_same(function(STACK), each(reference)(STACK))
    assert_same(function(STACK[None]), each(each(reference))(STACK[None]))
    assert_gradient(function, [STACK])
    assert_second_derivative(function, [STACK])
    assert function(np.zeros((0, 3, 3))).shape == (0, 3, 3)
    assert function(np.zeros((2, 0, 0))).shape == (2, 0, 0)


@pytest.mark.parametrize("name", CASES)
def test_single_precision(name):
    function, reference, at = CASES[name]
    found, expected = function(at.astype(np.float32)), reference(at)
    for one, other in zip(*((x if isinstance(x, tuple) else (x,)) for x in (found, expected)), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)


def test_solutions():
    cases: list[tuple[Any, Any, Any]] = [
        (functions.solve_sylvester, scipy.linalg.solve_sylvester, (A, B, C)),
        (functions.solve_triangular, scipy.linalg.solve_triangular, (P, C)),
        (
            lambda a, b: functions.solve_triangular(a, b, trans=1, lower=True),
            lambda a, b: scipy.linalg.solve_triangular(a, b, trans=1, lower=True),
            (P, C[:, 0]),
        ),
        (
            lambda a, b: functions.cho_solve((np.linalg.cholesky(both(a)), True), b),
            lambda a, b: scipy.linalg.cho_solve((np.linalg.cholesky(both(a)), True), b),
            (P, C),
        ),
    ]
    for function, reference, arguments in cases:
        assert_same(function(*arguments), reference(*arguments))
        traced = trace(function, *arguments)
        assert_same(evaluate(traced, dict(zip(traced.inputs, arguments, strict=True))), reference(*arguments))
        assert_gradient(function, arguments)
        assert_second_derivative(function, arguments)


def test_solutions_of_stacks():
    a, b, c = np.stack([A, P]), np.stack([B, B @ B]), np.stack([C, -C])
    expected = np.stack([scipy.linalg.solve_sylvester(*each) for each in zip(a, b, c, strict=True)])
    assert_same(functions.solve_sylvester(a, b, c), expected)
    assert_gradient(functions.solve_sylvester, (a, b, c))


def eigenvalues(xp, a):
    return xp.sum(xp.exp(xp.linalg.eigvalsh(both(a)) / 2) ** 3)


def vectors(xp, a):
    return xp.sum(xp.linalg.eigh(both(a))[1][:, -1] ** 4)


def singular_vectors(xp, a):
    u, s, vh = xp.linalg.svd(a, full_matrices=False)
    return xp.sum(s**3) + xp.sum((u[:, 0] ** 2 * vh[0, 0]) ** 2) + xp.sum((u @ vh) ** 3)


def exponential(xp, a):
    expm = functions.expm if xp is np else jax.scipy.linalg.expm
    return xp.sum(expm(a) ** 2)


def least_squares(xp, a):
    return xp.sum(xp.linalg.lstsq(a, xp.arange(1.0, 5.0))[0] ** 2)


def factors(xp, a):
    q, r = xp.linalg.qr(a)
    return xp.sum(q**3) + xp.sum(xp.triu(r) ** 3)


def pseudoinverse(xp, a):
    return xp.sum(xp.linalg.pinv(a) ** 3)


def nuclear(xp, a):
    return xp.linalg.norm(a, "nuc")


HESSIANS = [
    (eigenvalues, A),
    (vectors, P),
    (singular_vectors, A),
    (exponential, A),
    (least_squares, TALL),
    (least_squares, RANDOM.normal(size=(4, 6))),
    (factors, TALL),
    (pseudoinverse, TALL),
    (nuclear, A),
]


@pytest.mark.parametrize(("loss", "at"), HESSIANS, ids=lambda x: getattr(x, "__name__", ""))
def test_second_derivatives_are_those_of_jax_where_values_are_simple(loss, at):
    direction = RANDOM.normal(size=at.shape)

    def ours(a):
        return loss(np, a)

    graph = derive(trace(ours, at).graph, Hvp(("a",)))
    product = run(graph, {"a": at, "tangent:a": direction})["product:a"]
    with jax.enable_x64(True):
        gradient = jax.grad(lambda a: loss(jnp, a))
        expected = compiled.jvp(gradient, (jnp.asarray(at),), (jnp.asarray(direction),))[1]
    np.testing.assert_allclose(product, expected, rtol=1e-8, atol=1e-8 * np.max(np.abs(expected)))


def test_what_has_no_derivative():
    singular = np.diag([1.0, 0.0, 0.0])
    with Client() as client:
        for function, message in [(functions.sqrtm, "sqrt of a symmetric matrix"), (functions.logm, "log")]:

            def loss(a, function=function):
                return np.sum(function(a))

            with pytest.raises(NotDifferentiable, match=message):
                client.function(loss).grad(singular)
        with pytest.raises(NumericalFailure, match="an eigenvalue of A is the opposite of one of B"):
            client.function(lambda a: np.sum(functions.solve_sylvester(a, -A, A)))(A)


def test_what_is_no_matrix():
    with pytest.raises(InvalidGraph, match="is no square matrix"):
        functions.expm(TALL)
    with pytest.raises(InvalidGraph, match="is none of abs, cos"):
        functions.funm_sym(A, "tan")
    with pytest.raises(InvalidGraph, match="is no matrix"):
        functions.polar(A[0])


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)])
@pytest.mark.parametrize(
    "function",
    [
        np.linalg.inv,
        np.linalg.det,
        lambda x: np.linalg.slogdet(x)[1],
        np.linalg.cholesky,
        np.linalg.eigvalsh,
        lambda x: np.linalg.eigh(x)[1],
        lambda x: np.linalg.svd(x)[0],
        np.linalg.svdvals,
        lambda x: np.linalg.qr(x)[1],
        lambda x: np.linalg.matrix_power(x, 3),
    ],
)
def test_empty_matrices(function, shape):
    x = np.zeros(shape)
    assert_traces(function, x)
    assert_gradient(function, [x])
    assert_second_derivative(function, [x])
