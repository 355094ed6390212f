"""Ufuncs of scipy.special that few need: values are SciPy's, derivatives those of mpmath or of closed forms."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sp
from numpy.testing import assert_allclose

from gradserve.autodiff import derive
from gradserve.client import Client
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import Untraceable
from gradserve.questions.derivations import Gradient
from tests.clients.evaluation import assert_traces, traced_result
from tests.numpy.test_derivatives import assert_gradient, run
from tests.numpy.test_special_functions import _gradient, _hessian, curvatures, slopes

UNARY: dict[str, tuple[Any, Any, list[float]]] = {
    "zetac": (sp.zetac, lambda s: mp.zeta(s) - 1, [-7.3, -2.0, -0.5, 0.0, 0.5, 1.5, 3.0, 30.0, 70.0]),
    "zeta": (lambda s: sp.zeta(s), mp.zeta, [-1.5, 0.5, 1.2, 20.0]),
    "zeta of a shift": (lambda s: sp.zeta(s, 0.3), lambda s: mp.zeta(s, mp.mpf(0.3)), [1.1, 3.0, 40.0]),
    "ellipkm1": (sp.ellipkm1, lambda p: mp.ellipk(1 - p), [1e-30, 1e-9, 0.3, 0.96, 1.0, 1.04, 20.0]),
    "kolmogorov": (sp.kolmogorov, lambda y: _kolmogorov(y), [0.15, 0.3, 0.8199, 0.82, 1.5, 4.0]),
    "smirnov": (lambda d: sp.smirnov(5, d), lambda d: _smirnov(5, d), [0.01, 0.15, 0.33, 0.7, 0.95]),
    "wrightomega": (sp.wrightomega, lambda x: mp.lambertw(mp.exp(x)).real, [-30.0, -1.0, 0.0, 3.0, 500.0]),
    "wright_bessel": (lambda x: sp.wright_bessel(0.5, 1.5, x), lambda x: _wright(x), [0.0, 0.3, 4.0]),
    "log_wright_bessel": (lambda x: sp.log_wright_bessel(0.5, 1.5, x), lambda x: mp.log(_wright(x)), [0.3, 4.0]),
    **{
        f"airye {k}": (lambda x, k=k: sp.airye(x)[k], lambda x, k=k: _scaled_airy(k, x), [0.3, 5.0, 29.9, 30.1, 1e4])
        for k in range(4)
    },
    "airye below 0": (lambda x: sp.airye(x)[2], lambda x: mp.airybi(x), [-3.0]),
}
"""By name: the function, that of mpmath, and points."""


def _kolmogorov(y: Any) -> Any:
    return 2 * sum((-1) ** (k - 1) * mp.exp(-2 * k * k * y * y) for k in range(1, 80))


def _smirnov(n: int, d: Any) -> Any:
    rows = [v for v in range(n + 1) if 1 - d - mp.mpf(v) / n > 0]
    return d * sum(
        mp.binomial(n, v) * (d + mp.mpf(v) / n) ** (v - 1) * (1 - d - mp.mpf(v) / n) ** (n - v) for v in rows
    )


def _wright(x: Any) -> Any:
    return sum(x**k / mp.factorial(k) * mp.rgamma(mp.mpf(k) / 2 + 1.5) for k in range(80))


def _scaled_airy(kind: int, x: Any) -> Any:
    function, slope = (mp.airyai, mp.airybi)[kind // 2], kind % 2
    return function(x, derivative=slope) * mp.exp((2 if kind < 2 else -2) * x * mp.sqrt(x) / 3)


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name):
    ours, precise, points = UNARY[name]
    x = np.array(points)
    assert_traces(ours, x)
    with mp.workdps(60):
        first, second = ([float(mp.diff(precise, mp.mpf(v), k)) for v in points] for k in (1, 2))
    assert_allclose(slopes(ours, x), first, rtol=1e-11, atol=1e-300)
    assert_allclose(curvatures(ours, x), second, rtol=1e-9, atol=1e-300)


INVERSES: dict[str, tuple[Any, Any, list[float]]] = {
    "ndtri_exp": (sp.ndtri_exp, lambda x: mp.log(mp.ncdf(x)), [-1e4, -50.0, -1.0, -0.1, -1e-9]),
    "kolmogi": (sp.kolmogi, _kolmogorov, [1e-9, 0.3, 0.6, 0.99]),
    "smirnovi": (lambda p: sp.smirnovi(4, p), lambda d: _smirnov(4, d), [0.01, 0.3, 0.9]),
    "tklmbda": (lambda x: sp.tklmbda(x, 0.3), lambda p: (p**0.3 - (1 - p) ** 0.3) / 0.3, [-2.0, 0.1, 1.7]),
}
"""By name: the function, that of which it is the inverse, and points."""


@pytest.mark.parametrize("name", INVERSES)
def test_inverse_functions(name):
    """1 / f' and -f'' / f'^3 where they are."""
    ours, forward, points = INVERSES[name]
    x = np.array(points)
    assert_traces(ours, x)
    with mp.workdps(40):
        at = [mp.mpf(v) for v in np.asarray(ours(x)).tolist()]
        first, second = ([mp.diff(forward, v, k) for v in at] for k in (1, 2))
    assert_allclose(slopes(ours, x), [float(1 / a) for a in first], rtol=1e-7)
    assert_allclose(curvatures(ours, x), [float(-b / a**3) for a, b in zip(first, second, strict=True)], rtol=1e-6)


def test_tukeys_shape_near_none():
    """At lambda = 0 it is the logistic distribution, and its derivative there that of the quantile, by its series."""
    p = np.array([0.1, 0.5, 0.8])
    for power in (0.0, 1e-9, 0.2, -0.4):
        q = (p**power - (1 - p) ** power) / power if power else np.log(p / (1 - p))
        found = [_gradient(lambda v: sp.tklmbda(v[0], v[1]), np.array([each, power])) for each in q]
        with mp.workdps(40):
            change = [
                mp.diff(lambda b, a=a: (mp.mpf(a) ** b - (1 - mp.mpf(a)) ** b) / b, mp.mpf(power) or mp.mpf("1e-14"))
                for a in p
            ]
        density = 1 / (p ** (power - 1) + (1 - p) ** (power - 1))
        assert_allclose(found, np.stack([density, -density * np.array(change, float)], 1), rtol=1e-7, atol=1e-9)


LAWS: dict[str, tuple[Any, list[float]]] = {
    "bdtr": (lambda p: sp.bdtr(2, 7, p), [0.01, 0.4, 0.9]),
    "bdtrc": (lambda p: sp.bdtrc(2, 7, p), [0.01, 0.4, 0.9]),
    "bdtri": (lambda y: sp.bdtri(2, 7, y), [0.1, 0.6, 0.97]),
    "nbdtr": (lambda p: sp.nbdtr(3, 2, p), [0.1, 0.7]),
    "nbdtrc": (lambda p: sp.nbdtrc(3, 2, p), [0.1, 0.7]),
    "nbdtri": (lambda y: sp.nbdtri(3, 2, y), [0.1, 0.7]),
    "pdtri": (lambda y: sp.pdtri(3, y), [0.1, 0.7]),
    "fdtri": (lambda p: sp.fdtri(3.0, 5.0, p), [0.1, 0.7, 0.9995]),
    "gdtria": (lambda x: sp.gdtria(0.3, 2.0, x), [0.5, 3.0]),
    "nrdtrisd": (lambda x: sp.nrdtrisd(0.5, 0.3, x), [-2.0]),
}
"""By name: a function of one of its parameters, and points; derivatives are those of SciPy's own values."""


