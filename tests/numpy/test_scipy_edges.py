"""Where densities end and parameters are none: values are SciPy's, and nothing outside has a part in derivatives."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.scipy.stats
import numpy as np
import pytest
import scipy.interpolate
import scipy.signal
import scipy.sparse.linalg
import scipy.spatial.distance
import scipy.stats
from scipy import stats
from scipy.linalg import cho_factor
from scipy.stats import norm

from gradserve.client import Client
from gradserve.client.functions import root
from gradserve.client.scipy import linalg as ours
from gradserve.client.scipy import stats as our_stats
from gradserve.client.scipy.interpolate import BSpline, CubicSpline, interp1d
from gradserve.client.scipy.sparse.linalg import factorized, splu
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import InvalidGraph, Untraceable
from gradserve.numpy.table import SCIPY
from tests import compiled
from tests.clients.evaluation import traced_result
from tests.numpy import test_laws_of_several, test_samples
from tests.numpy.scipy_calls import values
from tests.numpy.scipy_calls.every import MODULES

jax.config.update("jax_enable_x64", True)

CURVES: Any = scipy.interpolate
SIGNAL: Any = scipy.signal
SYSTEMS: Any = scipy.sparse.linalg
SOLVERS: Any = scipy.optimize
X = np.array([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0, 7.0, np.inf, np.nan])
LAWS: dict[str, list[tuple[Any, ...]]] = {
    "norm": [(0.0, 1.0), (0.0, 0.0), (0.0, -1.0)],
    "t": [(3.0,), (np.inf,), (0.0,)],
    "gamma": [(1.0,), (2.0,), (0.5,), (-1.0,)],
    "rice": [(0.0,), (1.5,), (-1.0,)],
    "chi2": [(2.0,), (4.0,), (1.0,), (0.0,)],
    "beta": [(1.0, 1.0), (2.0, 3.0), (0.5, 0.5), (0.0, 1.0)],
    "expon": [(), (0.0, -1.0)],
    "laplace": [()],
    "cauchy": [()],
    "lognorm": [(1.0,), (0.0,)],
    "weibull_min": [(1.0,), (2.0,), (0.5,)],
    "uniform": [(), (0.5, 2.0), (0.0, 0.0)],
    "logistic": [()],
    "halfnorm": [()],
    "invgamma": [(2.0,)],
    "pareto": [(2.0,), (0.0,)],
    "gumbel_r": [()],
    "rayleigh": [()],
    "poisson": [(1.5,), (0.0,), (-1.0,)],
    "binom": [(2.0, 0.3), (2.0, 0.0), (2.0, 1.0), (2.5, 0.3), (2.0, 1.5)],
    "nbinom": [(2.0, 0.3), (2.5, 1.0), (0.0, 0.5)],
    "bernoulli": [(0.3,), (1.0,), (2.0,)],
    "geom": [(0.3,), (1.0,), (0.0,)],
    "gumbel_l": [()],
    "lomax": [(2.0,), (0.0,)],
    "fisk": [(1.0,), (2.0,), (0.5,), (0.0,)],
    "halfcauchy": [()],
    "maxwell": [()],
    "skewnorm": [(1.5,), (0.0,)],
    "invgauss": [(2.0,), (0.0,)],
    "truncnorm": [(-1.0, 1.0), (0.5, np.inf), (1.0, 0.0)],
    "f": [(2.0, 3.0), (1.0, 4.0), (0.0, 1.0)],
    "weibull_max": [(1.5,), (1.0,), (-1.0,)],
    "dweibull": [(1.5,), (0.0,)],
    "dgamma": [(1.7,), (-1.0,)],
    "gengamma": [(2.0, 1.5), (2.0, -1.5), (1.0, 1.0), (-1.0, 1.0)],
    "betaprime": [(2.0, 1.5), (1.0, 1.0), (0.5, 2.0)],
    "halflogistic": [()],
    "hypsecant": [()],
    "fatiguelife": [(0.7,), (-1.0,)],
    "moyal": [()],
    "gibrat": [()],
    "wald": [()],
    "foldnorm": [(0.7,), (0.0,), (-1.0,)],
    "loggamma": [(0.7,)],
    "truncexpon": [(2.0,)],
    "betabinom": [(2.0, 1.5, 0.5), (2.5, 1.0, 1.0), (2.0, 0.0, 1.0)],
    "erlang": [(2.0,), (1.0,), (-1.0,)],
    "anglit": [()],
    "arcsine": [()],
    "argus": [(1.3,), (0.0,)],
    "bradford": [(0.7,), (-1.0,)],
    "cosine": [()],
    "genhalflogistic": [(0.7,), (0.1,), (-1.0,)],
    "johnsonsb": [(0.3, 1.2), (0.3, 0.0)],
    "rdist": [(1.6,), (2.0,), (4.0,), (0.0,)],
    "semicircular": [()],
    "trapezoid": [(0.2, 0.8), (0.0, 1.0), (0.5, 0.5), (0.8, 0.2)],
    "truncpareto": [(1.8, 5.3), (1.8, 1.0)],
    "truncweibull_min": [(2.5, 0.25, 1.75), (0.7, 0.0, 1.0), (2.5, 1.0, 1.0)],
    "vonmises_line": [(0.0,), (3.9,), (-1.0,)],
    "wrapcauchy": [(0.3,), (1.0,)],
    "alpha": [(3.5,), (-1.0,)],
    "burr": [(1.5, 0.7), (1.5, -1.0)],
    "crystalball": [(2.0, 3.0), (0.4, 1.0)],
    "dpareto_lognorm": [(0.3, 1.2, 1.5, 2.0), (0.3, 0.0, 1.5, 2.0)],
    "exponpow": [(2.7,), (1.0,), (-1.0,)],
    "exponweib": [(2.9, 1.9), (0.7, 0.8), (2.9, -1.0)],
    "foldcauchy": [(4.7,), (0.0,), (-1.0,)],
    "genexpon": [(2.1, 1.2, 0.3), (-2.1, 1.2, 0.3)],
    "halfgennorm": [(0.7,), (-1.0,)],
    "jf_skew_t": [(8.0, 4.0), (0.5, 1.0), (-1.0, 1.0)],
    "kappa3": [(1.0,), (2.4,), (-1.0,)],
    "kappa4": [(0.0, 0.0), (0.1, -0.1), (0.5, 0.2), (0.7, 0.0), (-0.3, 0.4), (-0.3, -0.4), (0.0, 0.3)],
    "levy_l": [()],
    "loglaplace": [(3.2,), (-1.0,)],
    "mielke": [(1.4, 0.6), (1.4, -0.6)],
    "norminvgauss": [(1.2, 0.5), (0.5, 1.2)],
    "powerlognorm": [(2.1, 0.4), (2.1, -1.0)],
    "powernorm": [(4.4,), (-1.0,)],
    "recipinvgauss": [(0.6,), (-1.0,)],
    "rel_breitwigner": [(36.5,), (0.7,), (-1.0,)],
    "skewcauchy": [(0.5,), (-0.5,), (1.0,)],
    "ncx2": [(4.0, 0.3), (2.0, 3.0), (1.0, 0.0), (5.0, 7.0), (4.0, -1.0)],
    "ncf": [(4.0, 5.0, 0.3), (3.0, 2.0, 0.5), (4.0, 5.0, -1.0)],
    "nct": [(4.0, 0.3), (0.5, -1.0), (0.0, 1.0)],
    "genhyperbolic": [(0.5, 1.5, -0.5), (-2.0, 1.5, 0.5), (0.5, 1.5, 2.0)],
    "geninvgauss": [(2.3, 1.5), (-0.7, 0.3), (2.3, -1.0)],
    "betanbinom": [(5.0, 9.3, 1.0), (2.5, 1.0, 1.0), (2.0, 0.0, 1.0)],
    "boltzmann": [(1.4, 19.0), (1.4, 2.0), (1.4, 2.5)],
    "dlaplace": [(0.8,), (-1.0,)],
    "hypergeom": [(30.0, 12.0, 6.0), (5.0, 4.0, 3.0), (5.0, 6.0, 3.0)],
    "nhypergeom": [(20.0, 7.0, 1.0), (20.0, 7.0, 0.0), (20.0, 7.0, 15.0)],
    "logser": [(0.6,), (1.0,)],
    "planck": [(0.5,), (-1.0,)],
    "randint": [(1.0, 6.0), (6.0, 1.0), (-1.0, 2.0)],
    "skellam": [(1.5, 0.8), (15.0, 80.0), (1.0, -1.0)],
    "zipf": [(6.6,), (1.2,), (1.0,)],
    "zipfian": [(0.75, 15.0), (1.0, 2.0), (-1.0, 3.0)],
    "yulesimon": [(1.3,), (-1.0,)],
}
# Of t with infinitely many degrees the beta function has no probabilities; gamma and its kin have NaN at infinity.
# Of two degrees of freedom, the noncentral density is above 0 at 0, where SciPy has 0.
LEFT_OUT = {
    *(("t", np.inf, "cdf"), ("t", np.inf, "sf"), ("t", np.inf, "logcdf"), ("t", np.inf, "logsf")),
    ("ncx2", 2.0, "pdf"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("law", LAWS)
def test_values_at_edges_are_scipys(law):
    theirs = getattr(stats, law)
    named = {full.rpartition(".")[2] for full in SCIPY if full.startswith(f"scipy.stats.{law}.")}
    methods = sorted(named - {"fit"})  # which is of samples
    for parameters in LAWS[law]:
        for method in methods:
            if (law, *parameters[:1], method) in LEFT_OUT:
                continue
            expected = getattr(theirs, method)(X, *parameters)
            if method in ("logcdf", "logsf"):
                # SciPy has probabilities of 1 at infinity even where there are no such parameters.
                plain = getattr(theirs, method.removeprefix("log"))(X, *parameters)
                expected = np.where(np.isnan(plain), np.nan, expected)
            elif method.endswith(("pdf", "pmf")) and not np.isnan(getattr(theirs, method)(2.0, *parameters)):
                # SciPy has inf - inf at infinity where densities vanish.
                expected = np.where(np.isinf(X), -np.inf if method.startswith("log") else 0.0, expected)
            found = traced_result(lambda x, m=method, p=parameters: getattr(theirs, m)(x, *p), X)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15, err_msg=f"{law}.{method}{parameters}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "law", [law for law in LAWS if {f"scipy.stats.{law}.{m}" for m in ("pdf", "cdf")} <= SCIPY.keys()]
)
def test_what_is_outside_has_no_part_in_derivatives(law):
    """At numbers inside and outside together, the derivative is that of those inside alone."""
    theirs, shapes = getattr(stats, law), LAWS[law][0][: getattr(stats, law).numargs]
    inside = {"beta": 0.3, "uniform": 0.3, "pareto": 1.7}.get(law, 0.3)
    outside = np.array([-1.0, -np.inf, inside]) if np.isinf(theirs.logpdf(-1.0, *shapes)) else np.array([inside])

    def loss(scale: Any, x: Any) -> Any:
        return np.sum(theirs.pdf(x, *shapes, scale=scale) + theirs.cdf(x, *shapes, scale=scale))

    with Client() as client:
        f = client.function(loss)
        assert np.allclose(f.grad(0.9, outside, wrt="scale"), f.grad(0.9, outside[-1:], wrt="scale"), rtol=1e-12)


@pytest.mark.parametrize("law", ["norm", "gamma", "laplace", "cauchy", "pareto"])
def test_gradients_are_those_of_jax(law):
    """In all shape parameters, the place and the scale."""
    theirs = getattr(jax.scipy.stats, law)
    parameters = np.array([*[1.7, 2.3][: getattr(stats, law).numargs], 0.05, 1.3])
    x = np.array([0.3, 0.7, 0.9]) + (law == "pareto") * 2.0

    def loss(p: Any) -> Any:
        return np.sum(getattr(stats, law).logpdf(x, *p) * np.arange(1, 4))

    def of_jax(p: Any) -> Any:
        return (theirs.logpdf(x, *p) * np.arange(1, 4)).sum()

    with Client() as client:
        found = client.function(loss).value_and_grad(parameters)
    expected = compiled.value_and_grad(of_jax)(parameters)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-10)


def test_student_has_its_density_as_derivative_at_0_too():
    x = np.array([-2.0, -0.4, -1e-9, 0.0, 1e-9, 0.3, 0.5, 4.0])
    with Client() as client:
        for df in (0.3, 1.0, 7.5, 400.0):
            slopes = client.function(lambda x, df=df: np.sum(stats.t.cdf(x, df))).grad(x)
            np.testing.assert_allclose(slopes, stats.t.pdf(x, df), rtol=1e-9)


def test_every_function_is_called():
    modules = values, *MODULES, test_laws_of_several, test_samples
    source = Path(__file__).read_text() + "".join(map(inspect.getsource, modules))
    for full in SCIPY:
        parts = full.split(".")
        name = parts[2] if parts[1] in ("stats", "interpolate") else parts[-1] if parts[-1] != "__call__" else parts[-2]
        assert name in source, full


def test_arguments_stand_where_scipys_do():
    """What is given by position means the same: parameters by position are the first of SciPy's."""
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    compared = 0
    for full, entry in SCIPY.items():
        module, _, name = full.rpartition(".")
        theirs = getattr(sys.modules.get(module), name, None)
        if theirs is None:
            continue
        names, own = (
            [p.name for p in inspect.signature(f).parameters.values() if p.kind in by_position]
            for f in (theirs, entry.call)
        )
        if inspect.signature(theirs).parameters.keys() == {"args", "kwargs"}:
            continue  # it does not tell
        assert own[1:] == names[: len(own) - 1], full
        compared += 1
    assert compared > 60


