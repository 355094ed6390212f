"""Iterated limits of mixed differences, on Python functions with Hessians in closed form."""

import numpy as np
import pytest

from gradserve.questions.verdicts import Verdict
from gradserve.verification import symmetry
from gradserve.verification.mixed import Limit
from gradserve.verification.pairs import choose_pairs, entry_pair
from tests.verification.symmetry_driver import verified


def schwarz(p):
    x, y = p[:2]
    r = x * x + y * y
    return x * y * (x * x - y * y) / r if r else 0.0


def softened(core):
    """The same with third derivatives of 1 / core in place of the defect."""
    return lambda p: p[0] * p[1] * (p[0] ** 2 - p[1] ** 2) / (p[0] ** 2 + p[1] ** 2 + core**2)


NOTHING = np.zeros(2), np.zeros((2, 2))
AT = np.array([0.3, 0.2])


def wave(p):
    return np.sin(p[0]) * p[1]


WAVE = np.array([np.cos(0.3) * 0.2, np.sin(0.3)]), np.array([[-np.sin(0.3) * 0.2, np.cos(0.3)], [np.cos(0.3), 0.0]])


def test_both_limits_at_the_origin_of_the_counterexample():
    report = verified(schwarz, [0, 0], *NOTHING)
    (pair,) = report.pairs
    assert report.verdict is pair.verdict is Verdict.ORDER_DEPENDENT
    assert abs(pair.uv - 1) <= min(1e-6, pair.uv_bound)
    assert abs(pair.vu + 1) <= min(1e-6, pair.vu_bound)


def test_equal_steps_would_have_seen_nothing():
    for h in 2.0 ** -np.arange(1, 30):
        corners = [schwarz([a, b]) for a in (h, -h) for b in (h, -h)]
        assert corners[0] - corners[1] - corners[2] + corners[3] == 0


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-9])
def test_beside_the_defect_mixed_partials_are_equal(distance):
    x, y = distance, 0.7 * distance
    r = x * x + y * y
    mixed = (x**6 + 9 * x**4 * y**2 - 9 * x**2 * y**4 - y**6) / r**3
    gradient = np.array([y * (x**4 + 4 * x * x * y * y - y**4), x * (x**4 - 4 * x * x * y * y - y**4)]) / r**2
    report = verified(schwarz, [x, y], gradient, [[0, mixed], [mixed, 0]])
    assert report.verdict is Verdict.AGREES
    assert abs(report.pairs[0].uv - mixed) <= report.pairs[0].uv_bound


@pytest.mark.parametrize("core", [1e-1, 1e-3, 1e-5, 1e-7, 1e-9])
def test_large_third_derivatives_are_no_dependence_on_the_order(core):
    assert verified(softened(core), [0, 0], *NOTHING).verdict is Verdict.AGREES


def test_noise_leads_to_no_wrong_verdict():
    right = {schwarz: Verdict.ORDER_DEPENDENT, wave: Verdict.AGREES}
    seen = set()
    for loss, point, derived in ((schwarz, [0, 0], NOTHING), (wave, AT, WAVE)):
        for sigma in 10.0 ** np.arange(-13, 1):
            for seed in range(5):
                rng = np.random.default_rng(seed)
                verdict = verified(lambda p: loss(p) + sigma * rng.standard_normal(), point, *derived).verdict  # noqa: B023  # called before the loop goes on
                assert verdict in (right[loss], Verdict.INCONCLUSIVE), (loss, sigma, seed)
                seen.add((loss, sigma, verdict))
    assert (schwarz, 1e-10, Verdict.ORDER_DEPENDENT) in {(a, float(f"{b:.0e}"), c) for a, b, c in seen}
    assert (wave, 1e-12, Verdict.AGREES) in {(a, float(f"{b:.0e}"), c) for a, b, c in seen}


