"""Estimators with a basis against matrices whose traces and diagonals are known."""

from typing import Any

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.estimation.looks import Target
from gradserve.ir.errors import InvalidRequest, NumericalFailure
from gradserve.questions.estimates import Estimator, StopReason
from tests.estimation.matrices import asked, spectra

MATRICES = spectra(200)
RUNS = 60
LEAST = 0.85
"""What 60 intervals that cover with 95 % stay below with probability 0.001."""


@pytest.mark.parametrize("estimator", [e for e in Estimator if e is not Estimator.EXACT])
@pytest.mark.parametrize("name", MATRICES)
def test_intervals_cover(name, estimator):
    matrix = MATRICES[name]
    if name == "hess" and estimator in (Estimator.NYSTROMPP, Estimator.XNYSTRACE):
        return
    found = [asked(matrix, estimator, Target(48), seed) for seed in range(RUNS)]
    hits = [abs(each.value[0] - np.trace(matrix)) <= each.half_width[0] for each in found]
    assert np.mean(hits) >= LEAST
    assert max(each.products for each in found) <= 48


@pytest.mark.parametrize(("name", "factor"), [("poly", 30), ("exp", 3), ("hess", 3), ("flat", 0.95)])
def test_the_automatic_choice_is_never_worse_than_signs_alone_and_much_better_where_few_directions_rule(name, factor):
    matrix = MATRICES[name]

    def error(estimator):
        return np.median(
            [abs(asked(matrix, estimator, Target(48), seed).value[0] - np.trace(matrix)) for seed in range(40)]
        )

    assert error(Estimator.AUTO) * factor <= error(Estimator.HUTCHINSON)


def test_intervals_of_another_trace_do_not_cover():
    matrix = MATRICES["exp"]
    found = [asked(matrix, Estimator.AUTO, Target(96), seed) for seed in range(20)]
    assert not any(abs(each.value[0] - 1.01 * np.trace(matrix)) <= each.half_width[0] for each in found)


def test_the_diagonal_comes_with_the_trace():
    matrix = MATRICES["hess"]
    hits = []
    for seed in range(20):
        found = asked(matrix, Estimator.AUTO, Target(64), seed, diagonal=True)
        assert found.diagonal.sum() == pytest.approx(found.value[0], rel=1e-9)
        hits.append(np.abs(found.diagonal - np.diag(matrix)) <= found.diagonal_half_width)
    assert np.mean(hits) > 0.94


def test_parts_and_matrices_over_a_batch():
    rng = np.random.default_rng(0)
    x, y, w, b = rng.standard_normal((30, 5)), rng.standard_normal(30), rng.standard_normal(5), rng.standard_normal(())
    with Client(threads=1) as client:
        f = client.function(lambda x, y, w, b: 0.5 * (x @ w + b - y) ** 2)
        asking: Any = {"wrt": ("w", "b"), "batch": ["x", "y"], "reduction": "sum", "estimator": "auto"}
        hessian, fisher = (f.hessian_trace(x, y, w, b, matrix=m, **asking) for m in ("hessian", "fisher"))
    residual = x @ w + b - y
    assert hessian.stop_reason is StopReason.EXACT
    assert hessian.value == pytest.approx(np.sum(x**2) + 30)
    assert hessian.parts["w"] == pytest.approx(np.sum(x**2))
    assert fisher.value == pytest.approx(np.sum(residual**2 * (np.sum(x**2, axis=1) + 1)))


def test_the_gauss_newton_matrix_of_a_linear_model_has_the_trace_of_its_squares():
    rng = np.random.default_rng(1)
    x, y, w = rng.standard_normal((30, 5)), rng.standard_normal(30), rng.standard_normal(5)
    with Client(threads=1) as client:
        f = client.function(lambda w: {"residuals": np.sin(x @ w) - y}, w=w)
        found = f.hessian_trace(w, matrix="gauss-newton", estimator="exact")
    assert found.value == pytest.approx(np.sum((x * np.cos(x @ w)[:, None]) ** 2))
    assert found.interval == pytest.approx((found.value, found.value))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a budget too small": ({"estimator": "hutch++", "max_probes": 2}, "max_probes: E4"),
    "fewer products than columns": ({"estimator": "exact", "max_probes": 4}, "the matrix has 6 columns"),
    "parts of what has none": ({"estimator": "xtrace", "diagonal": True}, "diagonal: E5"),
    "a sampler of its own": ({"estimator": "auto", "sampler": "sphere"}, "sampler: E6"),
    "no tolerance": ({"estimator": "auto", "rel_tol": -1.0}, "relative_tolerance: E3"),
    "no confidence": ({"estimator": "auto", "confidence": 2.0}, "confidence: E2"),
    "another estimator": ({"estimator": "hutch"}, "hutch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused(name):
    options, told = REFUSED[name]
    w = np.linspace(-1.0, 1.0, 6)
    with Client(threads=1) as client, pytest.raises(InvalidRequest) as caught:
        client.function(lambda w: np.sum(np.sin(w) ** 4), w=w).hessian_trace(w, **options)
    assert told in str(caught.value)


def test_a_matrix_that_is_not_positive_is_refused_where_it_has_to_be():
    w = np.linspace(-1.0, 1.0, 60)
    with Client(threads=1) as client, pytest.raises(NumericalFailure, match="positive definite"):
        client.function(lambda w: -np.sum(w**2) + w[0] * w[1], w=w).hessian_trace(
            w, estimator="xnystrace", max_probes=20
        )