def test_distributions_of_others_are_not_scipys():
    class Mine(stats.rv_continuous):
        def _pdf(self, x, *shapes):
            return np.exp(-x)

    for law in (Mine(a=0.0, name="norm"), type(norm)(a=0.0, name="norm")):
        with pytest.raises(Untraceable):
            trace(lambda w, law=law: law.logpdf(w), np.ones(3))


# ---- under the mirror's names


def test_the_mirror_takes_numbers():
    A = values.D
    np.testing.assert_allclose(ours.solve(A, values.B), np.linalg.solve(A, values.B), rtol=1e-12)
    np.testing.assert_allclose(our_stats.norm.logpdf(X[1:6], 0.1, 2.0), norm.logpdf(X[1:6], 0.1, 2.0), rtol=1e-14)
    np.testing.assert_allclose(our_stats.gamma(1.5, scale=2.0).cdf(X[2:7]), stats.gamma(1.5, scale=2.0).cdf(X[2:7]))
    assert "logpdf" in repr(dir(our_stats)) or "norm" in dir(our_stats)
    with pytest.raises(AttributeError, match=r"gradserve has no scipy\.stats\.landau"):
        _ = our_stats.landau
    with pytest.raises(AttributeError, match=r"has no scipy\.stats\.invgauss\.ppf"):
        _ = our_stats.invgauss.ppf


