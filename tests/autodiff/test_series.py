"""Taylor coefficients by recurrences: against mpmath, closed forms and equations, and how many nodes they take."""

import mpmath
import numpy as np
import pytest

from gradserve.autodiff import derive, series
from gradserve.autodiff.derivation import TaylorSeries
from gradserve.ir.types import type_of
from gradserve.ops import OP_SET, builder
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.scan import Scan
from gradserve.ops.family import Elementwise
from gradserve.optimize import optimize
from tests.frames import few_frames
from tests.laws.support import evaluate
from tests.rows import in_one

ORDER = 10
UNARY = {
    "acos": mpmath.acos, "acosh": mpmath.acosh, "asin": mpmath.asin, "asinh": mpmath.asinh, "atan": mpmath.atan,
    "atanh": mpmath.atanh, "cbrt": lambda x: mpmath.power(x, mpmath.mpf(1) / 3), "cos": mpmath.cos,
    "cosh": mpmath.cosh, "digamma": mpmath.digamma, "erf": mpmath.erf, "erfc": mpmath.erfc, "exp": mpmath.exp,
    "erfcx": lambda x: mpmath.exp(x * x) * mpmath.erfc(x), "expm1": mpmath.expm1, "gammaln": mpmath.loggamma,
    "log": mpmath.log, "log1p": mpmath.log1p, "logistic": lambda x: 1 / (1 + mpmath.exp(-x)), "sin": mpmath.sin,
    "sinh": mpmath.sinh, "sqrt": mpmath.sqrt, "tan": mpmath.tan, "tanh": mpmath.tanh,
}  # fmt: skip
BINARY = {
    "atan2": mpmath.atan2, "div": lambda x, y: x / y, "pow": mpmath.power, "mul": lambda x, y: x * y,
    "logaddexp": lambda x, y: mpmath.log(mpmath.exp(x) + mpmath.exp(y)),
    "betaln": lambda x, y: mpmath.log(mpmath.beta(x, y)),
}  # fmt: skip
POINTS = {"acosh": (1.25, 3.0)}
KNOWN = 1e-9
"""Of the largest coefficient, each weighted by the radius of the series: the rounding of all that is summed."""


def coefficients(emit, *operands, order=ORDER, moving=None, directions=None):
    """The coefficients along ones, or other directions, of what `emit` writes."""
    g = builder()
    values = [g.input(f"x{k}", type_of(x)) for k, x in enumerate(operands)]
    graph = g.build({"y": emit(g, *values)})
    wrt = tuple(f"x{k}" for k in (range(len(operands)) if moving is None else moving))
    derived = optimize(derive(graph, TaylorSeries(wrt, order)))
    given = {f"x{k}": x for k, x in enumerate(operands)}
    given |= {f"tangent:{n}": np.ones_like(given[n]) if directions is None else directions[n] for n in wrt}
    found = evaluate(derived, given)
    return [found[f"order{k}:y"] for k in range(order + 1)]


def worst(found, expected):
    """The largest error of a coefficient, in parts of the largest of those of this order or below, per unit radius."""
    radius = 1 / max(abs(c) ** (1 / k) for k, c in enumerate(expected) if k and c) if any(expected[1:]) else 1.0
    scaled = [float(c) * float(radius) ** k for k, c in enumerate(expected)]
    errors = [abs(float(f) * float(radius) ** k - s) for (k, f), s in zip(enumerate(found), scaled, strict=True)]
    return max(errors) / max(map(abs, scaled))


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_variable_have_the_coefficients_of_mpmath(name):
    for point in POINTS.get(name, (0.4, 0.75)):
        found = coefficients(lambda g, x: g.emit(name, x), np.array(point))
        with mpmath.workdps(50):
            expected = mpmath.taylor(UNARY[name], mpmath.mpf(point), ORDER)
        assert worst(found, expected) < KNOWN


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_variables_have_the_coefficients_of_mpmath(name):
    x, y, dx, dy = 0.75, 1.5, -0.5, 0.25
    along = {"x0": np.array(dx), "x1": np.array(dy)}
    found = coefficients(lambda g, a, b: g.emit(name, a, b), np.array(x), np.array(y), directions=along)
    with mpmath.workdps(50):
        expected = mpmath.taylor(lambda t: BINARY[name](x + t * dx, y + t * dy), 0, ORDER)
    assert worst(found, expected) < KNOWN


