"""Batches of points, in both modes, against a loop over the points."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from gradserve.client import InvalidGraph, InvalidRequest
from gradserve.client.function import Function
from gradserve.client.methods import NAMES, method_of
from gradserve.client.tracing.parameters import OPTIONS

RNG = np.random.default_rng(5)
POINTS = 7
W, B, SCALE = RNG.standard_normal((POINTS, 3, 2)), RNG.standard_normal((POINTS, 2)), RNG.standard_normal(POINTS)
X = RNG.standard_normal((4, 3))


def loss(w, b, scale=1.0):
    return np.sum(np.tanh(X @ w + b) ** 2) * scale


def stacked(trees):
    """The results of points, each leaf with a leading axis."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: stacked([tree[key] for tree in trees]) for key in first}
    if isinstance(first, tuple):
        return tuple(map(stacked, zip(*trees, strict=True)))
    return np.stack(trees)


def reduced(tree, reduction):
    if isinstance(tree, dict):
        return {key: reduced(value, reduction) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(reduced(value, reduction) for value in tree)
    return {"none": lambda x: x, "sum": lambda x: x.sum(axis=0), "mean": lambda x: x.mean(axis=0)}[reduction](tree)


def assert_close(found, expected):
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_close(found[key], expected[key])
    elif isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other)
    else:
        assert np.shape(found) == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


TANGENT = {"w": RNG.standard_normal(W.shape), "b": RNG.standard_normal(B.shape)}


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("method", ["__call__", "value_and_grad", "grad", "jvp", "vjp", "hvp"])
def test_all_parameters(agree, method, reduction):
    def vectors(k):
        point = {"w": TANGENT["w"][k], "b": TANGENT["b"][k]}
        return {"jvp": {"tangent": point}, "hvp": {"tangent": point}, "vjp": {"cotangent": SCALE[k]}}.get(method, {})

    found = agree(
        lambda c: getattr(c.function(loss), method)(W, B, **vectors(slice(None)), batch=True, reduction=reduction)
    )
    assert_close(found, loop(agree, method, vectors, reduction))


def loop(agree, method, vectors, reduction):
    answers = [agree(lambda c, k=k: getattr(c.function(loss), method)(W[k], B[k], **vectors(k))) for k in range(POINTS)]
    return reduced(stacked(answers), reduction)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("batch", [["b"], "b", ("b", "scale"), ["scale"]])
def test_some_parameters(agree, batch, reduction):
    given = {"w": W, "b": B, "scale": SCALE}

    def point(k):
        return {name: array[k if name in batch else 0] for name, array in given.items()}

    whole = {name: array if name in batch else array[0] for name, array in given.items()}
    found = agree(lambda c: c.function(loss).value_and_grad(**whole, batch=batch, reduction=reduction))
    answers = [agree(lambda c, k=k: c.function(loss).value_and_grad(**point(k))) for k in range(POINTS)]
    assert_close(found, reduced(stacked(answers), reduction))


def test_only_what_is_differentiated_carries_the_batch(agree):
    found = agree(lambda c: c.function(loss).grad(W[0], B, wrt=["b"], batch=True))
    assert_close(found, np.stack([agree(lambda c, b=b: c.function(loss).grad(W[0], b, wrt=["b"])) for b in B]))


def test_data_may_carry_it_and_the_tangent_not(agree):
    v = RNG.standard_normal(2)
    found = agree(lambda c: c.function(loss).hvp(W, B[0], tangent=v, wrt=["b"], batch=["w"]))
    assert_close(found, np.stack([agree(lambda c, w=w: c.function(loss).hvp(w, B[0], tangent=v, wrt="b")) for w in W]))


def test_trees_and_integers(agree):
    tree = {"w": W, "powers": np.array([[1, 2]] * POINTS)}
    f = lambda c: c.function(lambda p: np.sum(np.sum(p["w"], axis=0) ** p["powers"]))  # noqa: E731
    found = agree(lambda c: f(c).grad(tree, batch=True))
    assert found["powers"] is None
    points = [{"w": W[k], "powers": tree["powers"][k]} for k in range(POINTS)]
    assert_close(found["w"], np.stack([agree(lambda c, p=p: f(c).grad(p))["w"] for p in points]))


