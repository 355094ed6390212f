"""The study in short: faults of every kind are found, what is named is right, and nothing right is called wrong."""

import math

import numpy as np
import pytest

from gradserve.questions.verdicts import Verdict
from gradserve.verification import decode, directions, gradient
from tests.verification.driver import verified
from tests.verification.faults import DELTAS, MODELS, entry_faults, sines, square_layer, structural_faults
from tests.verification.study import false_alarms, smallest_faults, told

SIZES = (10, 1000)
LARGEST = 100_000
SEEN = [delta for delta in DELTAS if delta >= 1e-6]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("make", MODELS)
def test_single_entries_are_found_and_named(make, n):
    model = make(n, 0)
    for delta in SEEN:
        for fault in entry_faults(model, delta, 1):
            report = told(model, fault.gradient, 0).report
            assert report.verdict is Verdict.DISAGREES, fault.kind
            assert [(entry.input, entry.index) for entry in report.entries] == [(fault.input, fault.entry)]
            assert [row.input for row in report.inputs if row.verdict is Verdict.DISAGREES] == [fault.input]


@pytest.mark.parametrize("make", MODELS)
def test_structural_faults_are_found_and_the_input_named(make):
    model = make(60, 3)
    right = model.pack(model.gradient)
    for fault in structural_faults(model, 1):
        if np.array_equal(model.pack(fault.gradient), right):
            continue
        report = told(model, fault.gradient, 0).report
        assert report.verdict is Verdict.DISAGREES, fault.kind
        assert [row.input for row in report.inputs if row.verdict is Verdict.DISAGREES] == [fault.input], fault.kind


@pytest.mark.parametrize("n", [1000, LARGEST])
def test_one_wrong_entry_of_one_input_takes_few_evaluations(n):
    model = sines(n, 0)
    right = told(model, model.gradient, 0)
    assert right.report.passed
    assert right.evaluations <= 60
    (fault,) = entry_faults(model, 1e-5, 2)
    found = told(model, fault.gradient, 0)
    assert found.until_found <= 60
    assert [(e.input, e.index) for e in found.report.entries] == [(fault.input, fault.entry)]
    assert found.evaluations - found.until_found <= 4 * math.log2(n)


def test_right_gradients_are_never_called_wrong():
    for noise, counts in false_alarms(6).items():
        assert set(counts) <= {Verdict.AGREES, Verdict.INCONCLUSIVE}, noise
    assert set(false_alarms(6)[0.0]) == {Verdict.AGREES}


def exchanged(seeds):
    """Of how many seeds an exchange of two entries is seen: two errors that are each other's opposite."""
    loss, point = (lambda y: float(np.sum(np.sin(y)))), np.array([0.3, 1.1])
    return sum(
        verified(loss, point, np.cos(point)[::-1], seed=seed).report.verdict is Verdict.DISAGREES for seed in seeds
    )


def test_errors_of_opposite_signs_do_not_cancel():
    assert exchanged(range(40)) == 40


def test_with_plain_signs_they_would(monkeypatch):
    """The planted fault: of directions of signs, every other hides an exchange."""
    signs = lambda point, count, seed, bits: directions.sign_directions(point, count, seed)  # noqa: E731
    monkeypatch.setattr(gradient, "spread_directions", signs)
    monkeypatch.setattr(gradient, "FEW", 0)
    assert exchanged(range(40)) < 40


def test_a_wrong_guess_names_nothing(monkeypatch):
    """The planted fault: candidates in the wrong order, as if other entries fitted better."""
    true = decode._misfits
    monkeypatch.setattr(decode, "_misfits", lambda vectors, findings: np.roll(true(vectors, findings), 1))
    model = square_layer(100, 0)
    for fault in entry_faults(model, 1e-3, 0):
        report = told(model, fault.gradient, 0).report
        assert [(entry.input, entry.index) for entry in report.entries] == [(fault.input, fault.entry)]


def test_spread_directions():
    point = np.array([0.0, 0.5, -3.0, 1e5])
    rows = directions.spread_directions(point, 50, 3)
    sizes = np.abs(rows) / directions.scales(point)
    assert sizes.min() >= 1
    assert sizes.max() < 2
    np.testing.assert_array_equal(sizes * 2**16 % 1, 0)
    np.testing.assert_array_equal(np.abs(directions.plain(rows)), np.tile(directions.scales(point), (50, 1)))
    np.testing.assert_array_equal(np.sign(directions.plain(rows)), np.sign(rows))
    np.testing.assert_array_equal(rows[:3], directions.spread_directions(point, 3, 3))
    assert (rows != directions.spread_directions(point, 50, 4)).any()
    moved = point + rows * 2.0**-32
    np.testing.assert_array_equal(moved - point, rows * 2.0**-32)


def test_faults_twice_the_smallest_visible_one_are_seen():
    assert all(seen == made > 0 for seen, made in smallest_faults(2).values())
