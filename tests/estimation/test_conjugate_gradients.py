"""Conjugate gradients, against dense solutions and against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse.linalg as sparse

from gradserve.estimation.conjugate_gradients import CODES, ConjugateGradients, Scalars, beginning
from gradserve.questions.solve import SolveStop
from tests.estimation.spectra import EPSILON, product_with, space, with_eigenvalues

N = 80
B = np.random.default_rng(5).standard_normal(N)
POSITIVE = with_eigenvalues(np.geomspace(1e-3, 1, N))


def solve(matrix, b=B, tolerance=1e-8, damping=0.0, m=None, visit=1000, most=1000):
    """The last state, its scalars and the residuals of all iterations, in visits of so many iterations."""
    m = np.ones(len(b)) if m is None else m
    method = ConjugateGradients(space(len(b)), visit, tolerance, damping, EPSILON)
    residuals: list[float] = []
    state = beginning(b, m)
    while True:
        left = np.array(float(most - len(residuals)))
        state = method(product_with(matrix), {**state, "b": b, "m": m, "left": left})
        residuals += state["residuals"].tolist()
        scalars = Scalars.of(state["scalars"])
        stop = CODES[int(scalars.stop)]
        if stop is not SolveStop.NONE or len(residuals) >= most:
            return state, scalars, residuals, stop


def true_residual(matrix, x, b=B, damping=0.0):
    return np.linalg.norm(b - matrix @ x - damping * x) / np.linalg.norm(b)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-8, 1e-11])
@pytest.mark.parametrize("damping", [0.0, 0.1])
def test_the_certificate_is_the_residual(tolerance, damping):
    state, scalars, _, stop = solve(POSITIVE, tolerance=tolerance, damping=damping)
    assert stop is SolveStop.TOLERANCE
    assert scalars.certified <= tolerance
    assert scalars.certified == pytest.approx(true_residual(POSITIVE, state["x"], damping=damping), rel=1e-3)
    exact = np.linalg.solve(POSITIVE + damping * np.eye(N), B)
    assert np.linalg.norm(state["x"] - exact) <= tolerance * np.linalg.norm(B) * 1e3
    # A planted fault: the solution of another damping has not this residual.
    assert true_residual(POSITIVE, state["x"], damping=damping + 0.05) > tolerance


def test_scipy_takes_as_many_iterations():
    counted: list[np.ndarray] = []
    sparse.cg(POSITIVE, B, rtol=1e-8, callback=counted.append)
    assert abs(len(solve(POSITIVE)[2]) - len(counted)) <= 2


@pytest.mark.parametrize("visit", [1, 7])
def test_visits_change_no_bit(visit):
    whole, parts = solve(POSITIVE), solve(POSITIVE, visit=visit)
    assert whole[0]["x"].tobytes() == parts[0]["x"].tobytes()
    assert whole[2] == parts[2]


def test_negative_curvature_is_told_with_its_direction():
    matrix = with_eigenvalues(np.linspace(-0.1, 1, N))
    state, scalars, _, stop = solve(matrix)
    assert stop is SolveStop.NEGATIVE_CURVATURE
    p = state["p"] / np.linalg.norm(state["p"])
    assert p @ matrix @ p == pytest.approx(scalars.curvature, abs=1e-12)
    assert scalars.curvature < 0
    assert solve(matrix, damping=0.2)[3] is SolveStop.TOLERANCE


def test_rounding_ends_what_no_iteration_can_mend():
    _, scalars, residuals, stop = solve(POSITIVE, tolerance=1e-17)
    assert stop is SolveStop.ROUNDING
    assert len(residuals) < 1000
    assert 1e-17 < scalars.certified < 1e-12


def test_all_iterations_are_spent():
    state, scalars, residuals, stop = solve(POSITIVE, visit=7, most=10)
    assert (len(residuals), stop) == (10, SolveStop.NONE)
    assert scalars.certified == pytest.approx(true_residual(POSITIVE, state["x"]))


def test_the_diagonal_as_preconditioner():
    """A matrix that is badly scaled alone: relative to its diagonal it is well conditioned."""
    scales = np.geomspace(1, 1e4, N)
    matrix = with_eigenvalues(np.linspace(1, 2, N)) * np.outer(scales, scales) ** 0.5
    plain, relative = (solve(matrix, m=m)[2] for m in (None, np.diag(matrix)))
    assert len(relative) < len(plain) / 5
    assert true_residual(matrix, solve(matrix, m=np.diag(matrix))[0]["x"]) <= 1e-8


@pytest.mark.parametrize("power", [-960, -530, 1, 530, 900])
def test_the_scale_of_a_preconditioner_changes_no_bit(power):
    """Squares of directions relative to it are no numbers."""
    plain, scaled = solve(POSITIVE), solve(POSITIVE, m=np.full(N, 2.0**power))
    assert scaled[0]["x"].tobytes() == plain[0]["x"].tobytes()
    assert scaled[2:] == plain[2:]
    assert scaled[1].curvature == plain[1].curvature


@pytest.mark.parametrize("scale", [1.0, 1e200])
def test_directions_that_no_number_says_end_with_a_residual(scale):
    state, scalars, residuals, stop = solve(POSITIVE, b=1e-200 * B, m=np.full(N, scale))
    assert (stop, residuals, scalars.certified) == (SolveStop.ROUNDING, [], 1.0)
    assert not state["x"].any()
    assert scalars.curvature == np.inf


def test_nothing_is_solved_by_nothing():
    state, scalars, residuals, stop = solve(POSITIVE, b=np.zeros(N))
    assert (stop, residuals, scalars.certified) == (SolveStop.TOLERANCE, [], 0.0)
    assert not state["x"].any()
