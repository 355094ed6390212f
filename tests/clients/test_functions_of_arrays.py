"""Functions that NumPy lacks: SciPy's and JAX's numbers, NumPy's assignments; derivatives of two orders."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from scipy.special import logsumexp

from gradserve.autodiff import derive
from gradserve.client import functions
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import InvalidGraph, Untraceable
from gradserve.numpy.documentation import OF_FUNCTIONS
from gradserve.numpy.table import OWN
from gradserve.questions.derivations import Gradient, Hvp
from tests import compiled
from tests.clients.evaluation import assert_same, evaluate
from tests.numpy.test_derivatives import assert_gradient, assert_second_derivative, run

RANDOM = np.random.default_rng(5)
V, W = RANDOM.normal(size=6), RANDOM.normal(size=3)
A, B = RANDOM.normal(size=(3, 4)), RANDOM.normal(size=(3, 4))
C = RANDOM.normal(size=(2, 3, 4))
X = RANDOM.normal(size=(2, 4, 7, 6))
KERNEL = RANDOM.normal(size=(6, 4, 3, 2))
MASK = A > 0.2


def check(function, reference, *arguments):
    """At once and traced, the numbers of the reference; and derivatives that agree with differences."""
    expected = reference(*arguments)
    with np.errstate(all="ignore"):
        assert_same(function(*arguments), expected)
    traced = trace(function, *arguments)
    assert_same(evaluate(traced, dict(zip(traced.inputs, arguments, strict=True))), expected)
    assert_gradient(function, arguments)
    assert_second_derivative(function, arguments)


# ---- scipy.special


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_logsumexp(axis, keepdims):
    def reference(x):
        return scipy.special.logsumexp(x, axis=axis, keepdims=keepdims)

    check(lambda x: functions.logsumexp(x, axis=axis, keepdims=keepdims), reference, A)


@pytest.mark.parametrize("axis", [None, 1])
def test_logsumexp_with_weights(axis):
    def reference(x, b):
        return scipy.special.logsumexp(x, axis=axis, b=b, return_sign=True)

    check(lambda x, b: functions.logsumexp(x, axis=axis, b=b, return_sign=True), reference, A, B)
    check(
        lambda x, b: functions.logsumexp(x, axis, b**2),
        lambda x, b: scipy.special.logsumexp(x, axis, b**2),
        A,
        B[:, :1],
    )


def test_weights_of_zero_and_negative_sums():
    x, b = np.array([800.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0])
    assert functions.logsumexp(x, b=b) == pytest.approx(np.log(np.exp(1.0) + np.exp(2.0)))
    assert np.isnan(functions.logsumexp(x[1:], b=np.array([1.0, -1.0])))
    size, sign = functions.logsumexp(x[1:], b=np.array([1.0, -1.0]), return_sign=True)
    assert (size, sign) == pytest.approx((np.log(np.exp(2.0) - np.exp(1.0)), -1.0))
    assert functions.logsumexp(np.zeros(0)) == -np.inf
    graph = derive(trace(lambda b: functions.logsumexp(x[1:], b=b), np.zeros(2)).graph, Gradient(("b",)))
    slope = run(graph, {"b": np.array([0.0, 1.0])})["gradient:b"]
    np.testing.assert_allclose(slope, [np.exp(-1.0), 1.0])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name):
    function, reference = getattr(functions, name), getattr(scipy.special, name)
    for axis in (None, 0, -1):
        check(lambda x, axis=axis: function(x, axis), lambda x, axis=axis: reference(x, axis), A)


def test_softplus():
    check(functions.softplus, lambda x: np.logaddexp(0, x), A)
    assert functions.softplus(np.array([800.0]))[0] == 800.0


def test_gamma_functions():
    x = np.abs(A) + 2.0
    for n in (0, 1, 3):
        check(lambda x, n=n: functions.polygamma(n, x), lambda x, n=n: scipy.special.polygamma(n, x), x)
        check(lambda x, n=n: functions.multigammaln(x, n + 1), lambda x, n=n: scipy.special.multigammaln(x, n + 1), x)


# ---- windows


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolve_as_scipy(mode):
    def reference(x, y):
        from scipy import signal  # takes seconds to import, which every process of a test run would wait for

        return signal.convolve(x, y, mode, method="direct")

    check(lambda x, y: functions.convolve(x, y, mode), reference, V, W)
    check(lambda x, y: functions.convolve(x, y, mode), reference, A, B[:2, :3])
    if mode != "same":
        check(lambda x, y: functions.convolve(x, y, mode), reference, W, V)


def test_convolve_along_axes():
    def reference(x, y):
        rows = [[sum(np.convolve(x[i, j], y[k, i]) for i in range(2)) for k in range(2)] for j in range(3)]
        return np.array(rows)

    check(
        lambda x, y: functions.convolve(x, y, axes=([2], [2]), dot_axes=([0], [1])),
        reference,
        C,
        RANDOM.normal(size=(2, 2, 3)),
    )


OPTIONS = [
    {},
    {"strides": (2, 1)},
    {"padding": "same"},
    {"padding": "same", "strides": (3, 2)},
    {"padding": ((1, 2), (0, 3)), "dilations": (2, 1)},
    {"padding": "full", "input_dilations": (1, 3)},
    {"groups": 2, "padding": 1},
]


def jax_convolution(x, kernel, strides=1, padding="valid", dilations=1, input_dilations=1, groups=1):
    def both(n):
        return (n, n) if isinstance(n, int) else n

    spans = [(size - 1) * gap + 1 for size, gap in zip(kernel.shape[2:], both(dilations), strict=True)]
    if padding == "full":
        padding = [(span - 1, span - 1) for span in spans]
    if isinstance(padding, int):
        padding = [(padding, padding)] * 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        both(strides),
        padding.upper() if isinstance(padding, str) else padding,
        lhs_dilation=both(input_dilations),
        rhs_dilation=both(dilations),
        feature_group_count=groups,
        precision="highest",
    )


def agrees_with_jax(function, reference, *arguments):
    """Values, gradients and Hessian-vector products of a loss of the result."""

    def ours(*args):
        y = function(*args)
        return np.sum(np.sin(y))

    names = [f"x{k}" for k in range(len(arguments))]
    given = dict(zip(names, arguments, strict=True))
    tangents = [np.cos(np.arange(x.size)).reshape(x.shape) for x in arguments]
    namespace = {"ours": ours}
    loss = eval(f"lambda {', '.join(names)}: ours({', '.join(names)})", namespace)
    graph = trace(loss, *arguments).graph
    found = run(
        derive(graph, Hvp(tuple(names))), given | {f"tangent:{n}": t for n, t in zip(names, tangents, strict=True)}
    )
    with jax.enable_x64(True):
        gradient = jax.grad(lambda args: jnp.sum(jnp.sin(reference(*args))))
        slopes, products = compiled.jvp(gradient, (arguments,), (tuple(tangents),))
        value = np.asarray(jax.jit(reference)(*arguments))
    np.testing.assert_allclose(function(*arguments), value, rtol=1e-11, atol=1e-11)
    for name, slope, product in zip(names, slopes, products, strict=True):
        np.testing.assert_allclose(found[f"gradient:{name}"], slope, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found[f"product:{name}"], product, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_convolution_agrees_with_jax(options):
    kernel = KERNEL[:, :2] if options.get("groups") == 2 else KERNEL
    agrees_with_jax(
        lambda x, w: functions.convolution(x, w, **options), lambda x, w: jax_convolution(x, w, **options), X, kernel
    )


def test_convolution_in_one_dimension_and_without_a_batch():
    x, w = X[0, :, 0], KERNEL[:, :, 0]
    agrees_with_jax(
        lambda x, w: functions.convolution(x, w),
        lambda x, w: jax.lax.conv_general_dilated(x[None], w, (1,), "VALID", precision="highest")[0],
        x,
        w,
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"strides": 1}, {"padding": "same", "strides": (2, 1)}, {"padding": ((0, 1), (1, 0)), "dilations": (2, 1)}],
    ids=str,
)
def test_pools_agree_with_jax(options):
    def pooled(x, start, combine):
        steps, gaps = options.get("strides", (2, 3)), options.get("dilations", (1, 1))
        steps = (steps, steps) if isinstance(steps, int) else steps
        padding = options.get("padding", "valid")
        padding = padding.upper() if isinstance(padding, str) else ((0, 0), (0, 0), *padding)
        return jax.lax.reduce_window(
            x, start, combine, (1, 1, 2, 3), (1, 1, *steps), padding, window_dilation=(1, 1, *gaps)
        )

    if "dilations" not in options:  # of which JAX has no derivative
        agrees_with_jax(
            lambda x: functions.max_pool(x, (2, 3), **options), lambda x: pooled(x, -jnp.inf, jax.lax.max), X
        )
    agrees_with_jax(
        lambda x: functions.mean_pool(x, (2, 3), **options),
        lambda x: pooled(x, 0.0, jax.lax.add) / pooled(jnp.ones_like(x), 0.0, jax.lax.add),
        X,
    )
    agrees_with_jax(
        lambda x: functions.mean_pool(x, (2, 3), **options, count_padding=True),
        lambda x: pooled(x, 0.0, jax.lax.add) / 6.0,
        X,
    )


def test_max_pool_with_dilations():
    def reference(x):
        return np.maximum(x[:, :-2:2], x[:, 2::2])

    check(lambda x: functions.max_pool(x, (2,), strides=2, dilations=2), reference, X[0, 0])


def test_equal_elements_share_the_derivative_of_a_pool():
    graph = derive(trace(lambda x: np.sum(functions.max_pool(x, (2,))), np.zeros(4)).graph, Gradient(("x",)))
    np.testing.assert_array_equal(run(graph, {"x": np.array([1.0, 1.0, 0.0, 2.0])})["gradient:x"], [0.5, 0.5, 0.0, 1.0])


def test_windows():
    def reference(x):
        return np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(-2, -1))[:, ::2, ::1]

    check(lambda x: functions.windows(x, (2, 2), strides=(2, 1)), reference, C)
    check(lambda x: functions.windows(x, 2, axes=0), lambda x: np.stack([x[:-1], x[1:]], axis=-1), A)


# ---- updates


def assigned(key):
    def reference(x, v):
        result = x.copy()
        result[key] = v
        return result

    return reference


def added(key):
    def reference(x, v):
        result = x.copy()
        np.add.at(result, key, v)
        return result

    return reference


KEYS = [
    (np.s_[1], B[0]),
    (np.s_[1:, ::2], B[:2, :2]),
    (np.s_[..., -1], np.float64(7.0)),
    (MASK, B[MASK]),
    (([0, 2, 0], [1, 1, 1]), W),
    (np.array([2, 2]), B[:2]),
    ((slice(None), np.array([[3, 0], [0, 3]])), np.arange(12.0).reshape(3, 2, 2)),
    (np.s_[::-1], B),
]


@pytest.mark.parametrize(("key", "values"), KEYS, ids=[str(k) for k in range(len(KEYS))])
def test_elements_replaced_and_added_to(key, values):
    check(lambda x, v: functions.set_at(x, key, v), assigned(key), A, values)
    check(lambda x, v: functions.add_at(x, key, v), added(key), A, values)


MASKED = [
    (lambda x: x > 0.2, np.float64(0.5)),
    (lambda x: x[:, 0] > 0, B[0]),
    (lambda x: (slice(None), x[0] > 0), B[:, :1]),
    (lambda x: (1, x[0] > 0), np.float64(0.5)),
    (lambda x: (..., x[0] > 0), B[:1, :1]),
    (lambda x: (slice(1, None), x[2] > 0), np.float64(0.5)),
]
"""Keys with a mask, and what fits however many elements it selects."""


@pytest.mark.parametrize(("mask", "values"), MASKED)
def test_traced_masks_in_keys(mask, values):
    check(lambda x, v: functions.set_at(x, mask(x), v), lambda x, v: assigned(mask(x))(x, v), A, values)
    check(lambda x, v: functions.add_at(x, mask(x), v), lambda x, v: added(mask(x))(x, v), A, values)

    def by_assignment(x, v):
        y = x.copy()
        y[mask(x)] = v
        return y

    check(lambda x, v: functions.set_at(x, mask(x), v), by_assignment, A, values)
    assert_same(evaluate(trace(by_assignment, A, values), {"x": A, "v": values}), by_assignment(A, values))


def test_a_number_beside_a_mask_takes_no_rows():
    """NumPy may lay the axis of what a mask selects first there."""
    with pytest.raises(Untraceable, match="each is assigned its own"):
        trace(lambda x: functions.set_at(x, (1, x[0] > 0), x[0, :1]), A)
    with pytest.raises(IndexError, match="boolean index of shape"):
        trace(lambda x: functions.set_at(x, (slice(None), x[:, 0] > 0), 0.0), A)


def test_traced_positions():
    def replaced(x, v, i):
        return functions.set_at(x, (i, np.array([0, 1, 1, 0, 1])), v)

    i, v = np.array([2, -1, 2, 2, 0]), V[:5]
    traced = trace(replaced, A, v, i)
    given = {"x": A, "v": v, "i": i}
    assert_same(evaluate(traced, given), assigned((i, np.array([0, 1, 1, 0, 1])))(A, v))
    gradient = run(
        derive(trace(lambda x, v, i: np.sum(replaced(x, v, i) ** 2), A, v, i).graph, Gradient(("v",))), given
    )
    np.testing.assert_allclose(gradient["gradient:v"], 2 * v * [0, 0, 1, 1, 1])


def test_put_and_put_along_axis():
    def put(x, v):
        result = x.copy()
        np.put(result, [0, 5, -1, 5], v)
        return result

    def put_along(x, v):
        result = x.copy()
        np.put_along_axis(result, np.argmax(x, axis=1, keepdims=True), v, axis=1)
        return result

    check(lambda x, v: functions.put(x, [0, 5, -1, 5], v), put, A, W)
    check(
        lambda x, v: functions.put_along_axis(x, np.argmax(x, axis=1, keepdims=True), v, axis=1), put_along, A, B[:, :1]
    )
    flat = functions.put_along_axis(A, np.array([3, 0]), np.array([1.0, 2.0]), axis=None)
    assert (flat.shape, flat[0, 0], flat[0, 3]) == (A.shape, 2.0, 1.0)


def test_integers_keep_their_type():
    found = functions.set_at(np.arange(4), np.s_[:2], 2.9)
    assert_same(found, np.array([2, 2, 2, 3]))


# ---- refusals


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: functions.polygamma(-1, x), "orders are at least 0"),
        (lambda x: functions.multigammaln(x, 0), "dimensions are at least 1"),
        (lambda x: functions.convolve(x, x[:, :2], "middle"), "mode is 'full', 'same' or 'valid'"),
        (lambda x: functions.convolve(x, x[:2].T, "valid"), "neither of"),
        (lambda x: functions.convolution(x[0], np.ones((2, 5, 3))), "no kernel"),
        (lambda x: functions.convolution(x, np.ones((2, 5, 3))), "does not fit the channels"),
        (lambda x: functions.max_pool(x, (2, 2), padding="some"), "padding is 'valid', 'same', 'full' or numbers"),
        (lambda x: functions.max_pool(x > 0, (2, 2)), "elements must be real"),
        (lambda x: functions.windows(x, (9,)), "does not fit"),
    ],
)
def test_what_cannot_be_is_refused(function, message):
    with pytest.raises(InvalidGraph, match=message):
        trace(function, A)


def test_refusals_name_the_line_and_the_alternative():
    with pytest.raises(
        Untraceable, match=r"test_functions_of_arrays.py:\d+: .*gradserve.client.scipy.special import logsumexp"
    ):
        trace(lambda x, unseen=logsumexp: unseen(x), A)
    with pytest.raises(Untraceable, match=r"test_functions_of_arrays.py:\d+: a traced mask"):
        trace(lambda x: functions.set_at(x, x > 0, x.ravel()[:5]), A)


def test_functions_look_like_functions_of_arrays():
    assert {*OWN, *(call.partition("(")[0] for call in OF_FUNCTIONS)} == set(functions.__all__)
    assert list(inspect.signature(functions.set_at).parameters) == ["x", "key", "values"]
    for name in functions.__all__:
        assert getattr(functions, name).__doc__