def test_a_lost_term_of_a_recurrence_is_seen(monkeypatch):
    monkeypatch.setattr(series.Application, "_product", lambda self, k: (self._term(*self._moving, 0, k),))
    found = coefficients(lambda g, x: g.emit("acos", x), np.array(0.4))
    assert worst(found, mpmath.taylor(mpmath.acos, 0.4, ORDER)) > KNOWN


def test_an_inverse_has_the_coefficients_of_neumann():
    a = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, 0.2], [-0.4, 0.6, -1.8]])
    e = np.cos(np.arange(9.0)).reshape(3, 3)
    found = coefficients(lambda g, x: g.emit("inv", x), a, directions={"x0": e})
    p = expected = np.linalg.inv(a)
    for x in found:
        np.testing.assert_allclose(x, expected, rtol=1e-10, atol=1e-12)
        expected = -p @ e @ expected


def test_factors_and_solutions_fulfil_their_equations_order_by_order():
    a = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.2], [0.5, -0.2, 2.0]])
    e = np.array([[0.5, -0.3, 0.1], [-0.3, 0.2, 0.4], [0.1, 0.4, -0.6]])
    factors = coefficients(lambda g, x: g.emit("cholesky", x), a, directions={"x0": e})
    for k, expected in enumerate([a, e] + [np.zeros((3, 3))] * (ORDER - 1)):
        product = sum(factors[j] @ factors[k - j].T for j in range(k + 1))
        np.testing.assert_allclose(product, expected, atol=1e-12)
    b = np.cos(np.arange(6.0)).reshape(3, 2)
    along = {"x0": e, "x1": np.sin(b)}
    x = coefficients(lambda g, m, c: g.emit("solve", m, c), a, b, directions=along)
    for k, expected in enumerate([b, np.sin(b)] + [np.zeros((3, 2))] * (ORDER - 1)):
        np.testing.assert_allclose(a @ x[k] + (e @ x[k - 1] if k else 0.0), expected, atol=1e-12)


@pytest.mark.parametrize(("name", "order"), [("expm", 12), ("spectral", 7)])
def test_a_function_of_a_matrix_has_the_coefficients_of_its_series(name, order):
    """They are polynomials of the direction, however many ways its places can be filled in lead to the same product."""
    e = np.array([[0.5, -0.3, 0.1], [-0.3, 0.2, 0.4], [0.1, 0.4, -0.6]])
    attributes = {} if name == "expm" else {"function": "exp", "parameter": 0.0, "start": 0, "stop": 3}
    found = coefficients(
        lambda g, x: g.emit(name, x, **attributes), np.zeros((3, 3)), directions={"x0": e}, order=order
    )
    expected = np.eye(3)
    for k, x in enumerate(found, start=1):
        np.testing.assert_allclose(x, expected, atol=1e-14)
        expected = expected @ e / k


def test_a_determinant_is_a_polynomial():
    a, e = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.5, -1.0], [2.0, 0.25]])
    found = coefficients(lambda g, x: g.emit("det", x), a, directions={"x0": e}, order=4)
    np.testing.assert_allclose(found, [-2.0, 0.25 - (2 * 2.0 - 3.0) + 4 * 0.5, 0.125 + 2.0, 0.0, 0.0], atol=1e-12)


def test_loops_and_branches_have_the_coefficients_of_what_they_do():
    scan, (steps, w, rows, shared) = next((s.op, s.operands) for s in Scan.samples())
    looped = coefficients(lambda g, *v: g.apply(scan, v)[0], steps, w, rows, shared, moving=(1, 3), order=6)

    def unrolled(g, _, carry, given, factor):
        for k in range(len(rows)):
            row = g.reshape(g.emit("slice", given, starts=(k, 0), stops=(k + 1, 2), strides=(1, 1)), (2,))
            carry = carry * 0.5 + g.sin(row * factor + carry)
        return carry

    np.testing.assert_allclose(
        looped, coefficients(unrolled, steps, w, rows, shared, moving=(1, 3), order=6), rtol=1e-12
    )
    op, (truth, x, y) = next((s.op, s.operands) for s in Cond.samples())
    branch = coefficients(lambda g, *v: g.apply(op, v)[0], truth, x, y, moving=(1, 2), order=6)
    np.testing.assert_allclose(
        branch, coefficients(lambda g, _, a, b: g.sin(a) * b, truth, x, y, moving=(1, 2), order=6)
    )


