"""Derivatives of traced NumPy functions against differences of NumPy's own values."""

import numpy as np
import pytest
import scipy.special

from gradserve.autodiff import derive
from gradserve.client.tracing.trace import trace
from gradserve.numpy.table import SPECIAL, UFUNCS
from gradserve.questions.derivations import Gradient, Hvp
from tests.numpy.calls import flat_calls
from tests.numpy.test_calls import OF_ORDER
from tests.rows import in_one
from tests.running import prepared

STEP = 1e-5
POINTS = [
    np.array([[0.3, 0.9, 0.2], [0.45, 0.7, 0.1]]),
    np.array([[0.2, 0.4, 0.6], [0.8, 0.6, 0.3]]),
    np.array([[0.5, 0.3, 0.1], [0.6, 0.2, 0.4]]),
]
PARAMETERS = {"scipy.special.ellipj": 1}
"""How many of the last operands of a ufunc have no derivative, and must be known while tracing here."""
MOVED_ELSEWHERE = {"bdtri", "nbdtr", "nbdtrc", "nbdtri", "wright_bessel", "log_wright_bessel"}
"""Laws of counts, which are NaN at these points, and functions of orders: test_rare_special_functions moves them."""
SMOOTH = {
    **{f"np.{ufunc.__name__}": ufunc for ufunc in UFUNCS if ufunc.signature is None},
    **{
        f"scipy.special.{name}": getattr(scipy.special, name)
        for name in SPECIAL
        if name not in OF_ORDER | MOVED_ELSEWHERE
    },
}
SMOOTH_CALLS = [
    call for call in flat_calls() if all(np.asarray(x).dtype == np.float64 and np.isfinite(x).all() for x in call[2])
]


def loss_of(function):
    """The sum of all elements of float64 results, each with a weight of its own."""

    def loss(*args):
        results = function(*args)
        total = 0.0
        for result in results if isinstance(results, tuple | list) else [results]:
            # Truth values and integers have no derivative, and single precision has no use for small steps.
            if getattr(result, "dtype", None) == np.float64:
                weights = np.cos(np.arange(result.size)).reshape(result.shape)
                total = total + np.sum(weights * result)
        return total

    return loss


def run(graph, arguments):
    with np.errstate(all="ignore"):
        return prepared(graph)({k: np.asarray(a) for k, a in arguments.items()})


def assert_gradient(function, arguments):
    loss = loss_of(function)
    graph = trace(loss, *arguments).graph
    names = [i.name for i in graph.inputs]
    found = run(derive(graph, Gradient(tuple(names))), dict(zip(names, arguments, strict=True)))
    for name, k in zip(names, range(len(arguments)), strict=True):
        direction = np.sin(1.0 + np.arange(np.size(arguments[k]))).reshape(np.shape(arguments[k]))

        def along(t, k=k, direction=direction):
            return loss(*arguments[:k], arguments[k] + t * direction, *arguments[k + 1 :])

        expected = (8 * (along(STEP) - along(-STEP)) - (along(2 * STEP) - along(-2 * STEP))) / (12 * STEP)
        np.testing.assert_allclose(np.sum(found[f"gradient:{name}"] * direction), expected, rtol=1e-6, atol=1e-8)


@in_one
@pytest.mark.parametrize(("name", "function", "arguments"), SMOOTH_CALLS)
def test_gradient_of_a_function(name, function, arguments):
    assert_gradient(function, arguments)


def assert_second_derivative(function, arguments):
    """H v agrees with differences of the gradient, of a loss in which the results enter quadratically as well."""

    def squared(*args):
        results = function(*args)
        listed = results if isinstance(results, tuple | list) else [results]
        return [y + 0.5 * y * y for y in listed if getattr(y, "dtype", None) == np.float64]

    graph = trace(loss_of(squared), *arguments).graph
    given = dict(zip([i.name for i in graph.inputs], map(np.asarray, arguments), strict=True))
    along = {name: np.cos(1.0 + np.arange(x.size)).reshape(x.shape) for name, x in given.items()}
    product = run(derive(graph, Hvp(tuple(given))), given | {f"tangent:{name}": v for name, v in along.items()})
    gradient = derive(graph, Gradient(tuple(given)))
    ahead, behind = (run(gradient, {name: x + h * along[name] for name, x in given.items()}) for h in (STEP, -STEP))
    for name in given:
        quotient = (ahead[f"gradient:{name}"] - behind[f"gradient:{name}"]) / (2 * STEP)
        scale = max(1.0, np.max(np.abs(quotient), initial=0.0))
        np.testing.assert_allclose(product[f"product:{name}"], quotient, rtol=1e-5, atol=1e-6 * scale, err_msg=name)


@in_one
@pytest.mark.parametrize(("name", "function", "arguments"), SMOOTH_CALLS)
def test_second_derivative_of_a_function(name, function, arguments):
    assert_second_derivative(function, arguments)


@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_derivatives_of_a_ufunc(name):
    ufunc = SMOOTH[name]
    points = [point + (1.0 if name == "np.arccosh" else 0.0) for point in POINTS[: ufunc.nin]]
    try:
        ufunc(*points)
    except TypeError:
        return
    moved = len(points) - PARAMETERS.get(name, 0)
    for check in (assert_gradient, assert_second_derivative):
        check(lambda *operands: ufunc(*operands, *points[moved:]), points[:moved])


def hvp(function, at, direction):
    graph = derive(trace(function, at).graph, Hvp(("x",)))
    return run(graph, {"x": at, "tangent:x": direction})["product:x"]


def test_curvature_at_removable_singularities():
    ones = np.ones(1)
    # sinc x = 1 - (pi x)^2 / 6 + ...; hypot(x, 1) = 1 + x^2 / 2 + ...; x^2 at 0.
    np.testing.assert_allclose(hvp(lambda x: np.sum(np.sinc(x)), np.zeros(1), ones), -(np.pi**2) / 3)
    np.testing.assert_allclose(hvp(lambda x: np.sum(np.hypot(x, 1.0)), np.zeros(1), ones), 1.0)
    np.testing.assert_allclose(hvp(lambda x: np.sum(x**2), np.zeros(1), ones), 2.0)
    np.testing.assert_allclose(hvp(lambda x: np.sum(x**0 + x**1), np.zeros(1), ones), 0.0)


def test_slopes_at_zero():
    def slope(function, at=0.0):
        graph = derive(trace(function, at).graph, Gradient(("x",)))
        return float(run(graph, {"x": at})["gradient:x"])

    assert slope(lambda x: scipy.special.xlogy(x, 3.0)) == pytest.approx(np.log(3))
    assert slope(lambda x: scipy.special.xlog1py(x, 3.0)) == pytest.approx(np.log(4))
    assert slope(lambda x: np.fmod(x, 2.0)) == 1.0
    assert slope(lambda x: np.hypot(x, 0.0)) == 0.0
    assert slope(lambda x: np.clip(x, 0.0, None)) == 1.0
    assert slope(lambda x: np.sinc(x)) == 0.0
    assert slope(lambda x: np.interp(x, np.array([-1.0, 1.0]), np.array([0.0, 4.0]))) == 2.0