def test_curves_through_traced_points():
    t, at = values.T, values.AT
    with Client() as client:
        for kind in ("not-a-knot", "natural", "clamped", ((1, 0.5), (2, -1.0))):
            curve = lambda y, kind=kind: CubicSpline(t, y, bc_type=kind)(at)  # noqa: E731
            theirs = lambda y, kind=kind: CURVES.CubicSpline(t, y, bc_type=kind)(at)  # noqa: E731
            y = values.V
            np.testing.assert_allclose(traced_result(curve, y), theirs(y), rtol=1e-11)
            rows = client.function(curve).jacobian(y)
            expected = np.stack([theirs(y + e) - theirs(y) for e in np.eye(6)], axis=1)
            np.testing.assert_allclose(rows, expected, rtol=1e-9, atol=1e-9)
    for n in (2, 3):
        found = traced_result(lambda y, n=n: CubicSpline(t[:n], y)(at), values.V[:n])
        np.testing.assert_allclose(found, CURVES.CubicSpline(t[:n], values.V[:n])(at), rtol=1e-11)
    image = values.IMAGE[:, :6]
    found = traced_result(lambda y: CubicSpline(t, y, axis=1)(at), image)
    np.testing.assert_allclose(found, CURVES.CubicSpline(t, image, axis=1)(at), rtol=1e-11)
    for kind in ("linear", "previous", "next", "cubic"):
        found = traced_result(lambda y, kind=kind: interp1d(t, y, kind=kind)(at[1:5]), values.V)
        np.testing.assert_allclose(found, CURVES.interp1d(t, values.V, kind=kind)(at[1:5]), rtol=1e-11)
    spline = values.SPLINE
    found = traced_result(lambda c: BSpline(spline.t, c, spline.k)(at), spline.c)
    np.testing.assert_allclose(found, spline(at), rtol=1e-11)