def test_integers_and_what_does_not_move_have_no_more_coefficients():
    found = coefficients(lambda g, x, k: g.emit("gather", x, k, axis=0), np.arange(3.0), np.array([2, 0]), moving=(0,))
    np.testing.assert_array_equal(found[:3], [[2.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    found = coefficients(lambda g, x: g.mul(g.sign(x), x), np.array([-2.0, 3.0]))
    np.testing.assert_array_equal(found[:3], [[2.0, 3.0], [-1.0, 1.0], [0.0, 0.0]])


LARGE = {"pow": 1600, "betainc": 1500, "betaln": 5500, "beta": 5500, "erfcx": 3000, "erfinv": 2800, "erfcinv": 2800}
LARGE |= {"dawsn": 2000, "wofz": 3000, "binom": 3100, "poch": 3000, "ellipkinc": 11_000, "ellipeinc": 11_000}
LARGE |= {"struve": 2000, "gammaincinv": 2000, "gammainccinv": 2000, "betaincinv": 2800}
LARGE |= {"ndtri_exp": 2800, "kolmogi": 2400, "tklmbda": 9000, "scaled_airy": 3600}
LARGE["noncentral"] = 7500
"""Those whose differential is an asymptotic series of a dozen terms, has several special functions, or powers."""
SHAPES = {
    "gammainc": 1,
    "gammaincc": 1,
    "gammaincinv": 1,
    "gammainccinv": 1,
    "stdtrit": 1,
    "betainc": 2,
    "betaincinv": 2,
    "shape_by_two": 2,
    "shape_by_three": 3,
}
"""How many first operands are shapes of laws, or move one: derivatives in those ask for means of more orders."""


DIFFERENTIABLE = [
    op
    for op in OP_SET
    if issubclass(op, Elementwise)
    and not op.internal
    and any(type_of(x).is_float for x in next(op.samples()).operands[SHAPES.get(op.name, 0) :])
]


@in_one
@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=lambda op: op.name)
def test_elementwise_ops_take_few_nodes(op):
    counts = nodes_in(op, SHAPES.get(op.name, 0), 5, ORDER)
    assert counts[1] <= LARGE.get(op.name, 1100)
    assert counts[1] <= 2**4 * max(1, counts[0])  # a power of the order, and not exponential in it


def nodes_in(op, first, *orders):
    """How many nodes series of these orders have in the operands from `first` on."""
    g = builder()
    sample = next(s for s in op.samples())
    values = [g.input(f"x{k}", type_of(x)) for k, x in enumerate(sample.operands)]
    graph = g.build({"y": g.apply(sample.op, values)[0]})
    moved = [
        i.name for k, i in enumerate(graph.inputs) if i.type.is_float and k not in sample.op.refuses and k >= first
    ]
    return [len(derive(graph, TaylorSeries(tuple(moved), order)).nodes) for order in orders]


@pytest.mark.parametrize("name", SHAPES)
def test_series_in_shapes_take_few_nodes_up_to_the_fourth_order(name):
    second, fourth = nodes_in(OP_SET.find(name), 0, 2, 4)
    assert second <= 1000
    assert fourth <= 6500
    assert fourth <= 2**4 * second


def of_bessel(g, x):
    """Each of its derivatives is made of two further functions, and none of them is met again."""
    return g.emit("bessel_j", g.emit("bessel_k", x, order=1.0), order=1.5)


def test_functions_that_lead_to_ever_other_ones_are_derived_without_recursion():
    g = builder()
    graph = g.build({"y0": of_bessel(g, g.input("x0", type_of(np.array(0.5))))})
    with few_frames(80):
        derived = derive(graph, TaylorSeries(("x0",), 10))
    found = evaluate(derived, {"x0": np.array(0.5), "tangent:x0": np.array(1.0)})
    with mpmath.workdps(50):
        expected = mpmath.taylor(lambda t: mpmath.besselj(1.5, mpmath.besselk(1, 0.5 + t)), 0, 10)
    np.testing.assert_allclose([found[f"order{k}:y0"] for k in range(11)], [float(c) for c in expected], rtol=1e-9)
    with pytest.raises(RecursionError), few_frames(20):
        derive(graph, TaylorSeries(("x0",), 2))
