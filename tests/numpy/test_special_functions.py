"""Ufuncs of scipy.special: orders known while tracing, and derivatives in SciPy's own closed forms."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from numpy.testing import assert_allclose

from gradserve.autodiff import derive
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import NotDifferentiable, Untraceable
from gradserve.questions.derivations import Gradient, Hvp
from tests.clients.evaluation import assert_traces
from tests.numpy.test_derivatives import assert_gradient, run

X = np.array([0.3, 1.0, 4.5, 20.0])
ORDERS = [0, 1, 2, 2.5]
BESSEL = {"jv": scipy.special.jvp, "yv": scipy.special.yvp, "iv": scipy.special.ivp, "kv": scipy.special.kvp}


def slopes(function, x):
    """The derivative of an elementwise function at each point."""
    graph = derive(trace(lambda x: np.sum(function(x)), x).graph, Gradient(("x",)))
    return run(graph, {"x": x})["gradient:x"]


def curvatures(function, x):
    """The second derivative of an elementwise function at each point."""
    graph = derive(trace(lambda x: np.sum(function(x)), x).graph, Hvp(("x",)))
    return run(graph, {"x": x, "tangent:x": np.ones_like(x)})["product:x"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", BESSEL)
def test_bessel_functions(name, order):
    function = getattr(scipy.special, name)
    assert_traces(lambda x: function(order, x), X)
    assert_allclose(slopes(lambda x: function(order, x), X), BESSEL[name](order, X), rtol=1e-10)
    assert_allclose(curvatures(lambda x: function(order, x), X), BESSEL[name](order, X, 2), rtol=1e-8)


@pytest.mark.parametrize("name", ["i0", "i0e", "i1", "i1e", "j0", "j1", "k0", "k1", "y0", "y1"])
def test_bessel_functions_of_fixed_order(name):
    assert_traces(getattr(scipy.special, name), X)
    assert_gradient(getattr(scipy.special, name), [X[:3]])


@pytest.mark.parametrize("name", ["jn", "kn", "yn"])
def test_bessel_functions_of_whole_order(name):
    assert_traces(lambda x: getattr(scipy.special, name)(2, x), X)


@pytest.mark.parametrize("name", ["iv", "ive", "jv", "kv", "yv"])
def test_an_order_for_each_element(name):
    function = getattr(scipy.special, name)
    orders = np.array([[0.0], [1.5], [0.0]])
    assert_traces(lambda x: function(orders, x), X)
    assert_gradient(lambda x: function(orders, x), [X[:3]])
    assert_traces(lambda x: function(np.zeros((0, 1)), x), X)


def test_a_traced_order_is_refused():
    with pytest.raises(Untraceable, match=r"the order of scipy.special.jv is traced; use orders known while tracing"):
        trace(scipy.special.jv, X, X)


BY_SHAPE: dict[str, Any] = {
    "gammainc": (
        lambda a, x: mp.gammainc(a, 0, x, regularized=True),
        [(0.5, 0.4), (0.01, 0.011), (3.0, 2.0), (3.0, 9.0), (100.0, 90.0), (0.3, 5.0), (1.0, 1.0)],
    ),
    "gammaincc": (lambda a, x: mp.gammainc(a, x, regularized=True), [(2.5, 0.3), (2.5, 30.0)]),
    "betainc": (
        lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True),
        [(0.5, 2.0, 0.15), (3.0, 0.75, 0.5), (50.0, 0.5, 0.98), (0.2, 30.0, 0.001), (2.0, 3.0, 0.7)],
    ),
}
"""By name: the function in mpmath, and points of it."""


@pytest.mark.parametrize("name", BY_SHAPE)
def test_probabilities_move_with_their_shapes(name):
    """All first derivatives in shapes, all second ones among them, and those in shape and argument."""
    precise, points = BY_SHAPE[name]
    ours = getattr(scipy.special, name)
    for point in points:
        x = np.array(point)
        rows = _hessian(lambda p: ours(*p), x)
        count, gradient = len(point), _gradient(lambda p: ours(*p), x)
        for i in range(count - 1):
            wanted = mp.diff(precise, point, tuple(int(k == i) for k in range(count)))
            assert gradient[i] == pytest.approx(float(wanted), rel=1e-12)
            for j in range(i, count):
                orders = tuple(int(k == i) + int(k == j) for k in range(count))
                assert rows[i, j] == pytest.approx(float(mp.diff(precise, point, orders)), rel=1e-9)


def _gradient(function, x):
    graph = derive(trace(lambda p: function(p), x).graph, Gradient(("p",)))
    return run(graph, {"p": x})["gradient:p"]


def _hessian(function, x):
    graph = derive(trace(lambda p: function(p), x).graph, Hvp(("p",)))
    return np.stack([run(graph, {"p": x, "tangent:p": e})["product:p"] for e in np.eye(len(x))])


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_shapes_do_not_move_the_ends(end):
    assert np.array_equal(_gradient(lambda p: scipy.special.betainc(p[0], p[1], end), np.array([2.0, 3.0])), [0, 0])
    infinite = np.inf if end else 0.0
    assert _gradient(lambda p: scipy.special.gammainc(p[0], infinite), np.array([2.0])) == 0.0


def test_quantiles_are_inverses():
    """In all that moves them: t(p, df) has the derivative by the implicit function theorem, at the median as well."""
    for df, p in ((1.5, 0.2), (7.0, 0.5), (30.0, 0.99)):
        found = _gradient(lambda v: scipy.special.stdtrit(v[0], v[1]), np.array([df, p]))
        t, below = scipy.special.stdtrit(df, p), lambda v, t: scipy.stats.t.cdf(t, v)
        moved = _gradient(lambda v: scipy.stats.t.cdf(v[1], v[0]), np.array([df, t]))
        assert_allclose(below(df, t), p, rtol=1e-7)
        assert_allclose(found, [-moved[0] / moved[1], 1 / moved[1]], rtol=1e-6, atol=1e-9)
    graph = derive(trace(lambda v: scipy.special.stdtrit(v[0], v[1]), np.ones(2)).graph, Hvp(("v",)))
    bend = run(graph, {"v": np.array([7.0, 0.5]), "tangent:v": np.array([0.0, 1.0])})["product:v"][0]
    slope = lambda df: 1 / scipy.stats.t.pdf(0.0, df)  # noqa: E731
    assert bend == pytest.approx((slope(7.001) - slope(6.999)) / 0.002, rel=1e-6)


def test_a_derivative_in_a_parameter_that_has_none_is_refused():
    for function, line in (
        (lambda m: scipy.special.ellipj(0.3, m)[0], "jacobi has no derivative in its parameter"),
        (lambda a: scipy.special.hyp1f1(a, 2.0, 0.5), "hyp1f1 has no derivative in its parameters"),
    ):
        graph = trace(function, 0.5).graph
        with pytest.raises(NotDifferentiable, match=line) as refusal:
            derive(graph, Gradient(tuple(graph.input_types)))
        assert refusal.value.violations[0].source.startswith("test_special_functions.py:")


WAVES: dict[str, Any] = {
    "struve": (scipy.special.struve, mp.struveh),
    "modstruve": (scipy.special.modstruve, mp.struvel),
    "hankel1": (lambda v, x: scipy.special.hankel1(v, x).real, lambda v, x: mp.re(mp.hankel1(v, x))),
    "hankel2e": (
        lambda v, x: scipy.special.hankel2e(v, x).imag, lambda v, x: mp.im(mp.hankel2(v, x) * mp.exp(1j * x)),
    ),
    "jv of complex numbers": (
        lambda v, x: scipy.special.jv(v, x * (1 + 0.5j)).imag, lambda v, x: mp.im(mp.besselj(v, x * mp.mpc(1, 0.5))),
    ),
    "pbdv": (lambda v, x: scipy.special.pbdv(v, x)[0], mp.pcfd),
    "hyp0f1": (lambda v, x: scipy.special.hyp0f1(v + 1, x), lambda v, x: mp.hyp0f1(v + 1, x)),
    "hyp1f1": (lambda v, x: scipy.special.hyp1f1(v, 1.5, x), lambda v, x: mp.hyp1f1(v, 1.5, x)),
    "hyp2f1": (lambda v, x: scipy.special.hyp2f1(v, 1.5, 2.5, -x), lambda v, x: mp.hyp2f1(v, 1.5, 2.5, -x)),
    "hyperu": (lambda v, x: scipy.special.hyperu(v, 1.5, x), lambda v, x: mp.hyperu(v, 1.5, x)),
}  # fmt: skip
"""By name: a function of an order and x, and that of mpmath."""


@pytest.mark.parametrize("name", WAVES)
def test_waves_by_their_orders(name):
    ours, precise = WAVES[name]
    x = np.array([0.4, 2.0])
    for order in (0.0, 1.0, 2.5):
        assert_traces(lambda x, v=order: ours(v, x), x)
        for found, k in (
            (slopes(lambda x, v=order: ours(v, x), x), 1),
            (curvatures(lambda x, v=order: ours(v, x), x), 2),
        ):
            assert_allclose(found, [float(mp.diff(lambda t, v=order: precise(v, t), u, k)) for u in x], rtol=1e-8)


def test_associated_legendre_functions():
    x = np.array([-0.9, 0.0, 0.8, 1.0])
    for order in (-2, -1, 0, 1, 2, 4):
        assert_traces(lambda x, m=order: scipy.special.lpmv(m, np.array([[0], [2], [3], [-4]]), x), x)
    assert_allclose(slopes(lambda x: scipy.special.lpmv(2, 3, x), x), 15 * (1 - 3 * x**2), atol=1e-13)
    with pytest.raises(Untraceable, match=r"of order 0\.5 and degree 2\.0 cannot be traced; write whole numbers"):
        trace(lambda x: scipy.special.lpmv(0.5, 2, x), x)


def test_sums_that_would_not_end_are_not_begun():
    for function, huge in (
        (lambda x: scipy.special.hyp1f1(0.5, -30.5, x), [1e100, -1e8, np.inf]),
        (lambda x: scipy.special.hyperu(0.5, x, 1e4), [1e6, -1e9, 2e4]),
    ):
        graph = trace(function, np.zeros(3)).graph
        assert np.isnan(run(graph, {"x": np.array(huge)})["result"]).all()
        assert np.isfinite(run(graph, {"x": np.array([0.5, 1.5, 30.0])})["result"]).all()


def test_integrals_near_zero():
    """Where quotients by x would lose all digits."""
    x = np.array([1e-8, 0.3, 0.99, 1.01])
    for function, integrand in (
        (lambda x: scipy.special.it2i0k0(x)[0], lambda v: (mp.besseli(0, v) - 1) / v),
        (lambda x: scipy.special.it2j0y0(x)[0], lambda v: (1 - mp.besselj(0, v)) / v),
        (scipy.special.it2struve0, lambda v: -mp.struveh(0, v) / v),
    ):
        with mp.workdps(40):
            wanted = [float(integrand(mp.mpf(v))) for v in x]
        assert_allclose(slopes(function, x), wanted, rtol=1e-13)


POLYNOMIALS = {
    "legendre": (), "chebyt": (), "chebyu": (), "hermite": (), "hermitenorm": (), "laguerre": (),
    "genlaguerre": (1.3,), "gegenbauer": (0.7,), "jacobi": (0.3, 1.2),
}  # fmt: skip
"""By name, with their parameters."""


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials_by_their_degrees(name):
    function, x = getattr(scipy.special, f"eval_{name}"), np.array([-0.9, 0.1, 0.8])
    degrees, parameters = np.array([[0], [1], [2], [5]]), POLYNOMIALS[name]
    assert_traces(lambda x: function(degrees, *parameters, x), x)
    assert_gradient(lambda x: function(degrees, *parameters, x), [x])
    for k in range(len(parameters)):
        at = lambda p, k=k: function(4, *parameters[:k], p, *parameters[k + 1 :], 0.3)  # noqa: E731
        assert_gradient(at, [np.array([parameters[k]])])
    with pytest.raises(Untraceable, match="does not take these" if "hermite" in name else "write whole degrees"):
        trace(lambda x: function(1.5, *parameters, x), x)


def test_further_orders_and_parameters():
    x = np.array([0.3, 1.0, 4.5])
    assert_traces(lambda x: scipy.special.expn([[0], [1], [4]], x), x)
    assert_gradient(lambda x: scipy.special.expn([[0], [1], [4]], x), [x])
    assert_traces(lambda x: scipy.special.kve([[0.0], [1.5]], x), x)
    assert_gradient(lambda x: scipy.special.kve([[0.0], [1.5]], x), [x])


def test_profiles_with_one_width_alone():
    """That of a normal number, that of Cauchy's, and neither."""
    x = np.array([-1.0, 0.0, 0.5])
    for sigma, gamma in ((0.7, 0.3), (0.7, 0.0), (0.0, 0.3), (0.0, 0.0)):
        assert_traces(lambda x, s=sigma, g=gamma: scipy.special.voigt_profile(x, s, g), x)
    assert_gradient(lambda s, g: scipy.special.voigt_profile(x, s, g), [np.array([0.7]), np.array([0.3])])
    # The derivative of the density in the width of Cauchy's part, at 0: (x D(x) sqrt(2) - 1) / pi for a width of 1.
    found = slopes(lambda g: scipy.special.voigt_profile(0.0, 1.0, g), np.array([0.0]))
    assert_allclose(found, [-1 / np.pi], rtol=1e-13)


