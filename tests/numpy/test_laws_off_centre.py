"""Noncentral laws and shapes by probabilities: values are SciPy's, derivatives those of sums by Poisson's weights."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sp
from numpy.testing import assert_allclose

from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import Untraceable
from gradserve.ops.special.noncentral import NormalMean
from tests.clients.evaluation import assert_traces, traced_result
from tests.numpy.test_special_functions import _gradient, curvatures, slopes


def _by_poisson(law: Any, nc: Any) -> Any:
    weights = (mp.exp(-nc / 2) * (nc / 2) ** k / mp.factorial(k) for k in range(120))
    return sum(weight * law(k) for k, weight in enumerate(weights))


def _chi_squared(x: Any, nc: Any, df: float = 2.5) -> Any:
    return _by_poisson(lambda k: mp.gammainc(mp.mpf(df) / 2 + k, 0, x / 2, regularized=True), nc)


def _fisher(f: Any, nc: Any, dfn: float = 3.0, dfd: float = 4.5) -> Any:
    share = dfn * f / (dfn * f + dfd)
    return _by_poisson(lambda k: mp.betainc(mp.mpf(dfn) / 2 + k, mp.mpf(dfd) / 2, 0, share, regularized=True), nc)


def _student(t: Any, nc: Any, df: float = 3.5) -> Any:
    v = mp.mpf(df)
    size = 2 * (v / 2) ** (v / 2) / mp.gamma(v / 2)
    return mp.quad(lambda s: size * s ** (v - 1) * mp.exp(-v * s * s / 2) * mp.ncdf(t * s - nc), [0, 1, 2, 6])


LAWS: dict[str, tuple[Any, Any, Any]] = {
    "chi-squared": (_chi_squared, lambda x, nc: sp.chndtr(x, 2.5, nc), lambda p, nc: sp.chndtrix(p, 2.5, nc)),
    "F": (_fisher, lambda x, nc: sp.ncfdtr(3.0, 4.5, nc, x), lambda p, nc: sp.ncfdtri(3.0, 4.5, nc, p)),
    "t": (_student, lambda x, nc: sp.nctdtr(3.5, nc, x), lambda p, nc: sp.nctdtrit(3.5, nc, p)),
}
POINTS = [(0.3, 0.7), (2.0, 1.5)]


@pytest.mark.parametrize("name", LAWS)
def test_noncentral_laws_and_their_quantiles(name):
    precise, ours, inverse = LAWS[name]
    x, nc = np.array(POINTS).T
    assert_traces(ours, x, nc)
    p = np.asarray(ours(x, nc))
    assert_traces(inverse, p, nc)
    with mp.workdps(20):
        wanted = [[float(mp.diff(precise, point, which)) for which in ((1, 0), (0, 1))] for point in POINTS]
        mixed = float(mp.diff(precise, POINTS[1], (1, 1)))
    for k, (point, slope) in enumerate(zip(POINTS, wanted, strict=True)):
        assert_allclose(_gradient(lambda v: ours(v[0], v[1]), np.array(point)), slope, rtol=2e-11)
        found = _gradient(lambda v: inverse(v[0], v[1]), np.array([p[k], point[1]]))
        assert_allclose(found, [1 / slope[0], -slope[1] / slope[0]], rtol=1e-9)
        # The law is of what its quantile is: only the probability moves that.
        assert_allclose(
            _gradient(lambda v: ours(inverse(v[0], v[1]), v[1]), np.array([p[k], point[1]])), [1, 0], atol=1e-9
        )
    step = 1e-4
    along = [_gradient(lambda v: ours(v[0], v[1]), np.array([2.0, 1.5 + t]))[0] for t in (-step, step)]
    assert_allclose((along[1] - along[0]) / (2 * step), mixed, rtol=1e-6)
    assert_allclose(
        curvatures(lambda x: ours(x, 1.5), x[1:2]), [float(mp.diff(lambda x: precise(x, 1.5), 2.0, 2))], rtol=1e-8
    )


def test_what_is_off_the_centre_by_a_probability():
    x, p = np.array([9.0, 30.0, 400.0]), np.array([0.3, 0.5, 0.1])
    assert_traces(lambda x, p: sp.chndtrinc(x, 3.0, p), x, p)
    found = slopes(lambda x: sp.chndtr(x, 3.0, sp.chndtrinc(x, 3.0, p)), x)
    assert_allclose(found, 0.0, atol=1e-12)
    assert_allclose(slopes(lambda p: sp.chndtr(x, 3.0, sp.chndtrinc(x, 3.0, p)), p), 1.0, rtol=1e-10)
    assert np.isnan(
        traced_result(lambda p: sp.chndtrinc(1.0, 3.0, p), np.array(0.9))
    )  # there is none: SciPy has 1e-315


@pytest.mark.parametrize("df", [0.1, 1.0, 30.0, 1000.0])
def test_means_of_normal_densities_have_their_digits(df):
    """Also where the parabolic cylinder functions that they are have lost theirs; and a power off is seen."""
    t, nc = np.array([0.5, -2.0, 10.0, 0.0]), np.array([0.4, 5.0, 9.0, 1.0])
    with mp.workdps(20):
        v = mp.mpf(df)
        size = 2 * (v / 2) ** (v / 2) / mp.gamma(v / 2)

        def mean(t: float, nc: float) -> float:
            def term(u: Any) -> Any:  # of the logarithm of s
                s = mp.exp(u)
                return size * s ** (v + 1) * mp.exp(-v * s * s / 2) * mp.npdf(t * s - nc)

            return float(mp.quad(term, [-60, -9, -5, -3, -2, -1, -0.5, -0.2, 0, 0.2, 0.5, 1, 2, 4]))

        wanted = [mean(*each) for each in zip(t, nc, strict=True)]
    assert_allclose(NormalMean(df, 1).impl(np, t, nc), wanted, rtol=1e-12)
    assert not np.allclose(NormalMean(df, 2).impl(np, t, nc), wanted, rtol=1e-4, atol=0.0)


SHAPES: dict[str, tuple[Any, Any, list[float]]] = {
    "bdtrik": (sp.bdtrik, lambda v, y, n, p: sp.betainc(n - v, v + 1, 1 - p), [0.3, 9.0, 0.4]),
    "bdtrin": (sp.bdtrin, lambda v, k, y, p: sp.betainc(v - k, k + 1, 1 - p), [2.0, 0.3, 0.4]),
    "btdtria": (sp.btdtria, lambda v, p, b, x: sp.betainc(v, b, x), [0.3, 2.0, 0.4]),
    "btdtrib": (sp.btdtrib, lambda v, a, p, x: sp.betainc(a, v, x), [2.0, 0.3, 0.4]),
    "chdtriv": (sp.chdtriv, lambda v, p, x: sp.chdtr(v, x), [0.3, 2.0]),
    "gdtrib": (sp.gdtrib, lambda v, a, p, x: sp.gdtr(a, v, x), [2.0, 0.3, 1.5]),
    "nbdtrik": (sp.nbdtrik, lambda v, y, n, p: sp.betainc(n, v + 1, p), [0.3, 3.0, 0.3]),
    "nbdtrin": (sp.nbdtrin, lambda v, k, y, p: sp.betainc(v, k + 1, p), [2.0, 0.3, 0.4]),
    "pdtrik": (sp.pdtrik, lambda v, p, m: sp.gammaincc(v + 1, m), [0.3, 5.0]),
}
"""By name: the function, the probability of what it gives and all its operands, and a point."""


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_keep_the_probability(name):
    """The probability of the shape moves as the operand that it is, and with nothing else."""
    ours, law, point = SHAPES[name]
    assert_traces(ours, *map(np.array, point))
    found = _gradient(lambda v: law(ours(*v), *v), np.array(point))
    value = int(np.argmax(found))
    assert point[value] < 1
    assert_allclose(found, np.eye(len(point))[value], atol=1e-10)
    step = 1e-5
    along = [_gradient(lambda v: ours(*v), np.array(point) + t)[0] for t in (-step, step)]
    turn = curvatures(lambda t: ours(*(p + t for p in point)), np.array(0.0))
    total = [np.sum(_gradient(lambda v: ours(*v), np.array(point) + t)) for t in (-step, step)]
    assert_allclose(turn, (total[1] - total[0]) / (2 * step), rtol=1e-5)
    assert along[0] != along[1]


def test_shapes_that_there_are_none_of():
    """SciPy gives 0 where even none have more than the probability, and where it stopped where it found none."""
    assert_allclose(slopes(lambda m: sp.pdtrik(0.3, m), np.array([1.0, 5.0]))[0], 0.0)
    assert np.isnan(slopes(lambda p: sp.chdtriv(p, 1e12), np.array([0.3]))).all()


def test_other_functions_of_their_kin():
    y = np.array([0.9, 0.3, 1e-3, 1e-9])
    assert_traces(lambda y: sp.betainccinv(2.0, 3.0, y), y)
    x = np.asarray(sp.betainccinv(2.0, 3.0, y))
    assert_allclose(slopes(lambda y: sp.betainccinv(2.0, 3.0, y), y), -1 / (12 * x * (1 - x) ** 2), rtol=1e-6)
    x = np.array([0.0, 0.3, 2.0, 9.0])
    for function, turn in ((sp.modfresnelp, 1j), (sp.modfresnelm, -1j)):
        assert_traces(function, x)
        found = [slopes(lambda x, f=function, part=part: part(f(x)[0]), x) for part in (np.real, np.imag)]
        assert_allclose(found[0] + 1j * found[1], -np.exp(turn * x * x), rtol=1e-12)
    # SciPy's values below 0 are off by sqrt(pi / 2) i: the integral over all t is sqrt(pi) exp(pi i / 4).
    both = traced_result(lambda x: sp.modfresnelp(x)[0] + sp.modfresnelp(-x)[0], x)
    assert_allclose(both, np.sqrt(np.pi) * np.exp(0.25j * np.pi), rtol=1e-13)
    x = np.array([0.1, 0.4, 0.9])
    assert_traces(lambda x, p: sp.eval_sh_jacobi([[0], [1], [4]], p, 1.5, x), x, np.array([2.5, 3.0, 1.2]))
    a = np.array([0.3, 2.0, 6.0])
    for power, order in ((0.0, 0.0), (1.0, 2.0), (0.5, 1.5)):
        assert_traces(lambda a, p=power, v=order: sp.besselpoly(a, p, v), a)
        found = slopes(lambda a, p=power, v=order: sp.besselpoly(a, p, v), a)
        rest = np.asarray(sp.jv(order, 2 * a)) - (power + 1) * np.asarray(sp.besselpoly(a, power, order))
        assert_allclose(found, rest / a, rtol=1e-9)
    assert np.isnan(traced_result(lambda a: sp.besselpoly(a, 0.0, 0.0), np.array(20.0)))  # SciPy's is off by a third


def test_shapes_of_noncentral_laws_are_known_and_few():
    with pytest.raises(Untraceable, match=r"the shape of scipy\.special\.chndtr is traced; use shapes known"):
        trace(lambda df: sp.chndtr(1.0, df, 1.0), 3.0)
    with pytest.raises(Untraceable, match=r"nctdtr of 5000\.0 degrees of freedom cannot be traced"):
        trace(lambda t: sp.nctdtr(5000.0, 1.0, t), 3.0)
    # What SciPy would take seconds for is no number.
    assert np.isnan(traced_result(lambda x: sp.chndtr(x, 3.0, 1e8), np.array([1e8]))).all()
    assert np.isnan(traced_result(lambda nc: sp.nctdtrit(3.0, nc, 0.3), np.array([1e6]))).all()
    assert np.isnan(traced_result(lambda nc: sp.chndtr(1.0, 3.0, nc), np.array([-1.0]))).all()