def test_factors_of_sparse_matrices():
    A, b = values.DEFINITE, values.V
    np.testing.assert_allclose(traced_result(lambda b: splu(A).solve(b), b), SYSTEMS.splu(A).solve(b), rtol=1e-12)
    found = traced_result(lambda b: factorized(A)(b), b)
    np.testing.assert_allclose(found, SYSTEMS.factorized(A)(b), rtol=1e-12)
    found = traced_result(lambda b: splu(A).solve(b, trans="T"), b)
    np.testing.assert_allclose(found, SYSTEMS.splu(A).solve(b, trans="T"), rtol=1e-12)


def test_a_large_sparse_matrix_stays_sparse():
    """A million numbers in a matrix that would take 80 gigabytes: products and their derivatives."""
    rng, n = np.random.default_rng(1), 100_000
    places = rng.integers(0, n, (2, 10 * n))
    A: Any = scipy.sparse.csr_array((rng.normal(size=10 * n), places), shape=(n, n))
    w = rng.normal(size=n)
    with Client() as client:
        value, gradient = client.function(lambda w: np.sum((A @ w) ** 2) / 2).value_and_grad(w)
    assert np.isclose(value, np.sum((A @ w) ** 2) / 2)
    np.testing.assert_allclose(gradient, A.T @ (A @ w), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda w: stats.invgauss.ppf(w, 2.0), "functions.root(lambda x: law.cdf(x, *shapes) - q, guess).x"),
        (lambda w, f=cho_factor: f(np.outer(w, w)), "write `from gradserve.client.scipy.linalg import cho_factor`"),
        (lambda w: stats.landau.logpdf(w), "scipy.stats.landau.logpdf asks for the elements"),
        (lambda w: stats.landau(w[0]).logpdf(w[1]), "scipy.stats.landau.logpdf asks for the elements"),
        (lambda w: stats.landau.ppf(w), "write it with functions of NumPy"),
        (lambda w: stats.crystalball.cdf(w, 2.0, 3.0), "of scipy.stats.crystalball, logpdf, pdf can be traced"),
        (lambda w: stats.multivariate_normal.cdf(w), "scipy.stats.multivariate_normal.cdf asks for the elements"),
        (lambda w: stats.norm.entropy(w[0], w[1]), "scipy.stats.norm.entropy asks for the elements"),
        (lambda w: stats.gamma.fit(w), "scipy.stats.gamma.fit"),
        (lambda w, f=stats.norm.logpdf: f(w), "write `from gradserve.client.scipy.stats import norm`, whose logpdf"),
        (lambda w: stats.kstest(w, "norm"), "scipy.stats.kstest asks for the elements"),
        (lambda w, f=stats.skew: f(w), "write `from gradserve.client.scipy.stats import skew`"),
        (
            lambda w, f=SYSTEMS.splu: f(values.DEFINITE[:4, :4]).solve(w),
            "from gradserve.client.scipy.sparse.linalg",
        ),
        (lambda w: SYSTEMS.spsolve(np.outer(w, w), w), "write np.linalg.solve"),
        (lambda w, f=SYSTEMS.spsolve: f(values.DEFINITE[:4, :4], w), "scipy.sparse.linalg import spsolve`"),
        (lambda w: values.SPARSE + w[0], "write A.toarray() + x"),
        (lambda w: SOLVERS.fmin(lambda x: (x - w[0]) ** 2, 0.0), "functions.minimize(function, guess).x"),
        (
            lambda w, f=SOLVERS.least_squares: f(lambda x: x - w, w * 0).x,
            "from gradserve.client.scipy.optimize import least_squares`",
        ),
        (lambda w: np.sum(scipy.integrate.solve_ivp(lambda t, y: -y, (0, 1), w).y), "give t_eval, or take the last"),
        (lambda w: np.histogram(w), "counts have no derivative"),
        (lambda w: w / values.SPARSE, "A.toarray() if it is small"),
        (lambda w, f=CURVES.CubicSpline: f(np.arange(4.0), w), "import CubicSpline`"),
        (lambda w: CURVES.UnivariateSpline(np.arange(4.0), w)(0.3), "write UnivariateSpline(..., s=0)"),
        (lambda w: CURVES.UnivariateSpline(w, np.arange(4.0), s=0)(0.3), "use CubicSpline(x, y)"),
        (lambda w: CURVES.UnivariateSpline(np.arange(4.0), w, s=0, ext=3)(0.3, 1), "write np.clip(x, first, last)"),
        (lambda w: CURVES.splrep(np.arange(4.0), w, per=1), "use make_interp_spline(x, y, k)"),
        (lambda w: CURVES.KroghInterpolator([0.0, 0.0, 1.0, 1.0], w)(0.3), "use CubicHermiteSpline(x, y, dydx)"),
        (lambda w: CURVES.RBFInterpolator(w[:, None], w, 2)(np.ones((1, 1))), "leave out neighbors"),
        (
            lambda w: SYSTEMS.cg(SYSTEMS.aslinearoperator(np.eye(4)), w)[0],
            "functions.root(lambda x: product(x) - b, b)",
        ),
        (lambda w: SYSTEMS.svds(np.diag(w), 2), "gradserve.client.scipy"),
        (lambda w: SYSTEMS.lsqr(SYSTEMS.aslinearoperator(np.eye(4)), w)[0], "write np.linalg.lstsq"),
        (lambda w: SYSTEMS.eigsh(np.diag(w), 2, sigma=0.5, which="LA"), "write np.linalg.eigh"),
        (lambda w: SYSTEMS.expm_multiply(np.eye(4), w, stop=w[0]), "write scipy.linalg.expm(t * A) @ B"),
        (lambda w: SIGNAL.decimate(np.tile(w, 9), 2, ftype=SIGNAL.dlti([1.0], [1.0, 0.5])), "use 'iir' or 'fir'"),
        (lambda w: CURVES.Rbf(w, np.arange(4.0))(0.3), "give epsilon"),
        (lambda w: CURVES.griddata(w, np.arange(4.0), 0.3), "use RBFInterpolator(points, values)(xi)"),
        (lambda w: CURVES.griddata(np.eye(4), w, np.ones(4) / 4, "cubic"), "use 'linear', 'nearest'"),
    ],
)
def test_refusals_name_the_line(function, line):
    with pytest.raises(Untraceable) as refusal:
        trace(function, np.ones(4))
    assert line in str(refusal.value)
    assert str(refusal.value).startswith("test_scipy_edges.py:")


