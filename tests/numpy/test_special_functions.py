"""Ufuncs of scipy.special: orders known while tracing, and derivatives in SciPy's own closed forms."""

import numpy as np
import pytest
import scipy.special
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


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda a: scipy.special.gammainc(a, 2.0), "gammainc has no derivative in its shape"),
        (lambda a: scipy.special.gammaincc(a, 2.0), "gammaincc has no derivative in its shape"),
        (lambda a: scipy.special.betainc(a, 2.0, 0.5), "betainc has no derivative in its shapes"),
        (lambda b: scipy.special.betainc(2.0, b, 0.5), "betainc has no derivative in its shapes"),
    ],
)
def test_a_derivative_in_a_shape_is_refused(function, line):
    graph = trace(function, 1.5).graph
    with pytest.raises(NotDifferentiable, match=line) as refusal:
        derive(graph, Gradient(tuple(graph.input_types)))
    assert refusal.value.violations[0].source.startswith("test_special_functions.py:")


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