def test_lamberts_function():
    lambertw: Any = scipy.special.lambertw
    for points, branch in (([0.0, 1.0, 1e-9, 50.0], 0), ([-0.3, -0.1], -1)):
        z = np.array(points)
        w = lambertw(z, branch).real
        found = slopes(lambda z, k=branch: lambertw(z, k=k).real, z)
        assert_allclose(found, np.exp(-w) / (1 + w), rtol=1e-12)


def test_elliptic_integrals_near_no_modulus():
    """Where quotients by m would lose all digits: against mpmath."""
    m = np.array([0.0, 1e-12, 0.04, 0.06, -0.05, 0.9])
    for ours, precise in ((scipy.special.ellipk, mp.ellipk), (scipy.special.ellipe, mp.ellipe)):
        assert_allclose(slopes(ours, m), [float(mp.diff(precise, v)) for v in m], rtol=1e-13)
        assert_allclose(curvatures(ours, m), [float(mp.diff(precise, v, 2)) for v in m], rtol=1e-11)
    found = slopes(lambda m: scipy.special.ellipkinc(1.1, m), m)
    assert_allclose(found, [float(mp.diff(lambda v: mp.ellipf(1.1, v), v)) for v in m], rtol=1e-12)


def test_dawsons_integral_far_out():
    x = np.array([0.0, 1.0, 9.99, 10.01, 1e3, 1e8])
    precise = [float(1 - 2 * v * mp.sqrt(mp.pi) / 2 * mp.exp(-v * v) * mp.erfi(v)) for v in map(mp.mpf, x[:-2])]
    assert_allclose(slopes(scipy.special.dawsn, x), [*precise, -5e-7, -5e-17], rtol=2e-6)
    assert_allclose(slopes(scipy.special.dawsn, x)[:-2], precise, rtol=2e-12)


