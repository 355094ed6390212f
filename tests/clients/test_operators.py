"""Traces of a Hessian's blocks, and of the Hessians along a way, as a user asks for them."""

from __future__ import annotations

import numpy as np
import pytest

from gradserve.client import Client, InvalidRequest
from tests.clients.bits import same_bits

RNG = np.random.default_rng(11)
PARAMS = {
    "layers": [{"w": RNG.standard_normal((3, 4)), "b": RNG.standard_normal(3)} for _ in range(2)],
    "out": RNG.standard_normal(4),
}
LEAVES = ["params.layers.0.w", "params.layers.0.b", "params.layers.1.w", "params.layers.1.b", "params.out"]
SIZES = [12, 3, 12, 3, 4]
FIRST, LAST = slice(0, 15), slice(15, 34)
GROUPS = {"first": "params.layers.0", "last": ["params.layers.1", "params.out"]}


def coupled(seed: int) -> np.ndarray:
    """A symmetric matrix whose blocks are coupled."""
    half = np.random.default_rng(seed).standard_normal((34, 34))
    matrix: np.ndarray = half + half.T
    return matrix


A = coupled(1)


def quadratic(params):
    layers = [np.ravel(leaf) for layer in params["layers"] for leaf in (layer["w"], layer["b"])]
    x = np.concatenate([*layers, params["out"]])
    return x @ (A @ x) / 2


def on_diagonal(w):
    """Its Hessian at w is diag(12 w^2) + 2."""
    return np.sum(w**4) + np.sum(w) ** 2


# ---- groups


def test_parts_of_groups_are_the_traces_of_their_blocks(agree):
    def ask(client):
        found = client.function(quadratic, PARAMS).hessian_trace(PARAMS, estimator="exact", groups=GROUPS)
        return found.value, found.parts

    value, parts = agree(ask)
    blocks = [np.trace(A[FIRST, FIRST]), np.trace(A[LAST, LAST])]
    assert [*parts] == ["first", "last"]
    np.testing.assert_allclose([*parts.values()], blocks, rtol=1e-12)
    assert value == pytest.approx(sum(blocks))


@pytest.mark.parametrize("estimator", ["hutchinson", "auto", "hutch++"])
def test_groups_are_estimated_from_the_probes_of_all(estimator, embedded):
    """Signs of different inputs are independent: <v_g, (H v)_g> has the mean tr H_gg."""
    f = embedded.function(quadratic, PARAMS)
    found = f.hessian_trace(PARAMS, estimator=estimator, groups=GROUPS, max_probes=32, seed=4)
    for name, block in (("first", FIRST), ("last", LAST)):
        assert abs(found.parts[name] - np.trace(A[block, block])) <= found.part_half_widths[name]


def test_the_interval_of_a_group_allows_for_what_couples_it_to_others(embedded):
    """The variance of <v_g, (H v)_g> is 2 (|H_gg|^2 - sum h_ii^2) + |H_g,others|^2: that of signs in others as well."""
    probes = 2048
    f = embedded.function(quadratic, PARAMS)
    found = f.hessian_trace(PARAMS, groups=GROUPS, max_probes=probes, estimator="hutchinson")
    for name, block in (("first", FIRST), ("last", LAST)):
        own = 2 * (np.sum(A[block, block] ** 2) - np.sum(np.diag(A)[block] ** 2))
        others = np.sum(A[block] ** 2) - np.sum(A[block, block] ** 2)
        deviation = found.part_half_widths[name] * np.sqrt(probes) / 1.96
        assert deviation >= np.sqrt(own + others) * 0.97
        assert deviation <= np.sqrt(own + 2 * others) * 1.1
        assert np.sqrt(own) * 1.1 < deviation, "without the coupling it would be too narrow"


def test_without_groups_each_input_has_its_part(embedded):
    found = embedded.function(quadratic, PARAMS).hessian_trace(PARAMS, estimator="exact")
    ends = np.cumsum(SIZES)
    parts = [np.sum(np.diag(A)[stop - size : stop]) for stop, size in zip(ends, SIZES, strict=True)]
    told = [found.parts["layers"][k][leaf] for k in range(2) for leaf in ("w", "b")] + [found.parts["out"]]
    np.testing.assert_allclose(told, parts, rtol=1e-12)


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ({"a": "params.nothing"}, r"groups\['a'\] names 'params.nothing'; given are params, params.layers"),
        ("first", "groups is 'first'; write a dict"),
        ({"a": []}, "give at least one input"),
        ({"": "params.out"}, "does not name one group"),
    ],
)
def test_groups_that_there_are_not(groups, text, embedded):
    with pytest.raises(InvalidRequest, match=text):
        embedded.function(quadratic, PARAMS).hessian_trace(PARAMS, groups=groups, estimator="auto")


def test_an_estimator_that_tells_no_parts_is_refused_groups(client):
    with pytest.raises(InvalidRequest, match="xtrace tells the trace alone"):
        client.function(quadratic, PARAMS).hessian_trace(PARAMS, groups=GROUPS, estimator="xtrace")


# ---- points


WAY = np.linspace(-1.0, 2.0, 12).reshape(4, 3)


def told(estimate):
    return estimate.value, estimate.interval, estimate.probes, estimate.stop_reason, estimate.seed


@pytest.mark.parametrize("estimator", ["hutchinson", "auto"])
def test_along_a_way_each_point_has_the_bits_of_a_call_of_its_own(estimator, client):
    f = client.function(on_diagonal, WAY[0])
    options = {"estimator": estimator, "max_probes": 64, "seed": 3, "rel_tol": 0.3}
    seen = []
    found = f.hessian_trace(WAY, batch=True, progress=lambda e: seen.append(e.point), **options)
    assert [each.point for each in found] == [0, 1, 2, 3]
    assert seen == sorted(seen)
    assert [told(each) for each in found] == [told(f.hessian_trace(w, **options)) for w in WAY]
    assert [told(each) for each in found] != [told(f.hessian_trace(w, **options | {"seed": 4})) for w in WAY]
    for each, w in zip(found, WAY, strict=True):
        assert each.lower <= 12 * np.sum(w**2) + 2 * 3 <= each.upper


