"""Whole models of JAX: value, gradient and H v are JAX's, here and from a service, to the same bits in both."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from gradserve.client.importers import from_jax
from tests import compiled
from tests.clients.bits import same_bits
from tests.clients.importers.against_jax import TOLERANCE, is_moved, recorded, tangents_of
from tests.clients.importers.jax_models import KEY, MODELS, mlp_with_dropout

SENT = ["MLP with dropout", "transformer block", "LSTM", "Kalman filter", "quantum circuit", "beamformer"]
SENT += ["selective states", "experts of few places", "weighted autoencoder", "diagonal states"]


@pytest.fixture(scope="module")
def theirs():
    return recorded("models")


def _answers(client, name):
    """Value, gradient and product, the latter two by leaf in JAX's order."""
    loss, given = MODELS[name]
    ours = client.load(from_jax(loss, *given))
    leaves, tree = jax.tree.flatten(given)
    moved = iter(tangents_of(x for x in leaves if is_moved(x)))
    parts = jax.tree.unflatten(tree, [next(moved) if is_moved(x) else x for x in leaves])
    names = [n for n, part in zip(ours.parameters, parts, strict=True) if n != "key"]
    tangent = dict(zip(names, parts, strict=False)) if len(names) > 1 else parts[0]
    value, gradient = ours.value_and_grad(*given)
    product = ours.hvp(*given, tangent=tangent)
    both = ([each[n] for n in names] if len(names) > 1 else each for each in (gradient, product))
    return value, *map(jax.tree.leaves, both)


def _agree(found, wanted):
    for mine, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, other, rtol=TOLERANCE, atol=TOLERANCE * max(1.0, np.abs(other).max()))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_imported(embedded, theirs, name):
    value, gradient, product = _answers(embedded, name)
    _agree([value], theirs[name].values)
    _agree(gradient, theirs[name].gradient)
    _agree(product, theirs[name].product)


@pytest.mark.parametrize("name", SENT)
def test_a_service_answers_the_same(embedded, remote, name):
    for here, there in zip(_answers(embedded, name), _answers(remote, name), strict=True):
        assert same_bits(here, there)


def by_many_keys(w, key):
    """What is drawn for each of several keys at once: made by a split, by numbers folded in, and of seeds."""
    keys = jax.random.split(key, 6).reshape(2, 3)
    of_each = jax.vmap(jax.vmap(lambda k: jax.random.normal(k, (4,)) @ w))(keys).sum()
    folded = jax.vmap(lambda k, n: jax.random.uniform(jax.random.fold_in(k, n)))(keys[0], np.arange(3)) @ w[:3]
    again = jax.vmap(lambda k: jax.random.bernoulli(jax.random.split(k)[1], 0.3, (4,)) @ w)(keys[1]).sum()
    return of_each * folded + again + jax.vmap(lambda n: jax.random.normal(jax.random.key(n)))(np.arange(4)) @ w


def test_keys_are_used_side_by_side(embedded):
    w, key = np.linspace(0.1, 1.0, 4), jax.random.key(3)
    value, gradient = embedded.load(from_jax(by_many_keys, w, key)).value_and_grad(
        w, np.asarray(jax.random.key_data(key)), wrt="w"
    )
    expected = compiled.value_and_grad(by_many_keys)(w, key)
    _agree([value, gradient], expected)


def test_a_key_is_data(embedded):
    """Another key drops other numbers out, and nothing is imported anew."""
    _, (layers, _) = MODELS["MLP with dropout"]
    ours = embedded.load(from_jax(mlp_with_dropout, layers, jax.random.key(42)))
    for seed in (42, 43):
        key = jax.random.key_data(jax.random.key(seed))
        expected = compiled.value_and_grad(mlp_with_dropout)(layers, key)
        value, gradient = ours.value_and_grad(layers, np.asarray(key))
        _agree([value], [expected[0]])
        _agree(jax.tree.leaves(gradient), jax.tree.leaves(expected[1]))
    assert ours(layers, KEY) != ours(layers, np.asarray(jax.random.key_data(jax.random.key(43))))
