"""Functions of Mathieu and spheroidal ones: values are SciPy's, and derivatives solve their equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special as sp
from numpy.testing import assert_allclose

from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import Untraceable
from tests.clients.evaluation import assert_traces, traced_result
from tests.numpy.test_special_functions import curvatures, slopes

MATHIEU: dict[str, tuple[Any, Any]] = {"cem": (sp.mathieu_cem, sp.mathieu_a), "sem": (sp.mathieu_sem, sp.mathieu_b)}
ORDERS = [1, 2, 5, 8]


def differences(function, x):
    """The derivative of an elementwise function by values of it."""
    h = 1e-3 * np.clip(np.abs(x), 0.1, 1.0)
    return (8 * (function(x + h) - function(x - h)) - (function(x + 2 * h) - function(x - 2 * h))) / (12 * h)


@pytest.mark.parametrize("name", MATHIEU)
@pytest.mark.parametrize("order", ORDERS)
def test_mathieus_functions(name, order):
    """y'' = (2 q cos 2x - a) y in the angle; in q, the derivative of the value is a mean of 2 cos 2x."""
    function, value = MATHIEU[name]
    x, q = np.array([5.0, 37.0, -80.0, 130.0]), np.array([-3.0, 0.0, 5.0, 300.0])
    assert_traces(lambda x, q: function(order, q, x), x, q)
    assert_traces(lambda q: value(order, q), q)
    assert_traces(lambda q: function([[order], [order + 1]], q, 20.0), q)
    turn = np.pi / 180
    y, slope = function(order, 5.0, x)
    assert_allclose(slopes(lambda x: function(order, 5.0, x)[0], x), slope * turn, rtol=1e-11)
    bend = (10.0 * np.cos(2 * x * turn) - value(order, 5.0)) * y
    assert_allclose(slopes(lambda x: function(order, 5.0, x)[1], x), bend * turn, rtol=1e-10, atol=1e-12)
    angles = np.arange(0.0, 360.0, 1.5)
    means = [2 * np.mean(2 * np.cos(2 * angles * turn) * np.square(function(order, each, angles)[0])) for each in q]
    assert_allclose(slopes(lambda q: value(order, q), q), means, rtol=1e-10, atol=1e-12)
    for kind in (0, 1):
        found = slopes(lambda q, k=kind: function(order, q, 37.0)[k], q[q != 0])  # near which SciPy's have ten digits
        wanted = differences(lambda q, k=kind: function(order, q, 37.0)[k], q[q != 0])
        assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)


MODIFIED = [sp.mathieu_modcem1, sp.mathieu_modcem2, sp.mathieu_modsem1, sp.mathieu_modsem2]


@pytest.mark.parametrize("function", MODIFIED, ids=lambda f: f.__name__)
def test_mathieus_modified_functions(function):
    x = np.array([0.1, 0.7, 2.0])
    value = sp.mathieu_a if "modc" in function.__name__ else sp.mathieu_b
    assert_traces(lambda x: function([[1], [3]], [[0.5], [20.0]], x), x)
    for order, q in ((1, 0.5), (3, 20.0), (10, 30.0)):
        y, slope = function(order, q, x)
        assert_allclose(slopes(lambda x, m=order, q=q: function(m, q, x)[0], x), slope, rtol=1e-13)
        bend = (value(order, q) - 2 * q * np.cosh(2 * x)) * y
        assert_allclose(slopes(lambda x, m=order, q=q: function(m, q, x)[1], x), bend, rtol=1e-11, atol=1e-12)


SPHEROIDAL: dict[str, tuple[float, Any, Any, Any]] = {
    "prolate": (1.0, sp.pro_cv, sp.pro_ang1, sp.pro_rad1),
    "oblate": (-1.0, sp.obl_cv, sp.obl_ang1, sp.obl_rad1),
}

ANGULAR, RADIAL = SPHEROIDAL["prolate"][2:]


@pytest.mark.parametrize("name", SPHEROIDAL)
@pytest.mark.parametrize(("m", "n"), [(0, 0), (0, 1), (1, 1), (1, 4), (2, 7)])
def test_angular_spheroidal_functions(name, m, n):
    """((1 - x^2) S')' = (m^2 / (1 - x^2) + s c^2 x^2 - a) S, and in the middle that of Legendre."""
    sign, value, function, _ = SPHEROIDAL[name]
    x, c = np.array([-0.9, 0.0, 0.3, 0.99]), np.array([0.0, 0.5, 3.0, 8.0])
    assert_traces(lambda x, c: function(m, n, c, x), x, c[1:2])
    assert_traces(lambda c: value(m, n, c), c)
    rest = 1 - x * x
    y, slope = (np.asarray(each) for each in traced_result(lambda x: function(m, n, 3.0, x), x))
    assert_allclose(slopes(lambda x: function(m, n, 3.0, x)[0], x), slope, rtol=1e-11, atol=1e-11)
    bend = (2 * x * slope + (m * m / rest + sign * 9.0 * x * x - value(m, n, 3.0)) * y) / rest
    assert_allclose(slopes(lambda x: function(m, n, 3.0, x)[1], x), bend, rtol=1e-9, atol=1e-11 * np.abs(bend).max())
    middle = slopes(lambda c: function(m, n, c, 0.0)[(n - m) % 2], c)
    assert_allclose(middle, 0.0, atol=1e-9)
    for of in (lambda c: value(m, n, c), lambda c: function(m, n, c, 0.4)[0], lambda c: function(m, n, c, 0.4)[1]):
        assert_allclose(slopes(of, c[1:]), differences(of, c[1:]), rtol=1e-6, atol=1e-9)
    assert np.isnan(traced_result(lambda x: function(m, n, 3.0, x)[0], np.array([1.0, 1.5]))).all()


@pytest.mark.parametrize("name", SPHEROIDAL)
def test_radial_spheroidal_functions(name):
    sign, value, _, function = SPHEROIDAL[name]
    x = np.array([1.1, 2.0, 6.0])
    assert_traces(lambda x: function([[0], [1], [2]], [[3], [1], [7]], [[0.5], [4.0], [20.0]], x), x)
    for m, n, c in ((0, 3, 0.5), (1, 1, 4.0), (2, 7, 20.0)):
        y, slope = function(m, n, c, x)
        assert_allclose(slopes(lambda x, o=(m, n, c): function(*o, x)[0], x), slope, rtol=1e-13)
        rest = x * x - sign
        bend = ((value(m, n, c) - (c * x) ** 2 + sign * m * m / rest) * y - 2 * x * slope) / rest
        assert_allclose(slopes(lambda x, o=(m, n, c): function(*o, x)[1], x), bend, rtol=1e-11)
        third = differences(lambda x, o=(m, n, c): slopes(lambda x: function(*o, x)[1], x), x)
        assert_allclose(curvatures(lambda x, o=(m, n, c): function(*o, x)[1], x), third, rtol=2e-5)


def test_radial_functions_far_out_and_in_single_precision_end():
    """Where SciPy goes through as many terms as x is long, or never ends."""
    far = traced_result(lambda x: RADIAL(1, 3, 30.0, x)[0], np.array([1e6, 1e300, np.inf, np.nan]))
    assert np.isnan(far).all()
    near = np.array([1.5, 8.0])
    found = traced_result(lambda x: RADIAL(1, 3, 1.5, x)[0], near.astype(np.float32))
    assert found.dtype == np.float32
    assert_allclose(found, np.asarray(sp.pro_rad1(1, 3, 1.5, near))[0], rtol=1e-6)


def test_angular_functions_of_high_degree_have_their_digits():
    """Of which SciPy's have lost ten at degree 30: the equation holds to the last ones, and a degree off is seen."""
    x, n, c = np.array([0.1, 0.5, 0.9]), 30, 10.0
    y, slope = traced_result(lambda x: sp.pro_ang1(0, n, c, x), x)
    bend = slopes(lambda x: ANGULAR(0, n, c, x)[1], x)

    def residual(value: float) -> Any:
        return ((1 - x * x) * bend - 2 * x * slope + (value - (c * x) ** 2) * y) / (value * np.abs(y))

    assert np.abs(residual(float(sp.pro_cv(0, n, c)))).max() < 1e-10
    assert np.abs(residual(float(sp.pro_cv(0, n + 2, c)))).max() > 1e-3
    assert np.abs(np.asarray(sp.pro_ang1(0, n, c, x))[0] - y).max() > 1e-8


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda x: sp.mathieu_a(x, 1.0), "the order of scipy.special.mathieu_a is traced"),
        (lambda x: sp.mathieu_cem(101, x, 1.0), "write 0 to 100"),
        (lambda x: sp.mathieu_sem(0, x, 1.0), "write 1 to 100"),
        (lambda q: sp.mathieu_modcem1(2, q, 1.0), "the parameter q of scipy.special.mathieu_modcem1 is traced"),
        (lambda x: sp.mathieu_modcem1(10, 0.1, x), "SciPy's sums cancel there; write 0.01 <= q <= 500"),
        (lambda x: sp.pro_ang1(0, 31, 1.0, x), "write 0 to 30"),
        (lambda c: sp.pro_rad1(0, 1, c, 2.0), "the parameter c of scipy.special.pro_rad1 is traced"),
        (lambda x: sp.obl_rad1(0, 1, 200.0, x), "write a c up to 30"),
        (lambda x: sp.obl_rad2(0, 1, 2.0, x), "functions.odeint("),
        (lambda x: sp.pro_ang1_cv(0, 1, 2.0, 3.0, x), "write scipy.special.pro_ang1(m, n, c, x)"),
    ],
)
def test_refusals_name_what_to_write(call, line):
    with pytest.raises(Untraceable) as refusal:
        trace(call, 0.5)
    assert line in str(refusal.value)
