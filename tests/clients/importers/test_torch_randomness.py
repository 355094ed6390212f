"""Random numbers of PyTorch's programs: drawn by a key, as JAX's threefry has them, and dropout's derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
from jax.extend.random import threefry_2x32

from gradserve.client import Client
from gradserve.client.importers import from_torch
from gradserve.ir.errors import Untraceable
from tests.clients.importers.torch_archives import BOOL, FLOAT, LONG, archive, node, of, one, program, tensor

SHAPE = (40, 30)
KEY = np.array([3, 0x9E3779B9], np.uint32)
SIZES = {"as_ints": list(SHAPE)}


def uniform(key: np.ndarray = KEY, draw: int = 1) -> np.ndarray:
    """The numbers that the draw of that number is made of, by JAX's threefry."""
    size = int(np.prod(SHAPE))
    counters = np.concatenate([np.full(size, draw), np.arange(size)]).astype(np.uint32)
    words = np.asarray(threefry_2x32(key, counters), np.uint64).reshape(2, size)
    made: np.ndarray = (((words[0] >> 6) * (1 << 26) + (words[1] >> 6) + 0.5) / 2.0**52).reshape(SHAPE)
    return made


def real(number: float) -> dict[str, float]:
    return {"as_float": number}


U = uniform()
DRAWN: dict[str, tuple[dict[str, Any], np.ndarray]] = {
    "rand": ({"size": SIZES}, U),
    "randn_like": ({"self": of("x")}, scipy.special.ndtri(U)),
    "uniform": ({"self": of("x"), "from": real(-1), "to": real(3)}, 4 * U - 1),
    "normal_functional": ({"self": of("x"), "mean": real(2), "std": real(3)}, 2 + 3 * scipy.special.ndtri(U)),
    "normal.float_float": ({"mean": real(2), "std": real(3), "size": SIZES}, 2 + 3 * scipy.special.ndtri(U)),
    "exponential": ({"self": of("x"), "lambd": real(2)}, -np.log(U) / 2),
    "bernoulli": ({"self": of("x")}, (U < 0.25).astype(float)),
    "normal.Tensor_Tensor": ({"mean": of("x"), "std": of("x")}, 0.25 + 0.25 * scipy.special.ndtri(U)),
    "normal.Tensor_float": ({"mean": of("x"), "std": real(2)}, 0.25 + 2 * scipy.special.ndtri(U)),
    "normal.float_Tensor": ({"mean": real(2), "std": of("x")}, 2 + 0.25 * scipy.special.ndtri(U)),
    "log_normal": ({"self": of("x"), "mean": real(1), "std": real(0.5)}, np.exp(1 + 0.5 * scipy.special.ndtri(U))),
    "cauchy": ({"self": of("x"), "median": real(1), "sigma": real(2)}, scipy.stats.cauchy.ppf(U, 1, 2)),
    "geometric": ({"self": of("x"), "p": real(0.3)}, scipy.stats.geom.isf(U, 0.3)),
    "poisson": ({"self": of("x")}, scipy.stats.poisson.ppf(U, 0.25)),
    "randint.low": ({"low": {"as_int": 2}, "high": {"as_int": 7}, "size": SIZES}, 2 + np.floor(5 * U)),
}


def test_moments_that_are_not_told_are_standard(embedded: Client):
    function = embedded.load(
        from_torch(one("aten.normal_functional.default", {"self": of("x")}, tensor(SHAPE), x=tensor(SHAPE)))
    )
    np.testing.assert_allclose(function(np.ones(SHAPE), KEY), scipy.special.ndtri(U), rtol=1e-13)


@pytest.mark.parametrize("name", DRAWN)
def test_numbers_are_drawn_by_the_key(client: Client, name: str):
    told, expected = DRAWN[name]
    operator = name if "." in name else f"{name}.default"
    data = one(f"aten.{operator}", told, tensor(SHAPE), x=tensor(SHAPE))
    function = client.load(from_torch(data))
    assert function.parameters == ("x", "random_key")
    np.testing.assert_allclose(function(np.full(SHAPE, 0.25), KEY), expected, rtol=1e-13, atol=1e-15)


