"""Losses that choose by numbers, `if`, `while`, `assert`, `max`: values and derivatives are those of their code."""

import functools

import numpy as np
import pytest
from scipy import integrate

from gradserve.client.functions import scan
from gradserve.ir.errors import NumericalFailure, Untraceable

DATA = np.linspace(-2.0, 2.0, 6)
MANY = np.linspace(-3.0, 3.1, 60)
SIDES = (np.array([0.5, 1.45]), np.array([2.5, 0.7]), np.array([-1.0, 0.3]))


def early_return(w):
    if w[0] < 0:
        return 1e6
    return np.log(w[0]) * w[1]


def huber(residual, width):
    if abs(residual) < width:
        return 0.5 * residual * residual
    return width * (abs(residual) - 0.5 * width)


def helper(w):
    return sum(huber(x - w[0], w[1]) for x in DATA)


def of_many(w):
    return sum(huber(x - w[0], w[1]) for x in MANY)


def along_a_loop(w):
    total = 0.0
    for x in DATA[:5]:
        e = x - w[0]
        if e < 0:
            total += w[1] * e * e
        else:
            total += e * e
    return total


def newton(w):
    x = 1.0 + 0 * w[0]
    for _ in range(50):
        step = (x * x - w[1]) / (2 * x)
        x = x - step
        if np.abs(step) < 1e-13:
            break
    else:
        raise RuntimeError("no convergence")
    return x * w[0]


def until_close(w):
    x = 1.0
    while abs(x * x - w[1]) > 1e-12:
        x = 0.5 * (x + w[1] / x)
    return x * w[0]


def caught(w):
    try:
        if w[0] < 0:
            raise ValueError("negative")
        return np.log(w[0])
    except ValueError:
        return 3.0 * w[1]


def written_to(w):
    z = np.zeros(4)
    for k in range(4):
        z[k] = w[0] * k + 0.1
        if z[k] > 1:
            z[k] = w[1]
    return z @ z


def changed_argument(p):
    first = p.pop("a")
    return first if first > p["b"] else p["b"] ** 2


def exchanged(w):
    if w[0] > w[1]:
        w = w[::-1]
    low, high = w
    return high * high - 2 * low


def best_so_far(w):
    best = None
    for k in range(6):
        value = (w[0] - k) ** 2 + w[1] * k
        if best is None or value < best:
            best = value
    return best


def kept(w):
    return np.sum([x * x for x in w if x > 0.6])


def extremes(w):
    a, b = sorted(w)
    return float(a - 2 * b + max(0.2, w[0]) * min(w[0], w[1], 0.4))


def by_kind(w):
    if not isinstance(w, np.ndarray) or np.isscalar(w) or type(w) is not np.ndarray:
        return 0.0
    x = w[0]
    if hasattr(x, "__len__") or not isinstance(x, (float, int)):
        return 0.0
    return x * w[1]


def lists(w):
    return np.sum((np.array([1.0, 2.0]) - [w[0], w[1]]) ** 2) + np.log([w[1], 2.0 + w[0]]).sum() * np.add.reduce(
        [w[0], w[1]]
    )


def like_captured(w):
    e = np.zeros_like(DATA * 2)
    for t, x in enumerate(DATA):
        e[t] = x - (w[0] * DATA[t - 1] if t else 0.0) - (w[1] * e[t - 1] if t else 0.0)
    return e @ e


def row_of_a_list(w):
    a = np.zeros((2, 2))
    a[0] = [w[0], 2.0]
    a[1] = [1.0, w[1] * w[0]]
    return np.sum(a @ a)


def shown(w):
    print(f"at {w[0]:.3f}")
    return np.sum(w * w)


LOSSES = [
    *(
        early_return,
        helper,
        of_many,
        along_a_loop,
        caught,
        written_to,
        exchanged,
        best_so_far,
        kept,
        extremes,
        by_kind,
        lists,
    ),
    *(like_captured, row_of_a_list, shown),
]


def slopes(function, w, step=1e-6):
    """Central differences of the author's code."""
    return np.array([(function(w + step * e) - function(w - step * e)) / (2 * step) for e in np.eye(w.size)])


