"""Assignments to elements, in-place operators and what else writes: traced, they mean what they mean in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy import zeros

from gradserve.client import Client, functions
from gradserve.client.tracing.trace import trace
from gradserve.client.tracing.writing import Written
from gradserve.ir.errors import Untraceable
from tests.clients.evaluation import assert_same, traced_result

W = np.array([0.3, 0.7, 1.1])
X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])
PLACES = np.array([2, 0])


def recurrence(w):
    s = np.zeros(6)
    s[0] = w[0]
    for k in range(1, 6):
        s[k] = w[1] * s[k - 1] + w[2] * np.sin(s[k - 2])
    return s


def imported_alone(w):
    s = zeros((2, 3))
    s[1, ::2] = w[:2]
    return s


def finite_differences(w):
    matrix = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            matrix[i, j] = w[i] ** 2 - w[j] if i != j else 1.0
    return matrix @ w


def sums(w):
    s = np.zeros(3)
    s += w
    s -= w[0]
    s *= w
    s /= 1 + w**2
    s **= 2
    return s


def rows(w):
    s = np.ones((2, 3))
    s[0] -= w
    s[1][1:] += w[:2]
    s[:, 0] *= w[1]
    for row in s:
        row += w
    return s


def parts(w):
    s = np.zeros((3, 4))
    block = s[1:]
    corner = block[0, :2]
    corner[:] = w[:2]
    before = block * 1.0
    block[1] = w[2]
    s[1, 0] += 5.0
    return s, block, corner, before


def names(w):
    s = np.zeros(3)
    same = s
    same[1] = w[1]
    s[2] = w[2]
    return s * same


def adding(w):
    s = np.zeros(4)
    np.add.at(s, [0, 0, 3], w)
    np.subtract.at(s, np.array([1, 1]), w[:2])
    return s


def functions_that_write(w):
    s, t, u = np.zeros((3, 3)), np.full(3, 2.0), np.ones(3)
    np.fill_diagonal(s, w)
    np.copyto(t, w, where=[True, False, True])
    np.put(u, [2, 0], w[:2])
    v = np.zeros(3)
    v.fill(w[1])
    v.put([0], w[0])
    np.putmask(v, [False, True, False], 7.0)
    order = w[::-1].copy()
    order.sort()
    along = np.zeros((2, 3))
    np.put_along_axis(along, np.array([[1], [2]]), w[:2, None], axis=1)
    return s, t, u, v, order, along


def out(w):
    s, t = np.empty(3), np.zeros(3)
    np.multiply(w, 2.0, out=s)
    np.exp(s, out=s)
    np.add(t, w, out=t)
    return s, t


def positions(w):
    s = np.zeros(3)
    s[PLACES] = w[:2]
    s[[True, False, True]] *= w[1]
    s[-1] = np.float64(4.0)
    s[...] = s + 1
    t = np.eye(3)
    t[[0, 1], [1, 2]] = w[:2]
    return s, t


def masks(w):
    y = w.copy()
    y[w > 0.5] = 0.0
    z = np.outer(w, w)
    z[w > 1.0] = w[0]
    return y, z


def kept_known(w):
    count, chosen = np.zeros(3, int), np.zeros(3, bool)
    count[1:] = 1
    chosen[2] = True
    s = np.zeros(3)
    s[count] = w
    return s, w[chosen], np.arange(5.0)[count]


def of_captured(w):
    y = X.copy()
    y[0] = w
    z = np.array(X)
    z[:, 1] += w[:2]
    return y, z, X


def of_float32(w):
    s = np.zeros(3, np.float32)
    s[:2] = w[:2]
    s += w.astype(np.float32)
    n = np.zeros(2)
    n[0] = 3
    n[1] = w[0]
    return s, n


def of_complex(w):
    s = np.zeros(3, complex)
    s[0] = w[0] * 1j
    s[1:] = w[1:]
    return s * np.conj(s)


CASES = {
    f.__name__: f
    for f in (
        *(recurrence, imported_alone, finite_differences, sums, rows, parts, names, adding, functions_that_write, out),
        *(positions, masks, kept_known, of_captured, of_float32, of_complex),
    )
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_numpys(name):
    expected = CASES[name](W.copy())
    assert_same(traced_result(CASES[name], W), expected)


@pytest.mark.parametrize("name", ["recurrence", "finite_differences", "rows", "parts", "adding", "masks", "positions"])
def test_derivatives_are_those_of_what_is_written(name, embedded):
    rng = np.random.default_rng(2)
    weights: list[Any] = [rng.normal(size=20) for _ in range(4)]

    def loss(w):
        found = CASES[name](w)
        several = found if isinstance(found, tuple) else (found,)
        return sum(np.sum(np.resize(k, part.shape) * part**2) for k, part in zip(weights, several, strict=False))

    gradient, steps = embedded.function(loss).grad(W), 1e-4 * np.eye(3)
    slopes = [(8 * (loss(W + h) - loss(W - h)) - (loss(W + 2 * h) - loss(W - 2 * h))) / 1.2e-3 for h in steps]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("function", [lambda w: w.__setitem__(0, 5.0), lambda w: w[1:].__setitem__(0, 5.0)])
def test_elements_of_arguments_are_not_assigned(function):
    """A graph has no other effect than its results, and NumPy would change the caller's array."""
    with pytest.raises(Untraceable, match=r"write x = x.copy\(\) before.*set_at\(x, key, values\)"):
        trace(lambda w: function(w) or w, W)


def test_a_part_that_were_not_written_through_is_seen(monkeypatch):
    """The comparison above can fail: with parts that keep what is written to themselves it does."""
    written = Written._become

    def alone(self, result):
        self._part_of = None
        return written(self, result)

    monkeypatch.setattr(Written, "_become", alone)
    with pytest.raises((AssertionError, Untraceable)):
        test_what_is_written_is_numpys("rows")


def test_numbers_take_no_assignments():
    with pytest.raises(TypeError, match="is a number"):
        trace(lambda w: w[0].__setitem__((), 1.0) or w, W)


def test_what_is_written_from_within_a_loop_is_refused():
    """Else all steps would begin with the same elements."""

    def loss(w):
        s = np.zeros(3)

        def step(carry, x):
            s[0] = s[0] + x
            return carry + s[0], s[0]

        return functions.scan(step, w[0], w)[0]

    with pytest.raises(Untraceable, match="from around a function that is called within the graph"):
        trace(loss, W)


def test_another_view_of_what_was_written_to_is_refused():
    def loss(w):
        s = np.zeros((2, 3))
        turned = s.T
        s[0] = w
        return turned.sum()

    with pytest.raises(Untraceable, match=r"changed in place at test_assignments\.py"):
        trace(loss, W)


def test_what_is_written_to_flat_is_written_to_the_array():
    def loss(w):
        A, B = np.zeros((3, 3)), np.outer(w, w)
        A.flat[::4] = np.exp(w)
        flat = B.flat
        flat[0] = w[1] ** 2
        B[1, 1] += flat[0]
        flat[8] *= 2.0
        return np.sum(A @ B.T) + flat[8] + B[0, 0]

    w, h = np.array([0.3, 0.4, 0.7]), 1e-6
    with Client() as client:
        value, gradient = client.function(loss).value_and_grad(w)
        assert value == pytest.approx(loss(w), rel=1e-13)
        differences = [(loss(w + h * e) - loss(w - h * e)) / (2 * h) for e in np.eye(3)]
        np.testing.assert_allclose(gradient, differences, rtol=1e-7)
        with pytest.raises(Untraceable, match="the caller's array"):
            client.function(lambda w: w.flat.__setitem__(0, 1.0)).grad(w)