def test_digamma_and_its_derivatives():
    x = np.array([0.1, 1.0, 7.5, 1e3, -1.5])
    assert_allclose(slopes(scipy.special.gammaln, x), scipy.special.digamma(x), rtol=1e-13)
    assert_allclose(slopes(scipy.special.psi, x), scipy.special.polygamma(1, x), rtol=1e-13)
    assert_allclose(curvatures(scipy.special.digamma, x), scipy.special.polygamma(2, x), rtol=1e-13)


def test_exponential_integral():
    x = np.array([-700.0, -30.0, -1.0, -1e-8, 1e-8, 0.3725, 1.0, 40.0, 700.0])
    assert_traces(scipy.special.expi, x)
    assert_allclose(slopes(scipy.special.expi, x), np.exp(x) / x, rtol=1e-14)
    assert_allclose(curvatures(scipy.special.expi, x), np.exp(x) * (x - 1) / x**2, rtol=1e-13)
    assert_gradient(scipy.special.expi, [np.array([-3.0, -0.5, 0.75, 2.0])])


@pytest.mark.parametrize("x", [1e2, 1e6, 1e12])
@pytest.mark.parametrize("y", [1e-9, 1.0, 3.5])
def test_slope_of_betaln_keeps_its_digits_far_apart(x, y):
    found = slopes(lambda x: scipy.special.betaln(x, y), np.array([x]))
    # psi(x + y) - psi(x) by Taylor's series in y, or in 1/x where y is no small step.
    series = sum(scipy.special.polygamma(k, x) * y**k / scipy.special.factorial(k) for k in range(1, 9))
    assert_allclose(found, [-series], rtol=1e-12)


