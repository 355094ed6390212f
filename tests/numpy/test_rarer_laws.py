"""Densities of rarer distributions: derivatives in the number and in every shape, by SciPy's values or by mpmath."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import stats

from gradserve.client import Client
from gradserve.client.functions.of_arrays import function_of_arrays
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import Untraceable
from gradserve.numpy.scipy import bessel_sums
from tests.clients.evaluation import traced_result

log_sum = function_of_arrays(bessel_sums.log_sum, bessel_sums.__name__, "log_sum")
OF_NUMBERS: dict[str, tuple[float, ...]] = {
    "alpha": (1.5,),
    "anglit": (),
    "arcsine": (),
    "argus": (1.3,),
    "bradford": (0.7,),
    "burr": (1.5, 0.7),
    "cosine": (),
    "crystalball": (0.5, 3.0),
    "dpareto_lognorm": (0.3, 1.2, 1.5, 2.0),
    "erlang": (2.0,),
    "exponpow": (1.7,),
    "exponweib": (1.9, 0.8),
    "foldcauchy": (0.7,),
    "genexpon": (2.1, 1.2, 0.3),
    "genhalflogistic": (0.4,),
    "genhyperbolic": (0.7, 1.5, -0.5),
    "geninvgauss": (-0.7, 1.3),
    "halfgennorm": (0.7,),
    "jf_skew_t": (2.0, 0.7),
    "johnsonsb": (0.3, 1.2),
    "kappa3": (1.4,),
    "kappa4": (0.2, -0.3),
    "levy_l": (),
    "loglaplace": (1.2,),
    "mielke": (1.4, 0.6),
    "ncf": (4.0, 5.0, 0.8),
    "nct": (4.0, 0.6),
    "ncx2": (4.0, 0.7),
    "norminvgauss": (1.2, 0.5),
    "powerlognorm": (2.1, 0.4),
    "powernorm": (1.4,),
    "rdist": (1.6,),
    "recipinvgauss": (0.6,),
    "rel_breitwigner": (1.5,),
    "semicircular": (),
    "skewcauchy": (0.3,),
    "trapezoid": (0.2, 0.7),
    "truncpareto": (1.8, 5.3),
    "truncweibull_min": (2.5, 0.25, 1.75),
    "vonmises_line": (1.9,),
    "wrapcauchy": (0.3,),
}
OF_COUNTS: dict[str, tuple[float, ...]] = {
    "boltzmann": (1.4, 9.0),
    "dlaplace": (0.8,),
    "logser": (0.6,),
    "planck": (0.5,),
    "skellam": (1.5, 0.8),
    "yulesimon": (1.3,),
    "zipf": (1.7,),
    "zipfian": (0.75, 15.0),
}
KNOWN: dict[str, Any] = {
    **{"nct": 1, "genhyperbolic": 1, "geninvgauss": 1, "ncf": 2},
    **{"boltzmann": (1,), "zipfian": (1,), "erlang": (0,)},
}
"""How many shapes, or which, have no derivatives: whole numbers, and parameters of functions that have none in them."""


def _moving(law: str, shapes: tuple[float, ...]) -> list[int]:
    """The places of shapes in which there are derivatives."""
    fixed = KNOWN.get(law, 0)
    return [k for k in range(len(shapes)) if (k not in fixed if isinstance(fixed, tuple) else k >= fixed)]


def _central(function: Any, x: Any, h: float = 1e-4) -> Any:
    rows = np.eye(len(x)) * h
    return np.array(
        [(8 * (function(x + r) - function(x - r)) - function(x + 2 * r) + function(x - 2 * r)) for r in rows]
    ) / (12 * h)


def _check(law: Any, method: str, x: Any, shapes: tuple[float, ...], moves_x: bool) -> None:
    places = _moving(law.name, shapes)
    weights = np.array([1.0, -0.7, 0.4])

    def loss(p: Any) -> Any:
        point = p[:3] if moves_x else x
        given = list(shapes)
        for n, k in enumerate(places):
            given[k] = p[3 * moves_x + n]
        return np.sum(weights * getattr(law, method)(point, *given, loc=0.0, **({"scale": 1.0} if moves_x else {})))

    start = np.array([*(x if moves_x else ()), *(shapes[k] for k in places)])
    with Client() as client:
        value, gradient = client.function(loss).value_and_grad(start)
    np.testing.assert_allclose(value, loss(start), rtol=1e-11)
    np.testing.assert_allclose(gradient, _central(loss, start), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_derivatives_of_densities(name):
    law = getattr(stats, name)
    _check(law, "logpdf", law.ppf([0.2, 0.55, 0.9], *OF_NUMBERS[name]), OF_NUMBERS[name], moves_x=True)


@pytest.mark.parametrize("name", OF_COUNTS)
def test_derivatives_of_probabilities(name):
    _check(getattr(stats, name), "logpmf", np.array([1.0, 2.0, 5.0]), OF_COUNTS[name], moves_x=False)


def test_the_law_sees_a_wrong_density(monkeypatch):
    """With one polynomial of the expansion amiss, noncentral densities are."""
    monkeypatch.setattr(bessel_sums, "_DEBYE", [[1.0], [0.125, -0.2], *bessel_sums._DEBYE[2:]])
    with pytest.raises(AssertionError):
        test_derivatives_of_densities("ncx2")


@pytest.mark.parametrize("b", [0.05, 0.5, 1.0, 7.5, 101.0])
def test_sums_of_bessels_kind_are_those_of_mpmath(b):
    """Also where SciPy's log_wright_bessel has no digits left: its order 100 at 49,000 and a million."""
    x = np.array([0.0, 1e-3, 1.0, 100.0, 4.9e4, 1e6, 1e9])

    def by_mpmath(order: float, at: float) -> float:
        with mpmath.workdps(60):
            return float(mpmath.log(mpmath.hyp0f1(order, at)) - mpmath.loggamma(order))

    with Client() as client:
        f = client.function(lambda p: log_sum(p[0], p[1:]))
        values = f(np.array([b, *x]))
        rows = f.jacobian(np.array([b, *x]))
    expected = np.array([by_mpmath(b, at) for at in x])
    np.testing.assert_allclose(values, expected, rtol=1e-13, atol=2e-13)
    raised = np.exp(np.array([by_mpmath(b + 1, at) for at in x]) - expected)
    np.testing.assert_allclose(np.diag(rows[:, 1:]), raised, rtol=1e-7 if b > 100 else 1e-9)
    h = 1e-3 * b
    moved = [[by_mpmath(b + k * h, at) for at in x] for k in (-2, -1, 1, 2)]
    slopes = (8 * np.subtract(moved[2], moved[1]) - np.subtract(moved[3], moved[0])) / (12 * h)
    np.testing.assert_allclose(rows[:, 0], slopes, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["hypergeom", "nhypergeom", "betanbinom", "randint"])
