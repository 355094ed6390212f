"""Summaries and tests of samples, of scipy.stats: SciPy's values, and derivatives of these."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradserve.client import Client
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import Untraceable
from gradserve.numpy.scipy import comparisons
from tests.clients.evaluation import traced_result
from tests.numpy.slopes import assert_slope_is_that_of_values

RNG = np.random.default_rng(3)
V, U = RNG.normal(size=7), RNG.normal(size=7) * 1.3 + 0.2
P = np.array([0.3, 1.7, 2.2, 0.9, 4.1, 1.2, 3.3])
W = np.array([0.1, 0.25, 0.9, 0.6, 0.4, 0.33, 1.2])
A, B = RNG.normal(size=(5, 4)), RNG.normal(size=(3, 4))
S: Any = stats
CALLS: dict[str, tuple[Any, ...]] = {
    "gmean": (
        lambda p, a: [S.gmean(p), S.gmean(np.exp(a), axis=1), S.gmean(np.exp(a), None), S.gmean(p, weights=W)],
        P,
        A,
    ),
    "hmean": (lambda p, a: [S.hmean(p), S.hmean(np.exp(a), axis=0), S.hmean(p, weights=W)], P, A),
    "pmean": (lambda p: [*(S.pmean(p, k) for k in (-1.5, 0, 1, 2.5)), S.pmean(p, 3, weights=W)], P),
    "sem": (lambda v, a: [S.sem(v), S.sem(a, 1, 0), S.sem(a, None)], V, A),
    "variation": (lambda p, a: [S.variation(p), S.variation(a + 9, 1, ddof=1), S.variation(a + 9, None)], P, A),
    "moment": (lambda v, a: [*(S.moment(v, k) for k in range(5)), S.moment(a, 3, 1), S.moment(v, 2, center=0.3)], V, A),
    "kstat": (lambda v, a: [*(S.kstat(v, k) for k in (1, 2, 3, 4)), S.kstat(a, 3), S.kstat(a, 3, axis=0)], V, A),
    "trim_mean": (lambda v, a: [S.trim_mean(v, 0.2), S.trim_mean(a, 0.25, 1), S.trim_mean(a, 0.1, None)], V, A),
    "iqr": (
        lambda v, a: [S.iqr(v), S.iqr(a, 1, (10, 80)), S.iqr(a, scale="normal"), S.iqr(v, interpolation="midpoint")],
        V,
        A,
    ),
    "linregress": (lambda x, y: [*S.linregress(x, y), S.linregress(x, y).stderr * np.sqrt(np.mean(x**2))], V, U),
    "linregress to one side": (lambda y: S.linregress(W, y, alternative="less").pvalue, U),
    "ttest_1samp": (
        lambda v, a: [
            *S.ttest_1samp(v, 0.3),
            *S.ttest_1samp(a, 0.1, 1, alternative="less"),
            *S.ttest_1samp(a, 0, None),
        ],
        *(V, A),
    ),
    "ttest_rel": (lambda u, v: [*S.ttest_rel(u, v), S.ttest_rel(u, v, alternative="greater").pvalue], U, V),
    "ttest_ind": (
        lambda a, b: [*S.ttest_ind(a, b), *S.ttest_ind(a, b, axis=None, equal_var=False), S.ttest_ind(a, b).statistic],
        *(A, B),
    ),
    "boxcox": (lambda p, k: [S.boxcox(p, 0.3), S.boxcox(p, k), S.boxcox(p, 0.0)], P, np.array(0.7)),
    "boxcox_llf": (lambda p, k: [S.boxcox_llf(k, p), S.boxcox_llf(0, p)], P, np.array(0.7)),
    "yeojohnson": (lambda v: [S.yeojohnson(v, k) for k in (0.3, 0.0, 2.0, 1.0, -1.4)], V),
    "yeojohnson_llf": (lambda v: [S.yeojohnson_llf(0.3, v), S.yeojohnson_llf(2.0, v)], V),
    "fits": (
        lambda p: [
            *(f for law in (S.norm, S.expon, S.uniform, S.laplace) for f in law.fit(p)),
            S.norm.fit(p, floc=1.0)[1],
        ],
        P,
    ),
    "fits from a known place": (
        lambda p: (
            [law.fit(p, floc=0.1)[1] for law in (S.expon, S.laplace, S.rayleigh)] + [S.expon.fit(p, fscale=2.0)[0]]
        ),
        P,
    ),
    "distances": (
        lambda u, v: [f(x, y) for f in (S.wasserstein_distance, S.energy_distance) for x, y in ((u, v), (u[:4], v))],
        *(U, V),
    ),
}


def _parts(tree: Any) -> list[Any]:
    return [part for each in tree for part in _parts(each)] if isinstance(tree, list | tuple) else [np.ravel(tree)]


def _joined(tree: Any) -> Any:
    return np.concatenate(_parts(tree))


@pytest.mark.parametrize("call", CALLS)
def test_values_are_scipys(call):
    function, *arguments = CALLS[call]
    found = traced_result(lambda *x: _joined(function(*x)), *arguments)
    np.testing.assert_allclose(found, _joined(function(*arguments)), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("call", CALLS)
def test_derivatives_are_those_of_scipys_values(call):
    function, *arguments = CALLS[call]
    rng = np.random.default_rng(1)
    directions = [rng.normal(size=np.shape(x)) for x in arguments]
    weights = rng.normal(size=len(_joined(function(*arguments))))

    def loss(x: Any) -> Any:
        return np.sum(weights * _joined(function(*x)))

    assert_slope_is_that_of_values(loss, arguments, directions)


def test_a_wrong_probability_is_seen(monkeypatch):
    judged = comparisons._judged
    monkeypatch.setattr(comparisons, "_judged", lambda g, t, df, side: judged(g, t, df + 1.0, side))
    with pytest.raises(AssertionError):
        test_values_are_scipys("ttest_rel")


def test_the_derivative_of_yeo_and_johnson_in_their_parameter():
    """At 0 and 2 too, where one of its halves is a logarithm: against the closed form's own limit."""
    for k in (0.0, 0.7, 2.0):
        with Client() as client:
            slope = client.function(lambda k: np.sum(S.yeojohnson(V, k))).grad(np.array(k))
        h = 1e-3
        near = [np.sum(S.yeojohnson(V, k + n * h)) for n in (-2, -1, 1, 2)]
        np.testing.assert_allclose(slope, (8 * (near[2] - near[1]) - near[3] + near[0]) / (12 * h), rtol=1e-8)


def test_elements_below_0_have_no_harmonic_mean():
    with np.errstate(all="ignore"):
        assert np.isnan(traced_result(lambda x: S.hmean(x), np.array([1.0, -2.0])))
        assert np.isnan(traced_result(lambda x: S.pmean(x, 2), np.array([1.0, -2.0])))


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda w: S.boxcox(w)[0], "write gradserve.client.functions.minimize of -scipy.stats.boxcox_llf(lmbda, x)"),
        (lambda w: S.yeojohnson(w)[0], "give one, or write gradserve.client.functions.minimize of"),
        (lambda w: S.pmean(w, w[0]), "write np.mean(x**p) ** (1 / p)"),
        (lambda w: S.gmean(w, nan_policy="omit"), "nan_policy"),
        (lambda w: S.linregress(np.arange(4.0), w).intercept_stderr, "result.stderr * np.sqrt(np.mean(x**2))"),
        (lambda w: S.wasserstein_distance(w, w, w), "argument"),
    ],
)
def test_what_is_left_out_is_refused(function, line):
    with pytest.raises((Untraceable, TypeError)) as refusal:
        trace(function, np.ones(4))
    assert line in str(refusal.value)