def test_traced_by_a_single_point_or_by_the_batch_alike(client):
    first = client.function(loss, W[0], B[0])
    second = client.function(loss)
    assert_close(second.grad(W, B, batch=True), first.grad(W, B, batch=True))
    assert second.graph.digest == first.graph.digest


def test_vector_valued_functions(agree):
    f = lambda c: c.function(lambda b: {"square": b**2, "sum": np.sum(b)})  # noqa: E731
    found = agree(lambda c: f(c)(B, batch=True))
    assert_close(found, {"square": B**2, "sum": B.sum(axis=1)})
    u = {"square": np.ones_like(B), "sum": SCALE}
    _, pulled = agree(lambda c: f(c).vjp(B, cotangent=u, batch=True))
    assert_close(pulled, 2 * B + SCALE[:, None])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": ["c"]}, "batch names 'c'; given are w, b"),
        ({"reduction": "mean"}, "reduction='mean' is over the points of a batch, and there is none"),
        ({"batch": [], "reduction": "max"}, "no reduction 'max'; there are none, sum, mean"),
        ({"batch": ["b"], "wrt": ["d"]}, "wrt names 'd'"),
        ({"batch": 1}, "batch takes names of parameters, not 1"),
    ],
)
def test_options_that_do_not_fit(client, options, message):
    with pytest.raises(InvalidRequest, match=message):
        client.function(loss).value_and_grad(W[0], B[0], **options)


def test_points_that_do_not_fit(client):
    f = client.function(loss, W[0], B[0])
    with pytest.raises(InvalidRequest, match="different lengths: w: 7, b: 6"):
        f.grad(W, B[:6], batch=True)
    with pytest.raises(InvalidRequest, match="the first axis is for points"):
        f.grad(W[:0], B[:0], batch=True)
    with pytest.raises(InvalidRequest, match=r"scale carries the batch and has the shape \(\)"):
        f.grad(W[0], B[0], 1.0, batch=["scale"])


def test_a_forgotten_batch_is_hinted_at(client):
    f = client.function(loss, W[0], B[0])
    with pytest.raises(InvalidGraph, match="do not broadcast") as caught:
        f.grad(W, B)
    assert caught.value.__notes__ == ["w, b had one axis less before: is batch=True meant?"]


def test_whole_numbers_are_no_batch_by_themselves(client):
    """Whole numbers are not differentiated, so `batch=True` cannot mean them: it must not be silently ignored."""
    f = client.function(lambda x, y: np.sum(x * y), np.ones(2), np.ones(2))
    with pytest.raises(InvalidRequest, match="there are none; name those you mean"):
        f(np.ones((3, 2), int), np.ones((3, 2), int), batch=True)
    with pytest.raises(InvalidRequest, match="y is given in whole ones"):
        f(np.ones((3, 2)), np.ones(2, int), batch=True)
    assert_close(f(np.ones((3, 2), int), np.ones((3, 2), int), batch=["x", "y"]), np.full(3, 2.0))


def test_a_batch_of_many_chunks_has_the_bits_of_one_call(agree):
    """Wider than one chunk: results are gathered in order."""
    many = RNG.standard_normal((3000, 40))
    f = lambda c: c.function(lambda w: np.sum(np.exp(np.sin(np.outer(w, w)))))  # noqa: E731
    values, gradients = agree(lambda c: f(c).value_and_grad(many, batch=True))
    for k in (0, 1499, 2999):
        one = agree(lambda c, k=k: f(c).value_and_grad(many[k]))
        np.testing.assert_allclose(values[k], one[0], rtol=1e-13)
        np.testing.assert_allclose(gradients[k], one[1], rtol=1e-12, atol=1e-12)


def test_every_option_of_every_method_is_known_to_hints():
    """Of all that take arguments of the loss by name."""
    own = [method for name, method in inspect.getmembers(Function, callable) if not name.startswith("_")]
    methods = [Function.__call__, *own]
    methods += [method_of(name, print, print) for name in NAMES]
    taken = [inspect.signature(method).parameters.values() for method in methods]
    by_name = [each for each in taken if any(p.kind is p.VAR_KEYWORD for p in each)]
    assert {p.name for each in by_name for p in each if p.kind is p.KEYWORD_ONLY} == OPTIONS
