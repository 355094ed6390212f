"""A loop that its bound cuts off has no result: it is refused, or says so where the author asks for it."""

import numpy as np
import pytest

from gradserve.client.functions import while_loop
from gradserve.ir.errors import NumericalFailure
from gradserve.ops.control.scan import Scan

MOST = 6
NEAR, FAR = 2.0, 1e9
"""Points whose roots take fewer steps than the bound, and more."""


def root(a, **options):
    return while_loop(lambda r: abs(r * r - a) > 1e-12, lambda r: (r + a / r) / 2, 1.0, most=MOST, **options)


ASKED = {
    "value": lambda f, x: f(x),
    "gradient": lambda f, x: f.grad(x),
    "tangent": lambda f, x: f.jvp(x, tangent=1.0),
    "pullback": lambda f, x: f.vjp(x, cotangent=1.0),
    "product": lambda f, x: f.hvp(x, tangent=1.0),
    "jacobian": lambda f, x: f.jacobian(x),
    "hessian": lambda f, x: f.hessian(x),
    "taylor": lambda f, x: f.taylor_along(x, direction=1.0, order=3),
    "verification": lambda f, x: f.verify(x),
    "symmetry": lambda f, x: f.verify_symmetry(x),
    "trace": lambda f, x: f.hessian_trace(x, max_probes=16),
    "inspection": lambda f, x: f.inspect(x),
    "batch": lambda f, x: f.grad(np.array([NEAR, x, 0.5]), batch=True),
    "sum": lambda f, x: f.grad(np.array([NEAR, x]), batch=True, reduction="sum"),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("executor", ["fused", "numpy", "xla"])
def test_whatever_is_asked_of_a_loop_that_is_cut_off_is_refused(embedded, asked, executor):
    f = embedded.function(lambda a: root(a).carry, a=1.0)
    f.executor = executor
    ASKED[asked](f, NEAR)
    with pytest.raises(NumericalFailure, match="still holds at its bound"):
        ASKED[asked](f, FAR)


def test_the_refusal_tells_bound_condition_and_line(remote):
    f = remote.function(lambda a: root(a).carry, a=1.0)
    r = 1.0
    for _ in range(MOST):
        r = (r + FAR / r) / 2
    text = rf"while_loop.*\({MOST} steps; {abs(r * r - FAR):.6g} > 1e-12\).*larger `most`.*test_loop_bounds\.py"
    with pytest.raises(NumericalFailure, match=text.replace("+", r"\+")):
        f(FAR)
    both = remote.function(
        lambda a: while_loop(lambda c: (c[0] > 0) & (c[1] < a), lambda c: (c[0] - 1, c[1] + 1), (9, 0.0), 4).carry[1],
        a=1.0,
    )
    with pytest.raises(NumericalFailure, match=r"\(4 steps; 5 > 0 and 4 < 8\)"):
        both(8.0)


def test_a_loop_that_ends_at_its_last_step_is_not_cut_off(client):
    count = client.function(lambda n: while_loop(lambda c: c < n, lambda c: c + 1.0, 0.0, most=4), n=1.0)
    for n in (0.0, 3.0, 4.0):
        assert tuple(count(n)) == (n, n)
    with pytest.raises(NumericalFailure):
        count(4.5)


def test_a_bound_of_no_steps(client):
    f = client.function(lambda n: while_loop(lambda c: c < n, lambda c: c + 1.0, 0.0, most=0), n=1.0)
    assert tuple(f(0.0)) == (0.0, 0)
    with pytest.raises(NumericalFailure, match="0 steps"):
        f(1.0)
    with pytest.raises(ValueError, match="most=-1"):
        while_loop(lambda c: c < 1, lambda c: c + 1, 0, most=-1)
    with pytest.raises(ValueError, match="on_most='ignore'"):
        root(NEAR, on_most="ignore")


@pytest.mark.parametrize("executor", ["fused", "numpy", "xla"])
def test_a_reported_loop_gives_what_it_has(client, executor):
    f = client.function(lambda a: root(a, on_most="report"), a=1.0)
    f.executor = executor
    carry, steps, ended = f(np.array([1.0, NEAR, FAR]), batch=True)
    assert list(steps) == [0, 5, MOST]
    assert list(ended) == [True, True, False]
    np.testing.assert_allclose(carry[:2], [1.0, np.sqrt(NEAR)], rtol=1e-14)
    assert not root(FAR, on_most="report").ended

    def guarded(a):
        found = root(a, on_most="report")
        return np.where(found.ended, found.carry, -1.0)

    g = client.function(guarded, a=1.0)
    g.executor = executor
    np.testing.assert_allclose(g.grad(np.array([NEAR, FAR]), batch=True), [0.5 / np.sqrt(NEAR), 0.0], rtol=1e-12)
    assert g(FAR) == -1.0


def test_numbers_are_refused_at_once():
    with pytest.raises(NumericalFailure, match="4 < 10"):
        while_loop(lambda x: x < 10, lambda x: 2 * x, 1, most=2)


def test_a_loop_within_a_loop(embedded):
    def outer(a):
        return while_loop(
            lambda c: c[1] < 2, lambda c: (c[0] + root(a + c[1]).carry, c[1] + 1), (0.0 * a, 0), most=3
        ).carry[0]

    f = embedded.function(outer, a=1.0)
    assert f(NEAR) == pytest.approx(2**0.5 + 3**0.5)
    for executor in ("fused", "numpy", "xla"):
        f.executor = executor
        with pytest.raises(NumericalFailure, match="still holds"):
            f.grad(FAR)


def test_without_the_guard_a_wrong_number_comes_back(embedded, monkeypatch):
    monkeypatch.setattr(Scan, "guards", ())
    f = embedded.function(lambda a: 3.0 * root(a).carry, a=1.0)
    assert abs(f(FAR) - 3 * FAR**0.5) > 1e6