@pytest.mark.parametrize("offset", [1e6, 1e9, 1e12, 1e20])
def test_rounding_of_a_large_offset_leads_to_no_wrong_verdict(offset):
    seen = verified(lambda p: offset + schwarz(p), [0, 0], *NOTHING)
    assert seen.verdict is (Verdict.ORDER_DEPENDENT if offset == 1e6 else Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("factor", [1.001, 0.0, -1.0])
def test_a_wrong_hessian_disagrees(factor):
    report = verified(wave, AT, WAVE[0], factor * WAVE[1])
    assert report.verdict is Verdict.DISAGREES
    assert report.pairs[0].uv == pytest.approx(np.cos(0.3), abs=1e-6)
    assert report.pairs[0].u_hv == pytest.approx(factor * np.cos(0.3))


def test_a_hessian_that_is_not_symmetric_disagrees():
    for lost in ((0, 1), (1, 0)):
        hessian = WAVE[1].copy()
        hessian[lost] *= 1 + 1e-6
        assert verified(wave, AT, WAVE[0], hessian).verdict is Verdict.DISAGREES


def test_an_error_within_rounding_is_none():
    assert verified(wave, AT, WAVE[0], WAVE[1] * (1 + 1e-13)).verdict is Verdict.AGREES


SHARP, BLUNT = 1e-5, 1e-2


@pytest.mark.parametrize(
    ("uv", "vu", "derived", "verdict"),
    [
        ((1.0, SHARP), (1.0, SHARP), 1.0, Verdict.AGREES),
        ((1.0, SHARP), (1.0, BLUNT), 1.0, Verdict.INCONCLUSIVE),
        ((1.0, SHARP), (1.1, SHARP), 1.0, Verdict.ORDER_DEPENDENT),
        ((1.0, SHARP), (1.1, BLUNT), 1.05, Verdict.INCONCLUSIVE),  # ten bounds apart, but one of them is blunt
        ((1.0, SHARP), (2.0, BLUNT), 1.05, Verdict.ORDER_DEPENDENT),
        ((1.0, SHARP), (1.0, SHARP), 1.1, Verdict.DISAGREES),
        ((1.0, BLUNT), (1.0, BLUNT), 1.1, Verdict.INCONCLUSIVE),
        ((1.0, BLUNT), (1.0, BLUNT), 2.0, Verdict.DISAGREES),
        ((1.0, 1e-3), (1.0, SHARP), 1.0005, Verdict.INCONCLUSIVE),  # one of them says that the Hessian is wrong
        ((np.nan, np.inf), (1.0, SHARP), 1.0, Verdict.INCONCLUSIVE),
        ((0.0, 0.0), (0.0, 0.0), 0.0, Verdict.AGREES),
        ((1.0, SHARP), (1.0, SHARP), np.nan, Verdict.NOT_FINITE),
    ],
)
def test_verdicts_by_values_and_bounds(uv, vu, derived, verdict):
    one, other = (Limit(value, bound, 0.0, still=False, kink=False, finite=True) for value, bound in (uv, vu))
    products = symmetry.Derived(derived, derived, rounding=1e-8, size=1.0)
    assert symmetry._verdict(products, one, other, wanted=1e-3) is verdict
    assert symmetry._verdict(products, other, one, wanted=1e-3) is verdict


@pytest.mark.parametrize(
    "loss", [lambda p: abs(p[0]) * p[1], lambda p: abs(p[0] + p[1]), lambda p: max(p[0], p[1], 0.0)]
)
def test_a_kink_is_named(loss):
    assert verified(loss, [0, 0], *NOTHING).verdict is Verdict.KINK


def test_what_is_not_finite_is_named():
    assert verified(lambda p: np.sqrt(p[0]) * p[1], [0, 0], *NOTHING).verdict is Verdict.NOT_FINITE
    assert verified(wave, AT, WAVE[0], np.full((2, 2), np.nan)).verdict is Verdict.NOT_FINITE


def test_inputs_that_nothing_depends_on_agree():
    hessian = np.diag([-np.sin(0.3), 0, 0])
    report = verified(lambda p: np.sin(p[0]), [0.3, 0.2, 0.1], [np.cos(0.3), 0, 0], hessian)
    assert [pair.verdict for pair in report.pairs] == 3 * [Verdict.AGREES]


def test_derivatives_are_those_of_the_entries_whatever_their_scale():
    at = np.array([300.0, -7000.0])
    c, s = np.cos(3.0), np.sin(3.0)
    gradient, hessian = [0.01 * c * at[1], s], [[-1e-4 * s * at[1], 0.01 * c], [0.01 * c, 0]]
    report = verified(lambda p: np.sin(0.01 * p[0]) * p[1], at, gradient, hessian)
    assert report.passed
    assert report.pairs[0].uv == pytest.approx(0.01 * c, rel=1e-5)
    assert report.pairs[0].u_hv == pytest.approx(0.01 * c, rel=1e-12)


N = 60


def hidden(at):
    """A smooth loss of many entries, with the defect in two of them."""

    def loss(p):
        return schwarz((p - at)[[7, 41]]) + np.sum(np.sin(p))

    return loss, np.cos(at), np.diag(-np.sin(at))


def test_the_entries_behind_random_signs_are_found():
    at = np.random.default_rng(0).standard_normal(N)
    loss, gradient, hessian = hidden(at)
    report = verified(loss, at, gradient, hessian, count=8)
    worst = report.pairs[0]
    assert worst.verdict is Verdict.ORDER_DEPENDENT
    assert worst.entries is not None
    assert [entry.index for entry in (worst.entries.u, worst.entries.v)] == [(7,), (41,)]
    assert (worst.uv, worst.vu) == pytest.approx((1.0, -1.0), abs=1e-3)
    assert sum(p.entries is None and p.verdict is Verdict.ORDER_DEPENDENT for p in report.pairs) >= 1


def test_pairs_are_all_of_few_entries_and_random_of_many():
    few = choose_pairs(np.zeros(6), 16, seed=0)
    assert [pair.entries for pair in few] == [(i, j) for i in range(6) for j in range(i + 1, 6)]
    assert choose_pairs(np.zeros(1), 16, seed=0) == []
    many = choose_pairs(np.zeros(100), 9, seed=1)
    assert [pair.entries is None for pair in many] == 5 * [True] + 4 * [False]
    assert len({pair.entries for pair in many[5:]}) == 4
    again, other = choose_pairs(np.zeros(100), 9, seed=1), choose_pairs(np.zeros(100), 9, seed=2)
    assert all((a.u == b.u).all() and (a.v == b.v).all() for a, b in zip(many, again, strict=True))
    assert not all((a.u == b.u).all() for a, b in zip(many, other, strict=True))


def test_parts_of_a_pair_come_down_to_pairs_of_entries():
    parts = choose_pairs(np.zeros(5), 2, seed=0)[:1]
    while any(part.entries is None for part in parts):
        parts = [small for part in parts for small in (part.parts() if part.entries is None else [part])]
    assert sorted(part.entries for part in parts if part.entries) == [
        (i, j) for i in range(5) for j in range(5) if i != j
    ]


def test_entries_move_in_their_scales():
    pair = entry_pair(np.array([0.1, 1000.0]), 0, 1)
    assert (pair.u.tolist(), pair.v.tolist()) == ([1.0, 0.0], [0.0, 512.0])
