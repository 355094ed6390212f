"""Losses whose curvature is too small or too large to be squared: estimated and certified as any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradserve.estimation import scaling
from gradserve.jobs.answering import answers
from gradserve.questions.eigenpairs import TopEigenpairs
from gradserve.questions.estimates import EstimateTrace, Estimator
from gradserve.questions.solve import SolveHessian
from gradserve.questions.spectrum import EstimateSpectrum
from gradserve.runtime.control import Control
from tests.jobs.support import call_of, quadratic

SIZE, SMALL, LARGE = 40, 1e-300, 1e300
MATRIX = np.random.default_rng(0).standard_normal((SIZE, SIZE))
MATRIX = (MATRIX + MATRIX.T) / 2 + np.eye(SIZE)
VALUES = np.linalg.eigvalsh(MATRIX)


def question(kind, scale, **options):
    return kind(call_of(quadratic(scale * MATRIX), {"x": np.zeros(SIZE)}), **options)


def last(context, asked):
    *_, found = answers(context, asked, Control())
    return found


@pytest.mark.parametrize("scale", [SMALL, LARGE])
@pytest.mark.parametrize("estimator", [Estimator.AUTO, Estimator.HUTCHPP, Estimator.XTRACE])
def test_traces_are_gone_on_with(context, estimator, scale):
    asked = question(EstimateTrace, scale, estimator=estimator, max_probes=36, diagonal=estimator is Estimator.AUTO)
    told = list(answers(context, asked, Control()))
    assert told[-1].lower <= scale * np.trace(MATRIX) <= told[-1].upper
    assert np.isfinite(told[-1].interval).all()
    for each in told:
        again = last(context, replace(asked, resume=each.token))
        assert (again.value, again.interval) == (told[-1].value, told[-1].interval)


@pytest.mark.parametrize("scale", [SMALL, LARGE])
def test_eigenpairs_and_the_ends_of_spectra(context, scale):
    found = last(context, question(TopEigenpairs, scale, count=3))
    assert found.values / scale == pytest.approx(VALUES[:-4:-1], rel=1e-12)
    spectrum = last(context, question(EstimateSpectrum, scale, probes=4, steps=SIZE))
    assert spectrum.largest / scale == pytest.approx(VALUES[-1], rel=1e-9)
    assert spectrum.moments[0].lower <= scale * VALUES.mean() <= spectrum.moments[0].upper


@pytest.mark.parametrize("scale", [SMALL, LARGE])
def test_systems_of_right_hand_sides_of_any_size(context, scale):
    matrix, right = MATRIX @ MATRIX + np.eye(SIZE), np.linspace(1.0, 2.0, SIZE)
    call = call_of(quadratic(matrix), {"x": np.zeros(SIZE)})
    found = last(context, SolveHessian(call, right={"x": scale * right}))
    assert found.solution["x"] / scale == pytest.approx(np.linalg.solve(matrix, right), rel=1e-3)
    assert 0 < found.residual <= found.tolerance


def test_the_planted_fault_of_residuals_that_are_squared_as_they_come_is_found(context, monkeypatch):
    monkeypatch.setattr(scaling, "WITHIN", 1 << 12)
    found = last(context, question(TopEigenpairs, SMALL, count=3))
    assert found.values / SMALL != pytest.approx(VALUES[:-4:-1], rel=1e-12)