@pytest.mark.parametrize("name", LAWS)
def test_laws_of_counts_and_their_parameters(name):
    function, points = LAWS[name]
    x = np.array(points)
    assert_traces(function, x)
    h = 1e-4 * np.minimum(1.0, np.minimum(np.abs(x), np.where(x < 1, 1 - x, 1.0)))
    differences = (8 * (function(x + h) - function(x - h)) - function(x + 2 * h) + function(x - 2 * h)) / (12 * h)
    assert_allclose(slopes(function, x), differences, rtol=1e-7)


def test_what_no_law_has_is_no_number():
    for function, outside in (
        (lambda p: sp.bdtr(2, 7, p), [-0.1, 1.1]),
        (lambda k: sp.bdtr(k, 7, 0.3), [-1.0, 8.0]),
        (lambda n: sp.nbdtr(2, n, 0.3), [0.0, -1.0]),
        (lambda d: sp.smirnov(4, d), [-0.1, 1.1]),
        (lambda y: sp.kolmogi(y), [-0.1, 1.1]),
        (lambda p: sp.fdtri(-1.0, 2.0, p), [0.1, 0.2]),
    ):
        assert np.isnan(traced_result(function, np.array(outside))).all()
    assert_traces(lambda d: sp.smirnov([[1], [3], [12]], d), np.array([0.0, 0.2, 1.0]))
    assert_traces(lambda p: sp.smirnovi([[1], [3]], p), np.array([0.0, 0.2, 1.0]))
    with pytest.raises(Untraceable, match=r"smirnov of 0 points|smirnov of 0\.0 points"):
        trace(lambda d: sp.smirnov(0, d), np.array(0.3))


