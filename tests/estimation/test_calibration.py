"""A short form of the study, `tests.estimation.study`: intervals cover at fixed budgets and where a tolerance stops."""

from __future__ import annotations

import numpy as np
import pytest

from gradserve.estimation import leave_one_out
from gradserve.estimation.looks import Target
from tests.estimation.calibration import FORMS, WAYS, outcomes, serves
from tests.estimation.matrices import spectra

SIZE, RUNS = 60, 60
MATRICES = spectra(SIZE)
LEAST = 0.85
"""What 60 intervals that cover with 95 % stay below with probability 0.001."""
NEARLY_ALL = {"xtrace": SIZE - 2, "xnystrace": SIZE - 4}
"""The most products that are not those of all columns; estimates with a probe left out have most of them in common."""


def covered(way: str, name: str, target: Target) -> float:
    return outcomes(WAYS[way], MATRICES[name], target, range(RUNS)).coverage


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("way", ["auto", FORMS])
def test_intervals_cover_where_a_tolerance_stops(way, name):
    assert min(covered(way, name, Target(512, relative_tolerance=t)) for t in (0.2, 0.05)) >= LEAST


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("way", NEARLY_ALL)
def test_intervals_cover_just_below_the_products_of_all_columns(way, name):
    if serves(way, name):
        assert covered(way, name, Target(NEARLY_ALL[way])) >= LEAST


def test_estimates_that_share_their_probes_would_not_be_covered_as_if_they_were_independent(monkeypatch):
    """The planted fault: nothing is added for what estimates with one probe left out have in common."""
    for name in ("SHARED", "LAST", "SKEWED"):
        monkeypatch.setattr(leave_one_out, name, 0.0)
    assert covered("xnystrace", "exp", Target(SIZE - 4)) < 0.6


@pytest.mark.parametrize("name", MATRICES)
def test_a_tolerance_takes_all_columns_soon_where_nothing_is_cheaper(name):
    found = outcomes(WAYS["auto"], MATRICES[name], Target(4096, relative_tolerance=1e-3), range(8))
    assert np.median(found.products) <= 2 * SIZE


def test_equal_samples_end_as_soon_as_they_prove_something():
    """A multiple of the identity beside a direction that the basis knows: no sample differs from another."""
    found = outcomes(WAYS["auto"], MATRICES["block"], Target(4096, relative_tolerance=1e-3), range(8))
    assert found.products.max() <= 40