def test_a_way_is_gone_on_with_amid_it(client, start):
    f = client.function(on_diagonal, WAY[0])
    whole = f.hessian_trace(WAY, batch=True, max_probes=64, estimator="hutchinson")
    seen = []

    def leave(estimate):
        seen.append(estimate)
        if (estimate.point, estimate.probes) == (2, 32):
            raise StopIteration

    f.hessian_trace(WAY, batch=True, max_probes=64, estimator="hutchinson", progress=leave)
    with Client(f"127.0.0.1:{start().port}", timeout=20) as other:
        f = other.function(on_diagonal, WAY[0])
        rest = f.hessian_trace(WAY, batch=True, max_probes=64, estimator="hutchinson", resume=seen[-1])
    assert same_bits([told(each) for each in rest], [told(each) for each in whole[2:]])


def test_the_cost_of_a_way_is_that_of_its_points(client):
    f = client.function(on_diagonal, WAY[0])
    one, four = (f.explain(*w, derivation="hessian_trace", batch=b) for w, b in (((WAY[0],), False), ((WAY,), True)))
    assert four.flops == 4 * one.flops


def test_over_shards_it_is_the_trace_of_the_sum(client):
    shards = RNG.standard_normal((5, 7, 3))

    def half_squares(w, shard):
        return np.sum((shard @ w) ** 2) / 2

    f = client.function(half_squares, WAY[0], shards[0])
    found = f.hessian_trace(WAY[0], shards, wrt="w", batch="shard", reduction="sum", estimator="exact")
    assert found.value == pytest.approx(np.sum(shards**2))


def test_the_command_shows_the_parts_of_groups(folder, run):
    status, out, _ = run("trace", "loss.pb", "point.npz", "--estimator", "exact", "--group", "both=w,b")
    assert status == 0
    shown = {line.split("  ")[0]: line for line in out.splitlines()}
    total = shown["trace of the Hessian"].split()[-1]
    assert shown["part of both"].split()[3] == total
    with pytest.raises(SystemExit):
        run("trace", "loss.pb", "point.npz", "--group", "both")


def test_the_fisher_matrix_has_the_gradient_as_its_only_direction(client):
    """g g^T: one eigenvalue |g|^2 with the eigenvector g / |g|, and 0."""
    f = client.function(on_diagonal, WAY[1])
    gradient = f.grad(WAY[1])
    found = f.hessian_eigenpairs(WAY[1], count=3, matrix="fisher")
    assert found.values[0] == pytest.approx(gradient @ gradient)
    np.testing.assert_allclose(found.values[1:], 0.0, atol=1e-10 * found.values[0])
    assert abs(found.vectors[0] @ gradient) == pytest.approx(np.linalg.norm(gradient))
    spectrum = f.hessian_spectrum(WAY[1], matrix="fisher", steps=3)
    assert spectrum.moments[0].lower <= gradient @ gradient / 3 <= spectrum.moments[0].upper
    trace = f.hessian_trace(WAY[1], matrix="fisher", estimator="exact")
    assert trace.value == pytest.approx(gradient @ gradient)


# ---- diagonals


J = RNG.standard_normal((9, 5))


def residuals(w):
    return J @ w


def test_the_diagonal_of_a_gauss_newton_matrix(client):
    """diag(J^T J), entry by entry, each within its interval; and the trace and the diagonal from the same products."""
    w = np.zeros(5)
    f = client.function(residuals, w)
    expected = np.sum(J * J, axis=0)
    found = f.hessian_diagonal(w, matrix="gauss-newton", max_probes=256, seed=2)
    assert np.all(np.abs(found.values - expected) <= found.half_widths)
    assert found.widest == np.max(found.half_widths) < np.max(expected)
    both = f.hessian_trace(w, matrix="gauss-newton", estimator="hutchinson", diagonal=True, max_probes=256, seed=2)
    assert np.all(np.abs(both.diagonal - expected) <= both.diagonal_half_widths)
    np.testing.assert_allclose(both.diagonal, found.values, rtol=1e-10)
    assert both.value == pytest.approx(np.sum(both.diagonal))


def test_the_diagonal_of_a_fisher_matrix_is_the_square_of_the_gradient(client):
    f = client.function(on_diagonal, WAY[2])
    found = f.hessian_diagonal(WAY[2], matrix="fisher", max_probes=128, confidence=0.999)
    assert np.all(np.abs(found.values - f.grad(WAY[2]) ** 2) <= found.half_widths)


def test_a_preconditioner_is_estimated_of_the_matrix_in_question(client):
    """Of J^T J, and not of the Hessian of half the sum of squares of something else."""
    w = np.zeros(5)
    scaled = J * [1.0, 10.0, 100.0, 1000.0, 1e4]
    f = client.function(lambda w: scaled @ w, w)
    right = np.ones(5)
    options = {"matrix": "gauss-newton", "damping": 1e-3, "tol": 1e-9}
    plain = f.hessian_solve(w, right=right, max_iterations=6, **options)
    better = f.hessian_solve(w, right=right, preconditioner="diagonal", probes=512, max_iterations=12, **options)
    assert better.converged
    assert not plain.converged
    np.testing.assert_allclose((scaled.T @ scaled + 1e-3 * np.eye(5)) @ better.solution, right, atol=1e-7)