def test_log_ndtr_far_below():
    x = np.array([-1e8, -1e4, -300.0, -14.2, -5.0, -0.70711, 0.0, 3.0, 40.0])
    ratio = np.sqrt(2 / np.pi) / scipy.special.erfcx(-x / np.sqrt(2))  # the density divided by the probability
    assert_allclose(slopes(scipy.special.log_ndtr, x), ratio, rtol=1e-12)
    # -ratio (x + ratio), by its series in 1/x where the two cancel.
    near = -ratio * (x + ratio)
    far = -1 + 1 / x[:3] ** 2 - 6 / x[:3] ** 4
    assert_allclose(curvatures(scipy.special.log_ndtr, x), np.concatenate([far, near[3:]]), rtol=1e-9, atol=1e-300)


def test_slope_of_erfcx_where_its_terms_cancel():
    x = np.array([9.999, 10.001, 1e3, 1e8])
    # -1 / (sqrt(pi) x^2) times (1 - 3 / (2 x^2) + 15 / (4 x^4) - ...).
    terms = [1.0, -3.0, 15.0, -105.0, 945.0, -10395.0, 135135.0, -2027025.0, 34459425.0, -654729075.0]
    series = sum(term / (2 * x**2) ** k for k, term in enumerate(terms))
    assert_allclose(slopes(scipy.special.erfcx, x), -series / (np.sqrt(np.pi) * x**2), rtol=1e-11)