@pytest.mark.parametrize(
    "function",
    [
        *(
            lambda w: stats.landau.logpdf(w),
            lambda w: stats.multivariate_normal.cdf(w),
            lambda w: stats.kstest(w, "norm"),
        ),
        *(lambda w: stats.norm.entropy(w[0], w[1]), lambda w: stats.crystalball.cdf(w, 2.0, 3.0)),
        *(lambda w, f=stats.norm.logpdf: f(w), lambda w, f=stats.zscore: f(w)),
    ],
)
def test_refusals_advise_nothing_that_there_is_not(function):
    """What they say to import is found, with the method that they name."""
    with pytest.raises(Untraceable) as refusal:
        trace(function, np.ones(4))
    said = str(refusal.value)
    assert "axis_nan_policy" not in said
    assert "a.searchsorted(x)" not in said
    for module, name in re.findall(r"from (gradserve\S+) import (\w+)`", said):
        found = getattr(importlib.import_module(module), name)
        for method in re.findall(r"whose (\w+) takes", said):
            assert callable(getattr(found, method))


def test_quantiles_without_a_closed_form_by_the_line_that_their_refusal_names():
    q, a = np.array([0.2, 0.5, 0.95]), 2.5
    with Client() as client:
        f = client.function(lambda q: np.sum(root(lambda x: stats.invgauss.cdf(x, a) - q, 1.0 + 0 * q).x))
        value, gradient = f.value_and_grad(q)
    expected = stats.invgauss.ppf(q, a)
    np.testing.assert_allclose(value, expected.sum(), rtol=1e-10)
    np.testing.assert_allclose(gradient, 1 / stats.invgauss.pdf(expected, a), rtol=1e-8)


