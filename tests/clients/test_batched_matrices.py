"""Jacobians and Hessians of a batch: points and columns together, one chunk for many points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import derive, vmap
from gradserve.client import Client
from gradserve.client.functions import cond
from gradserve.jobs.derivatives import dense
from gradserve.jobs.sweeps import cut
from gradserve.jobs.sweeps.matrices import BasisLayout
from gradserve.ops.control.scan import Scan
from gradserve.questions.derivations import Gradient

RNG = np.random.default_rng(11)
POINTS = RNG.standard_normal((7, 3))
SHIFTS = RNG.standard_normal((7, 2, 2))
SCALE = np.array([0.5, -1.5])


def residuals(x, shift, scale):
    """Two outputs, one of them a matrix, with a kink."""
    return {"a": np.sin(x[:2]) * scale + np.abs(x[2]), "b": shift @ np.outer(x[:2], x[1:]) * x[0]}


def loss(x, shift, scale):
    return np.sum(np.exp(shift * x[0]) * np.outer(x[1:], scale)) + np.sum(np.abs(x) ** 3)


@pytest.fixture
def client():
    with Client(threads=2) as made:
        yield made


def leaves(tree: Any) -> list[Any]:
    return [leaf for part in tree.values() for leaf in leaves(part)] if isinstance(tree, dict) else [tree]


def each(asked: Any, wrt: tuple[str, ...], **options: Any) -> list[list[Any]]:
    """The leaves of the answer at every point by itself."""
    return [leaves(asked(x, s, SCALE, wrt=wrt, **options)) for x, s in zip(POINTS, SHIFTS, strict=True)]


@pytest.fixture(params=["together", "point by point"])
def way(request, monkeypatch):
    """Both ways to the same matrices."""
    if request.param == "point by point":
        monkeypatch.setattr(dense, "_with_all_points", lambda context, call, single, check: single)
    return request.param


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("wrt", [("x",), ("scale",), ("x", "shift", "scale")])
@pytest.mark.parametrize("asked", ["jacobian forward", "jacobian reverse", "hessian"])
def test_a_batch_is_its_points(client, way, asked, wrt, reduction):
    name, *mode = asked.split()
    function = client.function(residuals if name == "jacobian" else loss)
    options = {"mode": mode[0]} if mode else {}
    found = getattr(function, name)(
        POINTS, SHIFTS, SCALE, wrt=wrt, batch=["x", "shift"], reduction=reduction, **options
    )
    singles = each(getattr(function, name), wrt, **options)
    folds: dict[str, Callable[[Any], Any]] = {
        "none": np.stack,
        "sum": lambda parts: np.sum(parts, 0),
        "mean": lambda parts: np.mean(parts, 0),
    }
    fold = folds[reduction]
    for leaf, *parts in zip(leaves(found), *singles, strict=True):
        expected = fold(parts)
        assert np.shape(leaf) == np.shape(expected)
        np.testing.assert_allclose(leaf, expected, rtol=1e-12, atol=1e-13)


def test_kinks_are_counted_by_points(client, way):
    function = client.function(residuals)
    points = POINTS.copy()
    points[2:5, 2] = 0.0
    function.jacobian(points, SHIFTS, SCALE, batch=["x", "shift"], wrt="x")
    assert function.last_report is not None
    assert function.last_report.kinks is not None
    assert function.last_report.kinks.examples == 3


def test_many_points_are_few_chunks(client):
    function = client.function(residuals)
    points, shifts = np.tile(POINTS, (100, 1)), np.tile(SHIFTS, (100, 1, 1))
    told = function.explain(points, shifts, SCALE, derivation="jacobian", batch=["x", "shift"])
    assert sum(told.chunks) == len(points)
    assert len(told.chunks) <= 2


def test_the_columns_of_a_large_matrix_are_cut_point_by_point(client, monkeypatch):
    monkeypatch.setattr(cut, "CHUNK_SECONDS", 4e-6)
    function = client.function(residuals)
    told = function.explain(POINTS, SHIFTS, SCALE, derivation="jacobian", batch=["x", "shift"])
    assert len(told.chunks) > len(POINTS)


def test_bits_do_not_depend_on_workers(monkeypatch):
    monkeypatch.setattr(cut, "CHUNK_SECONDS", 1e-4)
    points, shifts = np.tile(POINTS, (30, 1)), np.tile(SHIFTS, (30, 1, 1))
    found = []
    for threads in (1, 3):
        with Client(threads=threads) as client:
            function = client.function(loss)
            asked = function.hessian(points, shifts, SCALE, batch=["x", "shift"], reduction="sum")
            assert function.last_report is not None
            assert function.last_report.chunks > 1
            found.append(leaves(asked))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_planted_fault_of_points_in_another_order_is_found(client, monkeypatch):
    blocks = BasisLayout.blocks

    def turned(self, products, points):
        return blocks(self, {name: rows[::-1] for name, rows in products.items()}, points)

    monkeypatch.setattr(BasisLayout, "blocks", turned)
    with pytest.raises(AssertionError):
        test_a_batch_is_its_points(client, "together", "hessian", ("x", "shift", "scale"), "none")


def chosen(x):
    """A choice whose functions join and add up."""
    return cond(
        x[0] > 0,
        lambda x: np.sum(np.concatenate([x, x**2]) * np.arange(6.0)),
        lambda x: np.sum(np.cumsum(x) ** 2),
        x,
    )


def test_a_batch_of_choices_that_join_and_add_up_computes_both(client):
    function = client.function(chosen)
    found = function.grad(POINTS, batch=True)
    np.testing.assert_allclose(found, np.stack([function.grad(x) for x in POINTS]), rtol=1e-14)
    batched = vmap(derive(function.graph, Gradient(("x",))), ["x"], len(POINTS))
    assert not any(isinstance(node.op, Scan) for node in batched.nodes)