def test_reciprocal_of_gamma_at_its_zeros():
    x = np.array([0.0, -1.0, -4.0])
    assert_allclose(slopes(scipy.special.rgamma, x), [1.0, -1.0, 24.0], rtol=1e-13)


def test_quantiles_of_the_normal_distribution():
    p = np.array([1e-300, 1e-20, 0.3, 0.5, 1 - 1e-15])
    z = scipy.special.ndtri(p)
    assert_allclose(slopes(scipy.special.ndtri, p), np.sqrt(2 * np.pi) * np.exp(z * z / 2), rtol=1e-9)


def test_entropies_at_zero():
    assert slopes(lambda x: scipy.special.rel_entr(0.0, x), np.array([2.0])) == 0.0
    assert slopes(lambda x: scipy.special.kl_div(x, 2.0), np.array([2.0])) == 0.0
    assert_allclose(slopes(lambda x: scipy.special.kl_div(0.0, x), np.array([2.0])), [1.0])


def test_the_bend_of_the_huber_loss():
    r = np.array([-3.0, -1.0, 0.5, 1.0])
    assert_allclose(slopes(lambda r: scipy.special.huber(1.0, r), r), [-1.0, -1.0, 0.5, 1.0])
    assert_allclose(slopes(lambda r: scipy.special.pseudo_huber(2.0, r), r), r / np.sqrt(1 + (r / 2) ** 2))
