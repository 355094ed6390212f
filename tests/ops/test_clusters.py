"""Hundreds of random matrices with planted clusters: gradients are right, or refused where they depend on a choice."""

import sys
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import scipy.linalg

from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.types import Array
from gradserve.ops.spectral.rotation import Rotation
from gradserve.ops.spectral.spectra import SpectrumCotangent, SpectrumTangent
from gradserve.questions.derivations import Hvp
from tests.ops.clustered import (
    DEPENDENT,
    DEPENDENT_SINGULAR,
    INVARIANT,
    OF_SINGULAR,
    SIZE,
    G,
    Loss,
    Planted,
    as_read,
    error,
    planted,
    program,
    symmetric_part,
)

MATRICES = 280
"""Every gap of the fourteen twenty times, each with a cluster of another size and place."""
TOLERANCE = 1e-8
NEAR = 1e-7
"""Gaps up to which a planted cluster has to be seen; those of 1e-4 are too wide to be one."""


def trials(
    losses: Mapping[str, Loss], symmetric: bool, name: str, count: int = MATRICES
) -> list[tuple[Planted, float]]:
    """Each matrix with the error of the gradient, infinite where it was refused."""
    run, gradient = program(losses[name].function), losses[name].gradient
    return [(p, _error(run, gradient, p)) for p in (planted(seed, symmetric) for seed in range(count))]


def _error(run: Callable[[Array], Array], gradient: Callable[[Planted], Array], p: Planted) -> float:
    try:
        found = run(p.matrix)
    except NotDifferentiable:
        return np.inf
    off = error(found, as_read(p, gradient(p)))
    return off if np.isfinite(off) else 1.0


def silent(found: list[tuple[Planted, float]]) -> list[Planted]:
    """The matrices on which a wrong gradient came back."""
    return [p for p, off in found if np.isfinite(off) and off > TOLERANCE]


@pytest.mark.parametrize("name", INVARIANT)
def test_invariant_functions_of_eigenvalues_have_their_gradient(name):
    assert max(off for _, off in trials(INVARIANT, True, name)) < TOLERANCE


@pytest.mark.parametrize("name", OF_SINGULAR)
def test_invariant_functions_of_singular_values_have_their_gradient(name):
    assert max(off for _, off in trials(OF_SINGULAR, False, name)) < TOLERANCE


DIRECTION = np.random.default_rng(97).normal(size=(SIZE, SIZE))


def along(p: Planted) -> Array:
    return symmetric_part(DIRECTION) if p.left is p.right else DIRECTION


def exponential_product(p: Planted) -> Array:
    step = 1e-30
    moved = p.matrix + 1j * step * along(p)
    change = scipy.linalg.expm_frechet(moved, symmetric_part(G).astype(complex), compute_expm=False)
    return np.imag(np.asarray(change)) / step


def polar_product(p: Planted) -> Array:
    inside = p.left.T @ along(p) @ p.right
    return np.asarray(p.left @ ((inside - inside.T) / (p.x[:, None] + p.x)) @ p.right.T)


PRODUCTS: dict[str, Callable[[Planted], Array]] = {
    "sum w^3": lambda p: 3 * (p.matrix @ along(p) + along(p) @ p.matrix),
    "sum log w": lambda p: -np.linalg.inv(p.matrix) @ along(p) @ np.linalg.inv(p.matrix),
    "tr(G Q e^w Q^T)": exponential_product,
    "nuclear norm": polar_product,
    "U diag(s^2) U^T": lambda p: 2 * symmetric_part(G) @ along(p),
    "|U S V^T|^2": lambda p: 2 * along(p),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_second_derivatives_in_clusters(name):
    symmetric = name in INVARIANT
    run = program((INVARIANT | OF_SINGULAR)[name].function, Hvp(("a",)))
    for seed in range(56):
        p = planted(seed, symmetric)
        assert error(run(p.matrix, along(p)), as_read(p, PRODUCTS[name](p))) < TOLERANCE, p


@pytest.mark.parametrize("name", [*INVARIANT, *OF_SINGULAR, *DEPENDENT, *DEPENDENT_SINGULAR])
def test_single_precision_is_right_or_refused(name):
    symmetric = name in INVARIANT or name in DEPENDENT
    loss = (INVARIANT | OF_SINGULAR | DEPENDENT | DEPENDENT_SINGULAR)[name]
    run = program(loss.function, dtype=np.float32)
    for seed in range(42):
        p = planted(seed, symmetric)
        off = _error(lambda a: run(a.astype(np.float32)), loss.gradient, p)
        assert off < 1e-5 if name in INVARIANT or name in OF_SINGULAR else off < 1e-3 or np.isinf(off), p


LAST = SIZE - 1
TOUCHED: dict[str, Callable[[Planted], bool]] = {
    "difference of extreme w": lambda p: p.first == 0 or p.last == LAST,
    "middle w": lambda p: p.first <= SIZE // 2 <= p.last,
    "middle q": lambda p: p.first <= SIZE // 2 <= p.last,
    "projection on the last q": lambda p: p.first < SIZE - 3 <= p.last,
    "sum of the last w": lambda p: p.first < SIZE - 3 <= p.last,
    "norm of order 2": lambda p: p.first == 0,
    "condition number": lambda p: p.first == 0 or p.last == LAST,
    "first u": lambda p: p.first == 0,
}
"""Whether a loss that looks at some values alone looks at a part of the cluster; the other losses look at all."""


@pytest.mark.parametrize("name", [*DEPENDENT, *DEPENDENT_SINGULAR])
def test_what_depends_on_the_choice_is_refused_and_nothing_else(name):
    losses, symmetric = (DEPENDENT, True) if name in DEPENDENT else (DEPENDENT_SINGULAR, False)
    found = trials(losses, symmetric, name)
    assert not silent(found)
    for p, off in found:
        touched = TOUCHED.get(name, lambda p: True)(p)
        assert np.isinf(off) or not touched or p.gap > NEAR, p
        assert np.isfinite(off) or touched, p


@pytest.fixture
def without_guards(monkeypatch):
    for op in (Rotation, SpectrumTangent, SpectrumCotangent):
        monkeypatch.setattr(op, "guards", ())


@pytest.mark.usefixtures("without_guards")
@pytest.mark.parametrize(
    ("losses", "symmetric", "name"),
    [
        (DEPENDENT, True, "sum q^4"),
        (DEPENDENT, True, "sum c_k w_k"),
        (DEPENDENT, True, "middle q"),
        (DEPENDENT_SINGULAR, False, "norm of order 2"),
        (DEPENDENT_SINGULAR, False, "sum u^4"),
    ],
)
def test_without_the_guards_wrong_gradients_come_back(losses, symmetric, name):
    assert silent(trials(losses, symmetric, name, 50))


@pytest.mark.usefixtures("without_guards")
@pytest.mark.parametrize("name", ["tr(G Q e^w Q^T)", "b^T (A + c)^-1 b by eigenvectors", "tr(G Q sqrt(w) Q^T)"])
def test_without_functions_of_the_matrix_wrong_gradients_come_back(name, monkeypatch):
    monkeypatch.setattr(sys.modules["gradserve.autodiff.jvp"], "invariant", lambda graph, wrt, forward: graph)
    assert silent(trials(INVARIANT, True, name, 50))