def test_numbers_of_32_bits_are_exact_and_within_their_bounds(embedded: Client):
    function = embedded.load(from_torch(one("aten.rand.default", {"size": SIZES}, tensor(SHAPE, FLOAT))))
    found = function(np.zeros((2, 3)), KEY)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.astype(float), (np.floor(U * 2.0**23) + 0.5) / 2.0**23)


@pytest.mark.parametrize("rate", [0.0, 1e-9, 3.7, 250.0, 1e6])
def test_counts_of_any_rate_have_their_distribution(embedded: Client, rate: float):
    function = embedded.load(from_torch(one("aten.poisson.default", {"self": of("x")}, tensor(SHAPE), x=tensor(SHAPE))))
    found = function(np.full(SHAPE, rate), KEY)
    np.testing.assert_array_equal(found, scipy.stats.poisson.ppf(U, rate) if rate else np.zeros(SHAPE))
    np.testing.assert_array_equal(function.vjp(np.full(SHAPE, rate), KEY, cotangent=U, wrt="x")[1], 0.0)


@pytest.mark.parametrize(("trials", "chance"), [(0, 0.3), (1, 0.9), (12, 0.25), (1000, 0.02), (5, 0.0), (5, 1.0)])
def test_how_many_trials_succeed_has_its_distribution(embedded: Client, trials: int, chance: float):
    told = {"count": of("x"), "prob": of("p")}
    data = one("aten.binomial.default", told, tensor(SHAPE), x=tensor(SHAPE), p=tensor(SHAPE))
    found = embedded.load(from_torch(data))(np.full(SHAPE, float(trials)), np.full(SHAPE, chance), KEY)
    np.testing.assert_array_equal(found, scipy.stats.binom.ppf(U, trials, chance))


def log_gamma(shape: np.ndarray) -> np.ndarray:
    """Of one more than the shape by the first draw, times a power of the second."""
    logarithms: np.ndarray = np.log(scipy.special.gammaincinv(shape + 1, U)) + np.log(uniform(draw=2)) / shape
    return logarithms


SHAPES = np.geomspace(0.05, 80.0, SHAPE[0] * SHAPE[1]).reshape(SHAPE)


def test_gamma_numbers_and_shares_move_with_their_shapes(client: Client):
    def shares(shape: np.ndarray) -> np.ndarray:
        return scipy.special.softmax(log_gamma(shape), axis=-1)

    rng, step = np.random.default_rng(6), 1e-6
    for operator, expected in (("_standard_gamma", lambda a: np.exp(log_gamma(a))), ("_sample_dirichlet", shares)):
        data = one(f"aten.{operator}.default", {"self": of("x")}, tensor(SHAPE), x=tensor(SHAPE))
        function, along = client.load(from_torch(data)), SHAPES * rng.uniform(-1, 1, SHAPE)
        np.testing.assert_allclose(function(SHAPES, KEY), expected(SHAPES), rtol=1e-11, atol=1e-300)
        moved = function.jvp(SHAPES, KEY, tangent=along, wrt="x")[1]
        by_steps = (expected(SHAPES + step * along) - expected(SHAPES - step * along)) / (2 * step)
        np.testing.assert_allclose(moved, by_steps, rtol=1e-6, atol=1e-8)


def test_gamma_numbers_have_their_distribution(embedded: Client):
    for shape in (0.3, 4.0):
        data = one("aten._standard_gamma.default", {"self": of("x")}, tensor(SHAPE), x=tensor(SHAPE))
        drawn = embedded.load(from_torch(data))(np.full(SHAPE, shape), KEY)
        assert scipy.stats.kstest(drawn.ravel(), scipy.stats.gamma(shape).cdf).pvalue > 0.01


