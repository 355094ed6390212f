"""Spectra, eigenpairs, systems and diagonals over batches and of groups of inputs, against dense matrices."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from gradserve.client import Client, InvalidRequest
from gradserve.jobs.estimates import points
from tests.clients.bits import same_bits

RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal((12, 4)), RNG.integers(0, 3, 12)
W, B = RNG.standard_normal((4, 3)) / 2, RNG.standard_normal(3) / 2
WAY = [np.stack([W, 0.5 * W, -W]), np.stack([B, B + 1, 2 * B])]
SHARDS: dict[str, Any] = {"wrt": ("w", "b"), "batch": ("x", "y")}
GROUPS = {"first": "w", "last": "b"}


def loss(w, b, x, y):
    """Softmax cross entropy of one example."""
    z = x @ w + b
    return np.log(np.sum(np.exp(z))) - z[y]


def logits(w, b, x, y):
    """The same with what it is a loss of."""
    z = x @ w + b
    return {"z": z, "loss": np.log(np.sum(np.exp(z))) - z[y]}


def whole(w, b):
    """The mean over all examples in one graph."""
    z = X @ w + b
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - z[np.arange(12), Y])


def dense(matrix, w=W, b=B):
    """The sum over examples of J^T (diag(p) - p p^T) J, which is the Hessian too, or of g g^T; in w and b."""
    v = np.concatenate([w.ravel(), b])
    if matrix == "fisher":
        slopes = np.asarray(slopes_of_jax(v))
        return slopes.T @ slopes
    return np.sum(hessians_of_jax(v), axis=0)


jax.config.update("jax_enable_x64", True)


def one(v, x, y):
    z = x @ v[:12].reshape(4, 3) + v[12:]
    return jax.nn.logsumexp(z) - z[y]


slopes_of_jax, hessians_of_jax = (  # of every example, compiled once
    jax.jit(lambda v, derivative=derivative: jax.vmap(lambda x, y: derivative(one)(v, x, y))(X, Y))
    for derivative in (jax.grad, jax.hessian)
)


def answer(found):
    """All that an answer says but what it cost."""
    apart = ("report", "token", "looks", "point", "group")
    return {f.name: getattr(found, f.name) for f in dataclasses.fields(found) if f.name not in apart}


def of(client, matrix):
    return client.function(logits if matrix == "gauss-newton" else loss, W, B, X[0], Y[0])


MATRICES = [("hessian", ""), ("gauss-newton", "result.loss"), ("fisher", "")]


@pytest.mark.parametrize(("matrix", "named"), MATRICES)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_eigenpairs_of_a_sum_over_examples(client, matrix, named, reduction):
    exact = np.linalg.eigvalsh(dense(matrix) / (12 if reduction == "mean" else 1))[::-1]
    asked: dict[str, Any] = {"matrix": matrix, "loss": named, "reduction": reduction, **SHARDS}
    found = of(client, matrix).hessian_eigenpairs(W, B, X, Y, count=3, tol=1e-9, **asked)
    assert found.complete
    np.testing.assert_allclose(found.values, exact[:3], rtol=1e-8)


@pytest.mark.parametrize(("matrix", "named"), MATRICES)
def test_spectra_of_a_sum_over_examples(agree, matrix, named):
    """Ends and every moment, whose intervals hold: of 15 eigenvalues at 15 steps the quadrature is exact."""

    def ask(client):
        asked: dict[str, Any] = {"matrix": matrix, "loss": named, "reduction": "sum", **SHARDS}
        return answer(of(client, matrix).hessian_spectrum(W, B, X, Y, probes=12, seed=3, **asked))

    found, exact = agree(ask), np.linalg.eigvalsh(dense(matrix))
    assert found["largest"] == pytest.approx(exact[-1], rel=1e-9)
    for p, moment in enumerate(found["moments"], start=1):
        assert moment.lower <= np.mean(exact**p) <= moment.upper


def test_a_sum_over_examples_is_what_their_sum_in_a_graph_is(embedded):
    """The same probes and the same matrix: to rounding the same spectrum."""
    asked = {"probes": 4, "steps": 8, "seed": 1}
    apart = of(embedded, "hessian").hessian_spectrum(W, B, X, Y, reduction="mean", **SHARDS, **asked)
    together = embedded.function(whole, W, B).hessian_spectrum(W, B, **asked)
    np.testing.assert_allclose(apart.nodes, together.nodes, atol=1e-12)
    np.testing.assert_allclose(apart.weights, together.weights, atol=1e-10)


def test_a_system_with_a_sum_over_examples(agree):
    right = {"w": np.ones((4, 3)), "b": np.arange(3.0)}

    def ask(client, preconditioner):
        asked: dict[str, Any] = {"damping": 0.3, "tol": 1e-10, "reduction": "sum", **SHARDS}
        f = of(client, "hessian")
        return answer(f.hessian_solve(W, B, X, Y, right=right, preconditioner=preconditioner, **asked))

    for preconditioner in ("none", "diagonal"):
        found = agree(lambda c, how=preconditioner: ask(c, how))["solution"]
        x = np.concatenate([found["w"].ravel(), found["b"]])
        b = np.concatenate([right["w"].ravel(), right["b"]])
        np.testing.assert_allclose((dense("hessian") + 0.3 * np.eye(15)) @ x, b, atol=1e-8)


@pytest.mark.parametrize(("matrix", "named"), MATRICES)
def test_diagonals_of_a_sum_over_examples(agree, matrix, named):
    def ask(client):
        asked: dict[str, Any] = {"matrix": matrix, "loss": named, "reduction": "sum", **SHARDS}
        return answer(
            of(client, matrix).hessian_diagonal(W, B, X, Y, max_probes=512, seed=2, confidence=0.9999, **asked)
        )

    found, exact = agree(ask), np.diag(dense(matrix))
    for name, part in (("w", exact[:12].reshape(4, 3)), ("b", exact[12:])):
        assert np.all(np.abs(found["values"][name] - part) <= found["half_widths"][name])
    assert found["widest"] < exact.max()


# ---- a training, group by group


def at_each_point(client, method, **options):
    """What is told over the way, and what is told of each point alone."""
    f = client.function(lambda w, b: whole(w, b), W, B)
    asked = getattr(f, method)
    return asked(*WAY, batch=True, **options), [asked(w, b, **options) for w, b in zip(*WAY, strict=True)]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("hessian_spectrum", {"probes": 2, "steps": 5}),
        ("hessian_eigenpairs", {"count": 2, "tol": 1e-9}),
        ("hessian_diagonal", {"max_probes": 16}),
    ],
)
def test_each_point_of_a_training_is_as_if_asked_for_alone(client, method, options):
    found, alone = at_each_point(client, method, **options)
    assert [each.point for each in found] == [0, 1, 2]
    assert same_bits([answer(each) for each in found], [answer(each) for each in alone])


def test_a_trace_has_its_gradient_at_each_point(embedded):
    found, alone = at_each_point(embedded, "hessian_trace", max_probes=8, gradient=True, estimator="hutchinson")
    assert same_bits([each.gradient for each in found], [each.gradient for each in alone])


@pytest.mark.parametrize(
    ("method", "options"),
    [("hessian_spectrum", {"probes": 2, "steps": 3}), ("hessian_eigenpairs", {"count": 2, "tol": 1e-9})],
)
@pytest.mark.parametrize("groups", [GROUPS, {"b": "b", "w": "w"}, {"w": "b", "b": "w"}])
def test_every_group_at_every_point_is_as_if_asked_for_alone(client, method, options, groups):
    f = client.function(whole, W, B)
    asked, seen = getattr(f, method), []
    found = asked(*WAY, batch=True, groups=groups, progress=lambda e: seen.append((e.point, e.group)), **options)
    assert [*dict.fromkeys(seen)] == [(k, group) for k in range(3) for group in groups]
    for k, named in enumerate(found):
        for group, name in groups.items():
            alone = answer(asked(WAY[0][k], WAY[1][k], wrt=name, **options))
            told = answer(named[group])
            vectors = told.pop("vectors", {}), alone.pop("vectors", {})
            assert same_bits(told, alone)
            if "vectors" in alone:
                assert same_bits(vectors[0][name], vectors[1])


def test_groups_of_a_sum_over_shards(client):
    """Blocks of the dense matrix."""
    asked: dict[str, Any] = {"matrix": "fisher", "reduction": "sum", "groups": GROUPS, **SHARDS}
    found = of(client, "fisher").hessian_eigenpairs(W, B, X, Y, count=2, tol=1e-9, **asked)
    for name, block in (("first", slice(0, 12)), ("last", slice(12, 15))):
        exact = np.linalg.eigvalsh(dense("fisher")[block, block])[::-1]
        np.testing.assert_allclose(found[name].values, exact[:2], rtol=1e-8)


def test_without_its_own_point_a_training_would_stand_still(embedded, monkeypatch):
    """The planted fault: every point is the first."""
    monkeypatch.setattr(points, "_row", lambda argument, point: argument[0])
    found, alone = at_each_point(embedded, "hessian_spectrum", probes=2, steps=5)
    assert not same_bits([answer(each) for each in found], [answer(each) for each in alone])


def test_it_goes_on_amid_points_and_groups(start, embedded):
    """With another service, from where it stood, to the bit."""
    options: dict[str, Any] = {"batch": True, "groups": GROUPS, "probes": 4, "steps": 3}
    seen: list[Any] = []

    def leave(found):
        seen.append(found)
        if (found.point, found.group, found.probes) == (1, "last", 2):
            raise StopIteration

    expected = embedded.function(whole, W, B).hessian_spectrum(*WAY, **options)
    embedded.function(whole, W, B).hessian_spectrum(*WAY, progress=leave, **options)
    with Client(f"127.0.0.1:{start().port}", timeout=30) as other:
        rest = other.function(whole, W, B).hessian_spectrum(*WAY, resume=seen[-1], **options)
    assert [[*named] for named in rest] == [["last"], ["first", "last"]]
    assert same_bits(answer(rest[0]["last"]), answer(expected[1]["last"]))
    assert same_bits(answer(rest[1]["first"]), answer(expected[2]["first"]))


def test_what_it_costs_is_explained(embedded):
    f = embedded.function(whole, W, B)
    one, all_ = (f.explain(*p, derivation="hessian_spectrum", batch=b) for p, b in (((W, B), False), (WAY, True)))
    assert all_.flops == 3 * one.flops


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: f.hessian_solve(*WAY, batch=True, right={"w": W, "b": B}), "K1: a system is solved at one point"),
        (lambda f: f.hessian_spectrum(W, B, groups={"g": "c"}), "'c'"),
        (lambda f: f.hessian_spectrum(W, B, groups={"": "w"}), "E8: '' does not name one group"),
        (lambda f: f.hessian_spectrum(W, B, groups=("w",)), "write a dict from names to names of parameters"),
        (
            lambda f: f.hessian_eigenpairs(W, B, groups=GROUPS, start={"w": W[None], "b": B[None]}),
            "K8: vectors to begin with are those of one matrix",
        ),
        (lambda f: f.hessian_spectrum(W, B, reduction="sum"), "is over the points of a batch, and there is none"),
        (lambda f: f.zero_order_gradient(*WAY, batch=True), "E1: an estimate is made at one point"),
    ],
)
def test_what_has_no_meaning_is_refused(client, ask, message):
    with pytest.raises(InvalidRequest, match=message):
        ask(client.function(whole, W, B))


def test_the_gradient_of_log_det_is_of_one_hessian(client):
    with pytest.raises(InvalidRequest, match="K10: the gradient is that of one Hessian"):
        of(client, "hessian").hessian_spectrum(W, B, X, Y, gradient=True, reduction="sum", **SHARDS)


def test_commands_take_batches_and_groups(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    with Client() as client:
        of(client, "hessian").save("loss.pb")
        client.function(whole, W, B).save("whole.pb")
    np.savez("examples.npz", w=W, b=B, x=X, y=Y)
    np.savez("way.npz", w=WAY[0], b=WAY[1])
    shards = ["--wrt", "w", "--wrt", "b", "--batched", "x", "--batched", "y", "--reduction", "sum"]
    status, out, _ = run("eigenpairs", "loss.pb", "examples.npz", *shards, "--count", 1)
    top = np.linalg.eigvalsh(dense("hessian"))[-1]
    assert status == 0
    assert float(out.splitlines()[2].split()[1]) == pytest.approx(top, rel=1e-6)
    group = ["--group", "first=w", "--group", "last=b"]
    spectrum = ["spectrum", "whole.pb", "way.npz", "--batch", *group, "--probes", 2, "--steps", 3, "--out", "s.npz"]
    assert run(*spectrum)[0] == 0
    with np.load("s.npz") as written:
        assert written["point2-last/density"].shape == (256,)
    trace = ["trace", "whole.pb", "way.npz", "--batch", "--max-probes", 4, "--out", "t.npz"]
    assert run(*trace)[1].count("trace of the Hessian") == 3
    diagonal = ["hessian-diagonal", "loss.pb", "examples.npz", *shards, "--max-probes", 64, "--out", "d.npz"]
    assert run(*diagonal)[0] == 0
    with np.load("d.npz") as written:
        assert written["values:w"].shape == (4, 3)


@pytest.mark.parametrize("groups", [GROUPS, {"b": "w", "w": "b"}])
def test_parts_of_a_trace_go_by_group_and_its_diagonal_by_input(client, groups):
    f = client.function(whole, W, B)
    asked: dict[str, Any] = {"diagonal": True, "max_probes": 64, "estimator": "hutchinson"}
    found, alone = f.hessian_trace(W, B, groups=groups, **asked), f.hessian_trace(W, B, **asked)
    assert found.parts == {group: alone.parts[name] for group, name in groups.items()}
    assert same_bits(found.diagonal, alone.diagonal)