@pytest.mark.parametrize("function", LOSSES, ids=lambda function: function.__name__)
@pytest.mark.parametrize("w", SIDES, ids=["first", "second", "third"])
def test_values_and_slopes_are_those_of_the_code(function, w, embedded):
    with np.errstate(invalid="ignore"):
        expected, expected_slopes = function(w), slopes(function, w)
    f = embedded.function(function)
    value, gradient = f.value_and_grad(w)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient, expected_slopes, rtol=1e-6, atol=1e-7)
    curvature = np.stack([slopes(lambda x, k=k: f.grad(x)[k], w) for k in range(2)])
    np.testing.assert_allclose(f.hessian(w), curvature, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("w", SIDES)
def test_a_choice_within_a_scan(w, embedded):
    def step(carry, x):
        return carry + x if carry * x > w[0] else carry * w[1]

    def function(w):
        return scan(lambda c, x: (c + x if c * x > w[0] else c * w[1], None), w[0], DATA).carry

    np.testing.assert_allclose(embedded.function(function)(w), functools.reduce(step, DATA, w[0]), rtol=1e-14)


@pytest.mark.parametrize("function", [newton, until_close])
@pytest.mark.parametrize("w", SIDES[:2])
def test_a_loop_that_ends_by_its_numbers(function, w, embedded):
    value, gradient = embedded.function(function).value_and_grad(w)
    root = np.sqrt(w[1])
    np.testing.assert_allclose(value, root * w[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, [root, 0.5 * w[0] / root], rtol=1e-10)


def test_a_tree_that_is_taken_apart_on_every_way(embedded):
    f = embedded.function(changed_argument)
    assert [float(f({"a": a, "b": 1.5})) for a in (1.0, 2.0)] == [2.25, 2.0]
    assert f.grad({"a": 1.0, "b": 1.5}) == {"a": 0.0, "b": 3.0}


def test_all_points_of_a_batch_choose_for_themselves(embedded):
    f = embedded.function(helper)
    values, gradients = f.value_and_grad(np.stack(SIDES), batch=True)
    for value, gradient, w in zip(values, gradients, SIDES, strict=True):
        np.testing.assert_allclose(value, helper(w), rtol=1e-13)
        np.testing.assert_allclose(gradient, f.grad(w), rtol=1e-13)


@pytest.mark.parametrize("function", [along_a_loop, newton, extremes])
def test_a_service_answers_the_same_bits(function, client, embedded):
    one, other = (each.function(function).grad(SIDES[0]) for each in (client, embedded))
    assert np.array_equal(one, other)


def test_a_failed_assertion_is_refused_with_its_words(client):
    def function(w):
        assert w[0] > 0, "the {rate} is negative"
        return np.sqrt(w[0]) * w[1]

    f = client.function(function)
    np.testing.assert_allclose(f.grad(SIDES[0]), [0.725 / np.sqrt(0.5), np.sqrt(0.5)], rtol=1e-14)
    line = function.__code__.co_firstlineno + 1
    for ask in (f, f.grad, f.hessian):
        with pytest.raises(NumericalFailure, match=rf"test_choices.py:{line}: .*AssertionError: the \{{rate\}} is neg"):
            ask(SIDES[2])


def test_an_error_on_all_ways_is_the_authors(embedded):
    def function(w):
        raise KeyError("missing" if w[0] > 0 else "lost")

    with pytest.raises(KeyError):
        embedded.function(function, SIDES[0])


def test_a_loop_that_goes_on_is_refused_with_numbers(embedded):
    def function(w):
        x = w[0]
        while x < 1000.0:
            x = x + w[1]
        return x

    f = embedded.function(function)
    assert f(np.array([950.0, 1.0])) == 1000.0
    with pytest.raises(NumericalFailure, match="as in a loop that does not end"):
        f(np.array([0.0, 1.0]))


def counting(x, seen=[]):  # noqa: B006  # which is what it does
    seen.append(1)
    return x if x > 0 else -x


def halved(x):
    return x if x < 1.0 else halved(x / 2)


def test_a_helper_that_keeps_something_is_no_choice_of_its_own(embedded):
    f = embedded.function(lambda w: counting(w[0]) * w[1])
    assert f(SIDES[2]) == 0.3


def test_a_helper_that_calls_itself(embedded):
    f = embedded.function(lambda w: halved(w[0]) * w[1])
    assert f.grad(np.array([12.0, 3.0])).tolist() == [3 / 16, 0.75]


def test_too_many_ways_are_refused_with_the_line(embedded):
    def function(w):
        return sum(np.sin(x) if x * w[0] > w[1] else w[0] * x for x in np.linspace(0, 1, 40))

    with pytest.raises(Untraceable, match=r"test_choices.py:\d+: .*np\.where.*\n.*\n.*there are more"):
        embedded.function(function, SIDES[0])


def test_other_structures_are_refused_with_the_line(embedded):
    def function(w):
        return None if w[0] > 9.0 else w[0]

    with pytest.raises(Untraceable, match=r"test_choices.py:\d+: what is returned is NoneType"):
        embedded.function(function, SIDES[0])


def test_code_that_is_other_code_in_the_next_run_is_refused(embedded):
    runs = []

    def function(w):
        runs.append(1)
        x = np.sin(w[0]) if len(runs) % 2 else np.cos(w[0])
        return x if x > 0.5 else -x

    with pytest.raises(Untraceable, match="keep nothing from run to run"):
        embedded.function(function, SIDES[0])


@pytest.mark.parametrize("method", ["RK45", "BDF"])
def test_a_rate_that_jumps_at_a_time(method, embedded):
    """The solution is exp(-w0 - w1), whatever the lengths of steps across the jump do."""

    def function(w):
        def rate(t, y):
            return -(w[0] if t < 1 else w[1]) * y

        return integrate.solve_ivp(rate, (0, 2), [1.0], method=method, rtol=1e-8, atol=1e-10).y[0, -1]

    value, gradient = embedded.function(function).value_and_grad(np.array([0.5, 1.5]))
    np.testing.assert_allclose(value, np.exp(-2.0), rtol=1e-5)
    np.testing.assert_allclose(gradient, -np.exp(-2.0) * np.ones(2), rtol=2e-5)
