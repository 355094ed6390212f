"""Orders: sorting moves derivatives as it moves elements; medians and quantiles; running products and extrema."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gradserve import numpy as functions
from gradserve.numpy import accumulations
from gradserve.ops.indexing.sorting import Argsort, Sort
from tests.ops.differentiation import curvatures, slopes
from tests.ops.support import agree, check_derivatives, evaluate, f64, gradients, infer, normal, refusal

X = normal(3, 4, 5)
TIES = np.array([2.0, 1.0, 2.0, 1.0, 3.0])


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_sort_and_argsort(axis):
    agree(lambda x: functions.sort(x, axis), lambda x: np.sort(x, axis), X)
    agree(lambda x: functions.argsort(x, axis), lambda x: np.argsort(x, axis), X)
    check_derivatives(lambda x: functions.sort(x, axis), lambda x: jnp.sort(x, axis=axis), X)


def test_equal_elements_keep_their_order_and_their_derivatives():
    assert_array_equal(evaluate(functions.argsort, TIES), [1, 3, 0, 2, 4])
    (found,) = gradients(functions.sort, TIES, cotangent=np.arange(5.0))
    assert_array_equal(found, [2.0, 0.0, 3.0, 1.0, 4.0])


def test_nan_comes_last():
    x = np.array([np.nan, 1.0, -np.inf, np.nan, np.inf])
    assert_array_equal(evaluate(functions.sort, x), [-np.inf, 1.0, np.inf, np.nan, np.nan])
    (found,) = gradients(functions.sort, x, cotangent=np.arange(5.0))
    assert_array_equal(found, [3.0, 1.0, 0.0, 4.0, 2.0])


def test_sorting_operands_that_lie_in_another_order():
    agree(lambda x: functions.sort(functions.transpose(x), 0), lambda x: np.sort(x.T, 0), X)
    agree(lambda x: functions.argsort(functions.transpose(x), 1), lambda x: np.argsort(x.T, 1), X)


def test_refusals():
    assert infer(Sort(1), f64(2, 3)) == (2, 3)
    assert refusal(Argsort(2), f64(2, 3)).startswith("C1: f64[2,3] has no axis 2")
    assert refusal(Sort(0), f64(3), f64(3)).startswith("C0: sort takes 1 operand")


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_median_and_quantile(axis, keepdims):
    def by_numpy(x):
        return np.quantile(x, [0.1, 0.75], axis=axis, keepdims=keepdims)

    def by_us(x):
        return functions.quantile(x, [0.1, 0.75], axis, keepdims=keepdims)

    agree(by_us, by_numpy, X)
    agree(lambda x: functions.median(x, axis, keepdims=keepdims), lambda x: np.median(x, axis, keepdims=keepdims), X)
    check_derivatives(
        lambda x: functions.median(x, axis, keepdims=keepdims), lambda x: jnp.median(x, axis=axis, keepdims=keepdims), X
    )
    check_derivatives(
        by_us, lambda x: jnp.quantile(x, jnp.array([0.1, 0.75]), axis=axis, keepdims=keepdims), X, tolerance=1e-8
    )


def test_a_median_that_is_nan_has_no_plausible_derivative():
    (found,) = gradients(lambda x: functions.median(x, 0), np.array([1.0, np.nan, 2.0]))
    assert np.isnan(found).any()


@pytest.mark.parametrize("name", ["cumprod", "cummax", "cummin", "logcumsumexp"])
@pytest.mark.parametrize("axis", [0, -1, None])
def test_accumulations(name, axis):
    reference = {"cumprod": np.multiply, "cummax": np.maximum, "cummin": np.minimum, "logcumsumexp": np.logaddexp}[name]
    ufunc = getattr(jnp, reference.__name__)

    def by_jax(x):
        flat = jnp.ravel(x) if axis is None else jnp.moveaxis(x, axis, 0)
        rows = [flat[0]]
        for row in flat[1:]:
            rows.append(ufunc(rows[-1], row))
        return jnp.stack(rows) if axis is None else jnp.moveaxis(jnp.stack(rows), 0, axis)

    def by_numpy(x):
        return reference.accumulate(x.ravel() if axis is None else x, axis or 0)

    agree(lambda x: getattr(accumulations, name)(x, axis), by_numpy, X)
    check_derivatives(lambda x: getattr(accumulations, name)(x, axis), by_jax, X[0])


def test_running_products_with_zeros():
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0])
    found = slopes(lambda g, x: g.cumprod(x, axis=0), x=x)["x"]
    assert_allclose(found, [1.0, 2.0 + 6.0, 0.0, 0.0, 0.0])
    # Sums of rows of the Hessian of the sum of all running products.
    assert_allclose(
        curvatures(lambda g, x: g.cumprod(x, axis=0), "x", "x", x=x), [4.0, 4.0 + 2.0 + 36.0, 2.0, 36.0, 0.0]
    )


@pytest.mark.parametrize("length", [0, 1, 2, 3, 8, 13])
def test_running_products_of_any_length(length):
    x = np.random.default_rng(length).uniform(0.5, 2, length)
    expected = [np.sum(np.cumprod(x)[k:]) / x[k] for k in range(length)]
    assert_allclose(slopes(lambda g, x: g.cumprod(x, axis=0), x=x)["x"], expected, rtol=1e-12)


def test_running_logarithms_of_sums_do_not_overflow():
    x = np.array([-800.0, 800.0, 800.0])
    assert_allclose(evaluate(accumulations.logcumsumexp, x), [-800.0, 800.0, 800.0 + np.log(2)])


def test_a_running_maximum_shares_ties():
    (found,) = gradients(lambda x: accumulations.cummax(x, 0), np.array([1.0, 1.0, 0.0]))
    assert_allclose(found, [2.0, 1.0, 0.0])


def test_cost_of_sorting_grows_with_the_logarithm():
    op, short, long = Sort(0), f64(1 << 10), f64(1 << 20)
    assert op.cost([long], [long]).flops == 2048 * op.cost([short], [short]).flops