def test_the_mirror_traces_without_scipy():
    code = """
import sys
import numpy as np
from gradserve.client.scipy import linalg, spatial, stats
from gradserve.client.tracing.trace import trace
loss = lambda w: stats.norm.logpdf(linalg.solve(np.eye(3), w)).sum() + spatial.distance.pdist(w[:, None]).sum()
assert len(trace(loss, np.ones(3)).graph.nodes) > 3
assert not {name for name in sys.modules if name.partition(".")[0] == "scipy"}
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


COMPLEX = np.array([1 + 1j, 2 - 1j, 0.5 + 0.3j])


def test_a_complex_toeplitz_matrix_is_hermitian_but_for_its_diagonal():
    found = traced_result(lambda z: scipy.linalg.toeplitz(z), COMPLEX)
    np.testing.assert_array_equal(found, scipy.linalg.toeplitz(COMPLEX))


@pytest.mark.parametrize(
    "function",
    [
        lambda z: stats.norm.logpdf(z),
        lambda z: stats.multivariate_normal.logpdf(z, np.zeros(3), np.eye(3)),
        lambda z: scipy.spatial.distance.pdist(z[:, None]),
        lambda z: scipy.linalg.eigh_tridiagonal(z, z[1:]),
    ],
)
def test_what_is_of_real_numbers_refuses_complex_ones(function):
    with pytest.raises((InvalidGraph, Untraceable)):
        traced_result(function, COMPLEX)
