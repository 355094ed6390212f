"""Numbers whose squares are none: what is said of them is what is said of their multiples by a power of two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradserve.estimation import scaling
from gradserve.estimation.diagonal import DiagonalSoFar
from gradserve.estimation.looks import Target
from gradserve.estimation.spending import needed
from gradserve.estimation.trace import SAMPLE, SHARES, TraceSoFar
from gradserve.questions.estimates import Estimator, StopReason
from gradserve.questions.report import Report
from tests.estimation.matrices import asked, spectra

SIZE = 40
MATRICES = spectra(SIZE)
EPSILON = float(np.finfo(float).eps)
POWERS = [-1000, -700, 700, 990]
TARGETS = [Target(24), Target(4096, 0.3), Target(4096, 0.0, 5.0)]


@pytest.mark.parametrize("estimator", [each for each in Estimator if each is not Estimator.EXACT])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("power", POWERS)
def test_a_multiple_by_a_power_of_two_is_answered_to_the_bit_by_the_same_multiple(estimator, target, power):
    known = asked(MATRICES["flat"], estimator, target, 3)
    tolerance = float(np.ldexp(target.absolute_tolerance, power))
    found = asked(np.ldexp(MATRICES["flat"], power), estimator, replace(target, absolute_tolerance=tolerance), 3)
    assert np.array_equal(found.value, np.ldexp(known.value, power))
    assert found.half_width == pytest.approx(np.ldexp(known.half_width, power), rel=1e-9)
    assert (found.products, found.reason, found.sketch) == (known.products, known.reason, known.sketch)


@pytest.mark.parametrize("power", POWERS)
def test_the_planted_fault_of_squaring_as_they_come_is_found(power, monkeypatch):
    monkeypatch.setattr(scaling, "WITHIN", 1 << 12)
    found = asked(np.ldexp(MATRICES["flat"], power), Estimator.AUTO, Target(24), 3)
    assert not np.isfinite(found.half_width[0])


@pytest.mark.parametrize("estimator", Estimator)
@pytest.mark.parametrize("target", [Target(64), Target(4096, 0.01), Target(4096, 0.0, 1e-3)])
def test_nothing_is_answered_so_and_cheaply(estimator, target):
    found = asked(np.zeros((SIZE, SIZE)), estimator, target, 0)
    assert (found.value[0], found.half_width[0]) == (0.0, 0.0)
    assert found.products <= 64


def test_nothing_of_many_entries_takes_few_products():
    found = asked(np.zeros((1000, 1000)), Estimator.AUTO, Target(4096, 0.01), 0)
    assert (found.value[0], found.half_width[0], found.reason) == (0.0, 0.0, StopReason.TOLERANCE)
    assert found.products <= 24


@pytest.mark.parametrize("tolerance", [1e-300, 1e-200, 1e-20])
def test_a_tolerance_that_no_samples_meet_is_met_by_all_columns_or_never(tolerance):
    assert needed(Target(4096, 0.0, tolerance), 1, 1.0, 1.0) == np.inf
    found = asked(MATRICES["flat"], Estimator.AUTO, Target(4096, 0.0, tolerance), 0)
    assert found.reason is StopReason.EXACT


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-160])
def test_means_of_numbers_whose_squares_are_lost_cover(scale):
    """What is lost is allowed for: the interval is long, and right."""
    matrix = scale * MATRICES["flat"]
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (48, SIZE))
    shares = signs * (signs @ matrix)
    traces = TraceSoFar(0, EPSILON).with_samples({SAMPLE: shares.sum(axis=1), SHARES: shares})
    trace = traces.answer(Target(48), 1, Report())
    assert trace.lower <= np.trace(matrix) <= trace.upper
    diagonal = DiagonalSoFar(0, EPSILON).with_samples({"x": shares}).answer(Target(48), 1, Report())
    assert (np.abs(diagonal.values["x"] - np.diag(matrix)) <= diagonal.half_widths["x"]).all()