def test_probabilities_of_whole_shapes(name):
    shapes = {"hypergeom": (30, 12, 6), "nhypergeom": (20, 7, 3), "betanbinom": (5, 9.3, 1.0), "randint": (-1, 6)}[name]
    k = np.arange(-2.0, 9.0)
    found = traced_result(lambda k: getattr(stats, name).logpmf(k, *shapes), k)
    np.testing.assert_allclose(found, getattr(stats, name).logpmf(k, *shapes), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda w: stats.nct.logpdf(0.3, w[0], 0.5), "df of scipy.stats.nct is traced; use a number df known"),
        (lambda w: stats.geninvgauss.logpdf(0.3, w[0], 0.5), "p of scipy.stats.geninvgauss is traced"),
        (lambda w: stats.zipfian.logpmf(2, w[0], w[1]), "n of scipy.stats.zipfian is traced"),
        (lambda w: stats.zipfian.logpmf(2, w[0], 10**7), "scipy.stats.zipfian up to 10000000 cannot be traced"),
        (lambda w: stats.nct.logpdf(w, 1e5, 0.5), "of 100000.0 degrees of freedom cannot be traced"),
    ],
)
def test_shapes_that_must_be_known_are_named(function, problem):
    with pytest.raises(Untraceable) as refusal:
        trace(function, np.ones(2))
    assert problem in str(refusal.value)
    assert str(refusal.value).startswith("test_rarer_laws.py:")
