"""Linear algebra: NumPy's and SciPy's values, JAX's derivatives, and matrices that have no answer."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import pytest

from gradserve.autodiff import derive, vmap
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops.linalg.cholesky import Cholesky, CholeskyCotangent, CholeskyTangent
from gradserve.ops.linalg.determinants import Det, Slogdet
from gradserve.ops.linalg.matrices import Inv
from gradserve.ops.linalg.solve import Solve, TriangularSolve
from gradserve.questions.derivations import Gradient
from tests.ops.support import check_derivatives, evaluate, f64, gradients, infer, normal, refusal, run, trace
from tests.running import program_of

A = normal(3, 3) + 2 * np.eye(3)
BATCH = normal(2, 4, 4, seed=1) + 3 * np.eye(4)
SYMMETRIC = A @ A.T
B = normal(3, 2, seed=2)
SINGULAR = np.ones((2, 2))


def of(name, **attributes):
    return lambda *operands: operands[0].builder.emit_all(name, *operands, **attributes)[-1]


def triangular(lower, transposed):
    return of("triangular_solve", lower=lower, transposed=transposed)


@pytest.mark.parametrize("x", [A, BATCH, A[:1, :1], np.zeros((0, 0))], ids=lambda x: str(x.shape))
@pytest.mark.parametrize("name", ["inv", "det"])
def test_values(name, x):
    np.testing.assert_allclose(evaluate(of(name), x), getattr(np.linalg, name)(x))


def test_values_of_slogdet():
    sign, logarithm = evaluate(lambda x: x.builder.emit_all("slogdet", x), -BATCH[:, :3, :3])
    expected = np.linalg.slogdet(-BATCH[:, :3, :3])
    np.testing.assert_array_equal(sign, expected.sign)
    np.testing.assert_allclose(logarithm, expected.logabsdet)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("inv", jnp.linalg.inv),
        ("det", jnp.linalg.det),
        ("slogdet", lambda x: jnp.linalg.slogdet(x)[1]),
        ("cholesky", lambda x: jnp.linalg.cholesky(x @ jnp.swapaxes(x, -1, -2))),
    ],
)
def test_derivatives(name, reference):
    def function(value):
        g = value.builder
        rank = value.type.rank
        along = tuple(range(rank - 2))
        last = (rank - 1,)
        if name == "cholesky":
            value = g.contract(value, value, lhs_contract=last, rhs_contract=last, lhs_batch=along, rhs_batch=along)
        return of(name)(value)

    check_derivatives(function, reference, BATCH, tolerance=1e-8)


def test_cholesky_of_a_symmetric_matrix_is_numpys():
    np.testing.assert_array_equal(evaluate(of("cholesky"), SYMMETRIC), np.linalg.cholesky(SYMMETRIC))


def test_cholesky_differentiates_the_lower_triangle_that_it_reads():
    # The derivative is that of the function computed: also for directions, and matrices, that are not symmetric.
    def mirrored(x):
        return jnp.linalg.cholesky(jnp.tril(x) + jnp.tril(x, -1).T)

    check_derivatives(of("cholesky"), mirrored, SYMMETRIC + 0.1 * normal(3, 3, seed=5), tolerance=1e-8)
    (ct,) = gradients(of("cholesky"), SYMMETRIC)
    np.testing.assert_array_equal(np.triu(ct, 1), 0.0)


@pytest.mark.parametrize("n", [1, 24, 25, 40, 65])
def test_factors_move_by_halves_as_by_the_whole(n):
    factor = np.linalg.cholesky(normal(n, n) @ normal(n, n).T / n + np.eye(n))
    beside = normal(2, n, n, seed=1)
    for op in (CholeskyTangent(), CholeskyCotangent()):
        by_halves = op.impl(np, factor + np.triu(beside[0], 1), beside)  # what is above the diagonal is not read
        with jax.enable_x64(True):
            given: list[Any] = [jnp.asarray(factor), jnp.asarray(beside)]
            at_once = op.impl(jnp, *given)
        np.testing.assert_allclose(by_halves, at_once, rtol=1e-9, atol=1e-9)
    moved = CholeskyTangent().impl(np, factor, beside[0])
    np.testing.assert_array_equal(moved, np.tril(moved))
    np.testing.assert_allclose(moved @ factor.T + factor @ moved.T, (beside[0] + beside[0].T) / 2, atol=1e-12)


def test_the_gradient_through_a_factor_costs_at_most_four_factors():
    graph = trace(lambda x: x.builder.reduce_sum(of("cholesky")(x), axes=(0, 1)), np.eye(100))
    assert program_of(derive(graph, Gradient(("x0",)))).flops <= 4 * program_of(graph).flops


@pytest.mark.parametrize("b", [B, B[:, :0], B[:, :1]], ids=lambda x: str(x.shape))
def test_values_of_solve(b):
    np.testing.assert_allclose(evaluate(of("solve"), A, b), np.linalg.solve(A, b))


def test_derivatives_of_solve():
    check_derivatives(of("solve"), jnp.linalg.solve, BATCH, normal(2, 4, 3), tolerance=1e-8)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_triangular_solve(lower, transposed):
    # The elements of A outside the triangle are there, and are not read.
    function = triangular(lower, transposed)
    triangle = np.tril(A) if lower else np.triu(A)
    expected = np.linalg.solve(triangle.T if transposed else triangle, B)
    np.testing.assert_allclose(evaluate(function, A, B), expected)
    np.testing.assert_allclose(
        evaluate(function, np.stack([A, 2 * A]), np.stack([B, B])), np.stack([expected, expected / 2])
    )

    def reference(a, b):
        return jax.scipy.linalg.solve_triangular(a, b, trans=int(transposed), lower=lower)

    check_derivatives(function, reference, A, B, tolerance=1e-8)


def test_a_batch_of_right_hand_sides_is_factorised_once():
    graph = vmap(trace(of("solve"), A, B), ["x1"], 5)
    (solve,) = (node for node in graph.nodes if node.op.name == "solve")
    assert solve.types == (f64(3, 10),)


@pytest.mark.parametrize("name", ["inv", "solve", "cholesky"])
def test_a_singular_matrix_is_refused(name):
    operands = (SINGULAR - np.eye(2) * (name == "cholesky"), np.ones((2, 1)))
    with pytest.raises(NumericalFailure, match=name):
        evaluate(of(name), *operands[: 2 if name == "solve" else 1])


def test_a_zero_on_the_diagonal_of_a_triangle_is_refused():
    with pytest.raises(NumericalFailure, match="triangular_solve"):
        evaluate(triangular(True, False), np.tril(np.ones((2, 2)), -1), np.ones((2, 1)))


def test_the_derivative_of_a_logarithm_is_refused_at_a_singular_matrix():
    assert evaluate(of("slogdet"), SINGULAR) == -np.inf
    with pytest.raises(NumericalFailure, match="inv"):
        gradients(of("slogdet"), SINGULAR)


def test_nan_goes_through_triangular_solve():
    b = np.array([[1.0], [np.nan]])
    np.testing.assert_array_equal(evaluate(triangular(True, False), np.eye(2), b), b)


@pytest.mark.parametrize(
    ("op", "flops"),
    [
        (Inv(), 2 * 10**3),
        (Det(), 2 / 3 * 10**3),
        (Slogdet(), 2 / 3 * 10**3),
        (Cholesky(), 10**3 / 3),
        (Solve(), 2 / 3 * 10**3 + 2 * 10**2 * 4),
        (TriangularSolve(True, False), 10**2 * 4),
    ],
)
def test_flops(op, flops):
    types = (f64(3, 10, 10), f64(3, 10, 4))[: op.arity]
    assert op.cost(types, op.infer(*types)).flops == pytest.approx(3 * flops)


def test_gradient_of_logdet_costs_one_inverse():
    program = program_of(derive(trace(of("slogdet"), np.eye(50)), Gradient(("x0",))))
    assert program.flops == pytest.approx((2 / 3 + 2) * 50**3, rel=0.1)


def test_single_precision_stays_single():
    x = A.astype(np.float32)
    for name in ("inv", "det", "slogdet", "cholesky"):
        given = SYMMETRIC.astype(np.float32) if name == "cholesky" else x
        assert run(trace(of(name), given), {"x0": given})["y0"].dtype == np.float32
    assert evaluate(triangular(True, False), x, B.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("op", "types", "message"),
    [
        (Inv(), [f64(2), f64(2)], "C0: inv takes 1 operand, not 2"),
        (Inv(), [f64(3)], "C1: f64[3] is no square matrix"),
        (Det(), [f64(2, 3)], "C1: f64[2,3] is no square matrix"),
        (
            Cholesky(),
            [TensorType(ElementType.INT64, (2, 2))],
            "C2: elements must be real or complex, not i64; convert them",
        ),
        (Solve(), [f64(2, 2)], "C0: solve takes 2 operands, not 1"),
        (Solve(), [f64(2, 3), f64(2, 1)], "C1: f64[2,3] is no square matrix"),
        (Solve(), [f64(2, 2), f64(3, 1)], "C2: f64[2,2] and f64[3,1] differ in rows"),
        (Solve(), [f64(2, 2), f64(2)], "C2: f64[2,2] and f64[2] differ in rows"),
        (Solve(), [f64(5, 2, 2), f64(2, 1)], "C3: leading axes differ: f64[5,2,2] and f64[2,1]"),
        (
            TriangularSolve(True, True),
            [f64(2, 2), TensorType(ElementType.FLOAT32, (2, 1))],
            "C4: element types differ: f64[2,2], f32[2,1]",
        ),
    ],
)
def test_refusals(op, types, message):
    assert refusal(op, *types) == message


def test_shapes():
    assert infer(Det(), f64(5, 2, 2)) == (5,)
    assert infer(Inv(), f64(5, 2, 2)) == (5, 2, 2)
    assert Slogdet().infer(f64(2, 2)) == (f64(), f64())
