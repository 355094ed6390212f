"""Right and wrong claims about losses of every temper: a right one never fails, and two that differ never both pass."""

import numpy as np
import pytest

from gradserve.questions.verdicts import Verdict
from gradserve.verification import kinks
from tests.verification.driver import verified

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(20, 3)), RNG.normal(size=20)
W = np.array([0.3, -1.2, 2.0])


def squares(w):
    return float(np.sum((A @ w - B) ** 2))


def slope(w):
    return 2 * A.T @ (A @ w - B)


LOSSES = {
    "plain": (squares, W, slope(W)),
    "rounded to 6 digits": (lambda w: np.round(squares(w), 6), W, slope(W)),
    "rounded to 2 digits": (lambda w: np.round(squares(w), 2), W, slope(W)),
    "rounded, linear": (lambda w: -3 * np.round(np.sum(w), 6), W, np.full(3, -3.0)),
    "single precision": (
        lambda w: np.sum((A.astype(np.float32) @ w.astype(np.float32) - B.astype(np.float32)) ** 2),
        W,
        slope(W),
    ),
    "noise": (lambda w: squares(w) * (1 + 1e-9 * np.sin(1e12 * np.sum(w))), W, slope(W)),
    "sqrt near 0": (lambda w: np.sum(np.sqrt(w)), np.full(3, 1e-10), np.full(3, 0.5e5)),
    "sqrt, mixed": (lambda w: np.sum(np.sqrt(w)), np.array([1e-10, 1, 100]), np.array([0.5e5, 0.5, 0.05])),
    "log at 1e-300": (
        lambda w: np.sum(np.log(w)),
        np.array([1e-300, 2e-300, 1e-300]),
        np.array([1e300, 0.5e300, 1e300]),
    ),
    "log, mixed": (lambda w: np.sum(np.log(w)), np.array([1e-12, 1, 1e5]), np.array([1e12, 1, 1e-5])),
    "asin near 1": (
        lambda w: np.sum(np.arcsin(w)),
        np.full(3, 1 - 2.0**-30),
        1 / np.sqrt(np.full(3, 2.0**-29 - 2.0**-60)),
    ),
    "barrier": (
        lambda w: -np.sum(np.log(1 - w**2)),
        np.full(3, 1 - 2.0**-23),
        np.full(3, 2.0 * (1 - 2.0**-23) / (2.0**-22 - 2.0**-46)),
    ),
    "edge of the domain": (lambda w: np.sum(w**1.5 + w), np.zeros(3), np.ones(3)),
    "large": (lambda w: 1e200 * squares(w), W, 1e200 * slope(W)),
    "small": (lambda w: 1e-200 * squares(w), W, 1e-200 * slope(W)),
    "offset": (lambda w: 1e8 + squares(w), W, slope(W)),
    "huge offset": (lambda w: 1e14 + squares(w), W, slope(W)),
    "scales apart": (lambda w: 1e6 * w[0] ** 2 + w[1] ** 2 + 1e-6 * w[2] ** 2, W, np.array([2e6, 2, 2e-6]) * W),
    "large point": (lambda w: np.sum(w**2), 1e8 * W, 2e8 * W),
    "steep": (lambda w: np.sum(np.exp(10 * w)), W, 10 * np.exp(10 * W)),
    "constant": (lambda w: 3.0, W, np.zeros(3)),
    "pieces": (lambda w: np.sum(np.floor(w)), W + 0.4, np.zeros(3)),
    "quartic": (lambda w: 1 + np.sum(w**4), np.zeros(3), np.zeros(3)),
}
HARD = {"rounded to 2 digits", "noise", "huge offset", "pieces"}
"""Of which nothing need be told."""


def claims(gradient):
    """Claims that differ from the gradient by far more than any bound of a loss that tells something."""
    scale = np.abs(gradient).max() or 1.0
    first, last = np.eye(3)[[0, 2]]
    yield from (np.zeros(3), np.ones(3), gradient * 1.05, gradient + 0.1 * scale * last, gradient * (1 + 0.02 * first))


@pytest.mark.parametrize("name", LOSSES)
def test_right_claims_do_not_fail_and_wrong_ones_do_not_pass(name):
    loss, point, gradient = LOSSES[name]
    right = verified(loss, point, gradient, directions=2).report
    assert right.verdict in ((Verdict.AGREES, Verdict.INCONCLUSIVE) if name in HARD else (Verdict.AGREES,))
    for claim in claims(gradient):
        if not np.array_equal(claim, gradient):
            report = verified(loss, point, claim, directions=2).report
            assert not report.passed, claim
            assert_within_bounds(report, gradient)


def assert_within_bounds(report, gradient):
    """No row that agrees claims what lies outside its bound."""
    for row in (*report.directions, *report.inputs):
        if row.verdict is Verdict.AGREES:
            slack = 1e-8 * max(abs(row.claimed), abs(row.measured), np.abs(gradient).max())
            assert abs(row.claimed - row.measured) <= row.error_bound + slack


def test_what_is_rounded_is_told():
    loss, point, gradient = LOSSES["rounded to 6 digits"]
    report = verified(loss, point, 0 * gradient).report
    assert report.verdict is Verdict.INCONCLUSIVE
    assert 1e-9 < report.flat_step < 1e-5
    assert "values come in steps" in str(report)


def test_the_smallest_fault_is_seen_and_a_tenth_of_it_need_not_be():
    loss, point, gradient = LOSSES["huge offset"]
    report = verified(loss, point, gradient).report
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "would not be seen" in str(report)
    wrong = gradient + report.smallest_fault * np.array([2.0, 0, 0])
    assert verified(loss, point, wrong).report.verdict is Verdict.DISAGREES


def test_a_stair_that_agrees_with_zero_would_be_seen(monkeypatch):
    """The planted fault: the verdict as it is without a look at the bound."""
    monkeypatch.setattr(kinks.Finding, "excess", property(lambda self: 0.0))
    with pytest.raises(AssertionError):
        test_right_claims_do_not_fail_and_wrong_ones_do_not_pass("rounded to 6 digits")