Z = np.array([0.5 + 0.3j, -1.2 + 2.0j, 0.7 - 0.4j, 2.0 + 0.1j, -3.5 + 0.01j, 12.0 + 3.0j, -2.5 + 0.0j, -2.0 - 9.0j])
PLANE: dict[str, tuple[Any, Any]] = {
    "erf": (sp.erf, mp.erf),
    "erfc": (sp.erfc, mp.erfc),
    "erfi": (sp.erfi, mp.erfi),
    "erfcx": (sp.erfcx, lambda z: mp.exp(z * z) * mp.erfc(z)),
    "ndtr": (sp.ndtr, lambda z: mp.erfc(-z / mp.sqrt(2)) / 2),
    "log_ndtr": (sp.log_ndtr, lambda z: mp.log(mp.erfc(-z / mp.sqrt(2)))),
    "sici": (lambda z: sp.sici(z)[0], mp.si),
    "cosine of sici": (lambda z: sp.sici(z)[1], mp.ci),
    "shichi": (lambda z: sp.shichi(z)[0], mp.shi),
    "cosine of shichi": (lambda z: sp.shichi(z)[1], mp.chi),
    "dawsn": (sp.dawsn, lambda z: mp.sqrt(mp.pi) / 2 * mp.exp(-z * z) * mp.erfi(z)),
    "gamma": (sp.gamma, mp.gamma),
    "loggamma": (sp.loggamma, mp.loggamma),
    "psi": (sp.psi, mp.digamma),
    "exp1": (sp.exp1, mp.e1),
    "expi": (sp.expi, mp.ei),
    "wofz": (sp.wofz, lambda z: mp.exp(-z * z) * mp.erfc(-1j * z)),
    "spence": (sp.spence, lambda z: mp.polylog(2, 1 - z)),
    "fresnel": (lambda z: sp.fresnel(z)[0], mp.fresnels),
    "airy": (lambda z: sp.airy(z)[3], lambda z: mp.airybi(z, derivative=1)),
    "wrightomega": (sp.wrightomega, lambda z: mp.lambertw(mp.exp(z))),
}
"""By name: a function of complex numbers, and that of mpmath."""


@pytest.mark.parametrize("name", PLANE)
def test_functions_of_complex_numbers(name):
    """The derivative by a cut along a line, which all analytic functions have."""
    ours, precise = PLANE[name]
    z = Z[:4] if name in ("spence", "wrightomega", "erfi", "fresnel") else Z
    assert_traces(ours, z)
    turn = np.exp(0.7j)
    for part in (np.real, np.imag):
        found = slopes(lambda t, part=part: part(ours(z + turn * t)), np.zeros(z.size))
        with mp.workdps(70):
            wanted = [complex(mp.diff(precise, mp.mpc(v))) * turn for v in z]
        # Relative to the number, of which the parts are two sides.
        assert np.all(np.abs(found - part(np.array(wanted))) <= 3e-11 * np.abs(wanted)), (found, wanted)


CARLSON = {
    name: (getattr(sp, name), getattr(mp, name)) for name in ("elliprc", "elliprd", "elliprf", "elliprg", "elliprj")
}
SPREAD = np.array([[0.5, 1e-3, 1.0, 0.0], [2.0, 2.0, 1.0, 1e-200], [1.0, 50.0, 1.0, 3.0], [3.0, 0.1, 1.0, 2.0]])


@pytest.mark.parametrize("name", CARLSON)
def test_carlsons_integrals(name):
    ours, precise = CARLSON[name]
    operands = SPREAD[: ours.nin]
    for found, expected in (
        (traced_result(ours, *operands), ours(*operands)),
        (
            traced_result(ours, *operands * np.exp([1j, -0.5j, 0.2j, 0.3j])),
            ours(*operands * np.exp([1j, -0.5j, 0.2j, 0.3j])),
        ),
    ):
        assert_allclose(found, expected, rtol=1e-13)
    derived = derive(trace(lambda v: ours(*v), operands.T[0]).graph, Gradient(("v",)))
    with Client() as client:
        at_zero = client.function(lambda v: ours(*v)).grad(np.array([0.0, 2.0, 3.0, 1.5][: ours.nin]))
    for point in (*operands.T[:3], [0.0, 2.0, 3.0, 1.5][: ours.nin]):
        gradient = run(derived, {"v": np.array(point)})["gradient:v"] if point[0] else at_zero
        with mp.workdps(40):
            for k in range(int(point[0] == 0.0), ours.nin):  # in an operand of 0 it is infinite
                orders = tuple(int(i == k) for i in range(ours.nin))
                assert gradient[k] == pytest.approx(float(mp.diff(precise, point, orders)), rel=1e-12)
    if name != "elliprj":  # whose second derivatives go the same way, and take long
        mixed = (1, *(0,) * (ours.nin - 2), 1)
        bend = _hessian(lambda v: ours(*v), operands.T[1])[0, -1]
        with mp.workdps(40):
            assert bend == pytest.approx(float(mp.diff(precise, tuple(operands.T[1]), mixed)), rel=1e-11)


