"""Derivatives of traced NumPy functions against differences of NumPy's own values."""

import numpy as np
import pytest
import scipy.special

from gradserve.autodiff import Gradient, Hvp, derive
from gradserve.client.numpy_surface.table import SPECIAL, UFUNCS
from gradserve.client.trace import trace
from gradserve.execution import EXECUTORS, make_plan
from tests.clients.numpy_calls import flat_calls

STEP = 1e-5
POINTS = [np.array([[0.3, 0.9, 0.2], [0.45, 0.7, 0.1]]), np.array([[0.2, 0.4, 0.6], [0.8, 0.6, 0.3]])]
SMOOTH = {
    **{f"np.{ufunc.__name__}": ufunc for ufunc in UFUNCS if ufunc.signature is None},
    **{f"scipy.special.{name}": getattr(scipy.special, name) for name in SPECIAL},
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
        return EXECUTORS["numpy"].prepare(make_plan(graph))({k: np.asarray(a) for k, a in arguments.items()})


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


@pytest.mark.parametrize(("name", "function", "arguments"), SMOOTH_CALLS)
def test_gradient_of_a_function(name, function, arguments):
    assert_gradient(function, arguments)


@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_gradient_of_a_ufunc(name):
    ufunc = SMOOTH[name]
    points = [point + (1.0 if name == "np.arccosh" else 0.0) for point in POINTS[: ufunc.nin]]
    try:
        ufunc(*points)
    except TypeError:
        return
    assert_gradient(ufunc, points)


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