def test_categories_are_drawn_as_often_as_their_weights_say(embedded: Client):
    weights = np.array([0.0, 2.0, 1.0, 0.0, 5.0, 0.0])
    sized = {"self": of("x"), "num_samples": {"as_int": 1200}, "replacement": {"as_bool": True}}
    again = embedded.load(from_torch(one("aten.multinomial.default", sized, tensor((1200,), LONG), x=tensor((6,)))))
    np.testing.assert_array_equal(again(weights, KEY), np.searchsorted(np.cumsum(weights), 8 * U.ravel(), "right"))
    rows = {"self": of("x"), "num_samples": {"as_int": 3}, "replacement": {"as_bool": False}}
    data = one("aten.multinomial.default", rows, tensor((SHAPE[0], 3), LONG), x=tensor(SHAPE))
    table = np.random.default_rng(3).uniform(0.0, 1.0, SHAPE)
    table[:, :4] = 0.0
    with np.errstate(divide="ignore"):
        races = np.where(table > 0, np.log(U) / table, -np.inf)
    np.testing.assert_array_equal(embedded.load(from_torch(data))(table, KEY), np.argsort(-races, axis=1)[:, :3])


def test_a_permutation_is_drawn_by_the_key(embedded: Client):
    function = embedded.load(from_torch(one("aten.randperm.default", {"n": {"as_int": 30}}, tensor((30,), LONG))))
    np.testing.assert_array_equal(function(np.zeros((2, 3)), KEY), np.argsort(U[0]))


def dropout(shares: list[float]) -> bytes:
    """One dropout after the other, of these shares of elements."""
    names = ["x", *(f"y{k}" for k in range(len(shares)))]
    nodes = [
        node("aten.native_dropout.default", {"input": of(a), "p": real(p), "train": {"as_bool": True}}, [b, f"{b}m"])
        for a, b, p in zip(names, names[1:], shares, strict=False)
    ]
    values = dict.fromkeys(names, tensor(SHAPE)) | {f"{name}m": tensor(SHAPE, BOOL) for name in names[1:]}
    return archive(program(nodes, values, ["x"], [names[-1]]))


def test_dropout_and_its_derivative_have_one_mask(client: Client):
    function, x = client.load(from_torch(dropout([0.3, 0.6]))), np.random.default_rng(4).normal(size=SHAPE)
    kept = (uniform(draw=1) >= 0.3) & (uniform(draw=2) >= 0.6)
    factor = kept / (0.7 * 0.4)
    np.testing.assert_allclose(function(x, KEY), factor * x, rtol=1e-14)
    pulled = function.vjp(x, KEY, cotangent=np.ones(SHAPE), wrt="x")[1]
    np.testing.assert_allclose(pulled, factor, rtol=1e-14)
    assert 0.2 < np.mean(kept) < 0.36
    other = np.array([4, 5], np.uint32)
    np.testing.assert_array_equal(
        np.asarray(function(x, other)) != 0, (uniform(other) >= 0.3) & (uniform(other, 2) >= 0.6)
    )


def test_points_of_a_batch_have_masks_of_their_own(embedded: Client):
    function, keys = embedded.load(from_torch(dropout([0.5]))), np.array([[1, 2], [3, 4]], np.uint32)
    made = function(np.ones((2, *SHAPE)), keys, batch=("x", "random_key"))
    for row, key in zip(made, keys, strict=True):
        np.testing.assert_array_equal(row, 2.0 * (uniform(key) >= 0.5))


def test_a_key_is_asked_for(embedded: Client):
    function = embedded.load(from_torch(dropout([0.5])))
    with pytest.raises(TypeError, match="missing a required argument: 'random_key'"):
        function(np.ones(SHAPE))


def test_draws_within_a_choice_are_refused():
    inner = node("aten.rand.default", {"size": SIZES}, ["z"])
    branch = {
        "as_graph": {
            "name": "b",
            "graph": {"inputs": [], "outputs": [of("z")], "nodes": [inner], "tensor_values": {"z": tensor(SHAPE)}},
        }
    }
    told = {"pred": of("x"), "true_fn": branch, "false_fn": branch, "operands": {"as_tensors": []}}
    outer = node("aten.rand.default", {"size": SIZES}, ["w"])
    call = node("higher_order.cond", told, ["y"])
    values = {"x": tensor((), BOOL), "w": tensor(SHAPE), "y": tensor(SHAPE)}
    with pytest.raises(Untraceable, match="drawn within a loop or a choice; give the random numbers as an argument"):
        from_torch(archive(program([outer, call], values, ["x"], ["y"])))
