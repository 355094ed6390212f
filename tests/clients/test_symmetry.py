"""Where mixed partials depend on their order: ten functions and more, as a user asks for them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import GradserveError, InvalidRequest
from gradserve.questions.symmetry import EntryPair
from gradserve.questions.verification import Entry
from tests import compiled
from tests.clients.bits import same_bits
from tests.clients.command_line import exits

jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(7)


def schwarz(x, y):
    """The counterexample: d/dx d/dy is 1 at the origin, d/dy d/dx is -1."""
    r = x * x + y * y
    return np.where(r == 0, 0.0, x * y * (x * x - y * y) / np.where(r == 0, 1.0, r))


def one_sided(x, y):
    """f_y(x, 0) = x, f_x(0, y) = 0."""
    r = x * x + y * y
    return np.where(r == 0, 0.0, x**3 * y / np.where(r == 0, 1.0, r))


def peano(x, y):
    """x^2 atan(y / x) - y^2 atan(x / y), with f_y(x, 0) = x and f_x(0, y) = -y."""
    p, q = np.where(x == 0, 1.0, x), np.where(y == 0, 1.0, y)
    return np.where(x == 0, 0.0, x * x * np.arctan(y / p)) - np.where(y == 0, 0.0, y * y * np.arctan(x / q))


def among_four(w):
    """Homogeneous of degree 2 in four variables; only the first two have mixed partials, 1 and -1."""
    r = np.sum(w * w)
    return np.where(r == 0, 0.0, w[0] * w[1] * (w[0] ** 2 - w[1] ** 2) / np.where(r == 0, 1.0, r))


MAP = np.array([[1.25, 0.5], [-0.25, 1.0]])


def mapped_limits():
    """d/du d/dv of f(M w) is <grad f(M u), M v>, as f is homogeneous of degree 2."""

    def smooth(p):
        x, y = p
        return x * y * (x * x - y * y) / (x * x + y * y)

    gradient = jax.grad(smooth)
    return tuple(float(gradient(jnp.array(MAP[:, k])) @ MAP[:, 1 - k]) for k in range(2))


SHIFT = np.array([0.3, -1.7, 0.4])
DEFECTIVE = {
    "the counterexample": (lambda w: schwarz(w[0], w[1]), np.zeros(2), (1.0, -1.0)),
    "f_y(x, 0) = x, f_x(0, y) = 0": (lambda w: one_sided(w[0], w[1]), np.zeros(2), (1.0, 0.0)),
    "Peano": (lambda w: peano(w[0], w[1]), np.zeros(2), (1.0, -1.0)),
    "in four variables": (among_four, np.zeros(4), (1.0, -1.0)),
    "shifted, beside smooth terms": (
        lambda w: schwarz(w[0] - SHIFT[0], w[1] - SHIFT[1]) + np.sin(w[0]) * w[1] * w[2],
        SHIFT,
        (np.cos(0.3) * 0.4 + 1, np.cos(0.3) * 0.4 - 1),
    ),
    "after a linear map": (lambda w: schwarz(*(MAP @ w)) + np.cos(w[0] * w[1]), np.zeros(2), mapped_limits()),
}

A, B = RNG.standard_normal((8, 4)), RNG.standard_normal(8)
SMOOTH = {
    "sin(50 x) y": (lambda m, w: m.sin(50 * w[0]) * w[1], np.array([0.3, 0.2])),
    "exp(10 (x + y))": (lambda m, w: m.exp(10 * (w[0] + w[1])), np.array([0.3, 0.2])),
    "1e3 x^2 y + x y^3": (lambda m, w: 1e3 * w[0] ** 2 * w[1] + w[0] * w[1] ** 3, np.array([0.3, 0.2])),
    "Rosenbrock": (
        lambda m, w: m.sum(100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2),
        np.array([-1.2, 1.0, 0.7, 0.3]),
    ),
    "network and softmax": (
        lambda m, w: m.sum(m.tanh(3 * A @ w) * B) ** 2 + m.log(m.sum(m.exp(7 * w))),
        RNG.standard_normal(4),
    ),
    "the counterexample, softened": (
        lambda m, w: w[0] * w[1] * (w[0] ** 2 - w[1] ** 2) / (w[0] ** 2 + w[1] ** 2 + 1e-8),
        np.zeros(2),
    ),
}


@pytest.mark.parametrize("name", DEFECTIVE)
def test_dependence_on_the_order_is_found_with_both_limits(embedded, name):
    loss, point, limits = DEFECTIVE[name]
    f = embedded.function(loss)
    hessian = f.hessian(point)
    assert np.array_equal(hessian, hessian.T)  # so that symmetry of what is derived proves nothing
    report = f.verify_symmetry(point)
    assert report.verdict == "order_dependent"
    assert not report.passed
    assert report.worst.entries == EntryPair(Entry("w", (0,)), Entry("w", (1,)))
    assert (report.worst.uv, report.worst.vu) == pytest.approx(limits, abs=1e-3)
    assert abs(report.worst.uv - limits[0]) <= report.worst.uv_bound
    assert abs(report.worst.vu - limits[1]) <= report.worst.vu_bound
    assert report.worst.u_hv == pytest.approx(hessian[0, 1])
    assert {pair.verdict for pair in report.pairs[1:]} <= {"agrees"}


@pytest.mark.parametrize("name", SMOOTH)
def test_large_third_derivatives_are_no_dependence_on_the_order(embedded, name):
    loss, point = SMOOTH[name]
    report = embedded.function(lambda w: loss(np, w)).verify_symmetry(point)
    assert report.passed, report
    hessian = np.asarray(compiled.hessian(lambda w: loss(jnp, w))(jnp.asarray(point)))
    assert len(report.pairs) == len(point) * (len(point) - 1) // 2
    scale = np.abs(hessian).max()
    for pair in report.pairs:
        i, j = pair.entries.u.index[0], pair.entries.v.index[0]
        assert abs(pair.uv - hessian[i, j]) <= pair.uv_bound + 1e-12 * scale
        assert abs(pair.vu - hessian[i, j]) <= pair.vu_bound + 1e-12 * scale
        assert pair.u_hv == pytest.approx(hessian[i, j], rel=1e-10, abs=1e-10 * scale)


def two_parameters(w, b):
    return schwarz(w[0], b) + np.sum(np.tanh(w)) * b


def test_both_clients_answer_the_same(agree):
    for wishes in ({}, {"pairs": [("b", "w[0]"), ("w[0]", "w[2]")]}, {"count": 4, "seed": 3}, {"wrt": "w"}):
        agree(lambda c: c.function(two_parameters).verify_symmetry(np.zeros(3), 0.0, **wishes))  # noqa: B023  # called at once


def test_named_pairs_and_the_table(client):
    f = client.function(two_parameters)
    report = f.verify_symmetry(np.zeros(3), 0.0, pairs=[("b", "w[0]"), ("w[1]", "b")])
    assert [pair.name for pair in report.pairs] == ["b, w[0]", "w[1], b"]
    assert report.worst.uv == pytest.approx(0.0, abs=1e-3)
    assert report.worst.vu == pytest.approx(2.0, abs=1e-3)
    lines = str(report).splitlines()
    assert lines[0].startswith("symmetry: order_dependent (2 pairs, ")
    assert lines[1].split() == ["u,", "v", "verdict", "d/du", "d/dv", "bound", "d/dv", "d/du", "bound", "derived"]
    assert [line.split()[2] for line in lines[2:4]] == ["order_dependent", "agrees"]
    assert str(report.worst).startswith("b, w[0]: order_dependent; the two orders give ")


def test_a_single_number_has_no_mixed_partials(client):
    report = client.function(lambda x: x**3).verify_symmetry(2.0)
    assert (report.passed, report.pairs, report.worst) == (True, (), None)


def test_progress_and_leaving(client):
    seen: list[Any] = []
    f = client.function(two_parameters)
    report = f.verify_symmetry(np.zeros(3), 0.0, progress=seen.append)
    assert seen[-1].report is report
    assert all(step.report is None and step.stage for step in seen[:-1])
    assert f.last_report == seen[-1].execution

    def leave(step):
        raise StopIteration

    with pytest.raises(GradserveError, match="left before"):
        f.verify_symmetry(np.zeros(3), 0.0, progress=leave)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("w[3]", "b")], r"pairs\[0\].u: .*no entry \[3\] in w of shape \[3\]"),
        ([("w", "b")], r"no entry \[\] in w"),
        ([("z[0]", "b")], "'z' is not among the inputs"),
        ([("b", "b")], "both are the same entry"),
        (["wb"], "is no pair of entries"),
        ([("w[-1]", "b")], "is no entry of a parameter"),
        ([("w[99999999999999999999]", "b")], "whole number"),
    ],
)
def test_pairs_that_do_not_fit(client, pairs, message):
    with pytest.raises(InvalidRequest, match=message):
        client.function(two_parameters).verify_symmetry(np.zeros(3), 0.0, pairs=pairs)


# ---- the command line


@pytest.fixture
def defective(folder, embedded):
    embedded.function(two_parameters, np.zeros(3), 0.0).save("odd.pb")
    np.savez("origin.npz", w=np.zeros(3), b=0.0)
    np.savez("beside.npz", w=np.ones(3), b=0.5)


def test_the_command(defective, run, place):
    status, out, err = run("symmetry", "odd.pb", "origin.npz", *place)
    assert (status, err) == (1, "")
    assert out.startswith("order_dependent  6 pairs, ")
    assert [line.split()[:3] for line in out.splitlines() if "order_" in line][1:] == [
        ["w[0],", "b", "order_dependent"]
    ]
    assert run("symmetry", "odd.pb", "beside.npz", *place)[0] == 0
    status, out, _ = run("symmetry", "odd.pb", "origin.npz", "--pair", "w[1]", "w[2]", *place)
    assert (status, out.splitlines()[0][:14]) == (0, "agrees  1 pair")
    assert run("symmetry", "odd.pb", "origin.npz", "--pair", "w[1]", "w[9]", *place)[0] == 2


def test_the_help_teaches(run, capsys):
    assert exits(run, "symmetry", "--help") == 0
    out = capsys.readouterr().out
    assert "x y (x^2 - y^2) / (x^2 + y^2)" in out
    assert "order_dependent" in out
    assert '--pair "w[0]" "w[3]"' in out


def test_the_same_seed_gives_the_same_bits(embedded):
    f, w = embedded.function(lambda w: np.sum(np.tanh(w[1:] * w[:-1]))), RNG.standard_normal(30)
    one, again, other = (f.verify_symmetry(w, seed=seed, count=4) for seed in (1, 1, 2))
    assert same_bits(one, again)
    assert not same_bits(one, other)