def test_complete_integrals_have_derivatives_where_an_operand_is_zero():
    m = np.array([0.3, 0.9])
    assert_allclose(slopes(lambda m: sp.elliprf(0.0, 1 - m, 1.0), m), slopes(sp.ellipk, m), rtol=1e-13)
    assert_allclose(slopes(lambda m: 2 * sp.elliprg(0.0, 1 - m, 1.0), m), slopes(sp.ellipe, m), rtol=1e-13)


@pytest.mark.parametrize("name", CARLSON)
def test_carlsons_integrals_at_edges_and_beyond(name):
    ours, _ = CARLSON[name]
    edges = np.array([0.0, 1.0, np.inf, -1.0, np.nan])
    last = np.array([0.0, 1.0, 2.0, np.inf, -np.inf, -0.7, np.nan])
    grids = np.stack(np.meshgrid(edges, edges, edges, last)).reshape(4, -1)[4 - ours.nin :]
    # SciPy has -0 for negative operands beside -inf, where there is no integral.
    grids = grids[:, (grids[0] >= 0) | (grids[-1] > -np.inf) | (ours.nin > 2)]
    assert_allclose(traced_result(ours, *grids), ours(*grids), rtol=1e-12)


def test_a_carlson_integral_that_is_not_reached_is_no_number():
    """Rather than one of which a step too few was taken."""
    assert np.isnan(traced_result(sp.elliprj, *map(np.array, (0.0, 1e-300, 1e-3, 1e300))))
    assert np.isnan(traced_result(sp.elliprj, *map(np.array, (1.0 + 0j, 2.0, -3.0 + 1j, 1.0))))


def test_harmonics_on_the_sphere():
    theta, phi = np.array([0.0, 0.3, 2.0, np.pi]), 0.7
    n, m = (each[..., None] for each in np.meshgrid(np.arange(4), np.arange(-3, 4)))
    assert_traces(lambda t: sp.sph_harm_y(n, m, t, phi), theta)
    assert_traces(lambda t: sp.sph_harm_y(3, -2, 0.4, t), theta)
    assert_traces(lambda t: sp.sph_legendre_p(n, m, t), theta)
    assert_traces(lambda z: sp.assoc_legendre_p(n, m, z), np.cos(theta))
    assert_traces(lambda z: sp.assoc_legendre_p(3, 2, z, norm=True), np.cos(theta))
    assert_traces(lambda z: sp.legendre_p([[0], [2], [5]], z), np.cos(theta))
    # SciPy's own derivatives, at the poles as well.
    for degree, order in ((1, 1), (3, 2), (4, -1), (5, 0)):
        wanted = sp.sph_harm_y(degree, order, theta, phi, diff_n=1)[1][..., 0]
        found = slopes(lambda t, n=degree, m=order: np.real(sp.sph_harm_y(n, m, t, phi)), theta)
        assert_allclose(found, wanted.real, rtol=1e-12, atol=1e-13)
    assert_gradient(lambda t: np.imag(sp.sph_harm_y(3, 2, 0.4, t)), [np.array([0.2, 1.0])])
    for call, line in (
        (lambda t: sp.sph_harm_y(2, 1, t, phi, diff_n=1), "derivatives are asked for"),
        (lambda t: sp.legendre_p(t, 0.3), "the degree or order of scipy.special.legendre_p is traced"),
    ):
        with pytest.raises(Untraceable, match=line):
            trace(call, 0.5)


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda x: sp.pro_rad2(1, 1, 0.3, x), "functions.odeint("),
        (lambda p: sp.ncfdtrinc(1.0, 2.0, p, 1.0), "functions.root("),
        (lambda p: sp.stdtridf(p, 1.0), "functions.root("),
    ],
)
def test_refusals_name_what_to_write(function, line):
    with pytest.raises(Untraceable) as refusal:
        trace(function, 0.5)
    assert line in str(refusal.value)
