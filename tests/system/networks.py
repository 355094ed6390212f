"""Losses that people train with, each written once for whichever library stands behind a toolbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradserve.client import functions


@dataclass(frozen=True)
class Toolbox:
    """NumPy's functions, and those that a library has beside them."""

    np: Any
    convolution: Callable[..., Any]
    max_pool: Callable[..., Any]
    scan: Callable[..., Any]


def _jax_convolution(x: Any, kernel: Any, strides: int, padding: str) -> Any:
    return lax.conv_general_dilated(x, kernel, (strides, strides), padding.upper())


def _jax_max_pool(x: Any, sizes: tuple[int, int]) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, *sizes), (1, 1, *sizes), "VALID")


OURS = Toolbox(np, functions.convolution, functions.max_pool, functions.scan)
JAX = Toolbox(jnp, _jax_convolution, _jax_max_pool, jax.lax.scan)


@dataclass(frozen=True)
class Network:
    """A loss `loss(toolbox, parameters)` and a point."""

    name: str
    loss: Callable[[Toolbox, Any], Any]
    parameters: Any


def _cross_entropy(xp: Any, scores: Any, labels: Any) -> Any:
    """The mean over all but the last axis."""
    top = xp.max(scores, axis=-1, keepdims=True)
    log_total = xp.log(xp.sum(xp.exp(scores - top), axis=-1)) + top[..., 0]
    chosen = xp.take_along_axis(scores, labels[..., None], axis=-1)[..., 0]
    return xp.mean(log_total - chosen)


def logistic_regression() -> Network:
    rng = np.random.default_rng(1)
    data, labels = rng.standard_normal((500, 40)), rng.integers(0, 2, 500).astype(float)

    def loss(box: Toolbox, p: Any) -> Any:
        z = data @ p["weights"] + p["offset"]
        return box.np.mean(box.np.logaddexp(0.0, z) - labels * z) + 1e-3 * box.np.sum(p["weights"] ** 2)

    return Network("logistic regression", loss, {"weights": rng.standard_normal(40), "offset": np.array(0.1)})


def multidimensional_scaling() -> Network:
    rng = np.random.default_rng(2)
    n = 60
    wanted = np.abs(rng.standard_normal((n, n)))
    wanted = wanted + wanted.T
    rows, columns = np.triu_indices(n, 1)

    def loss(box: Toolbox, w: Any) -> Any:
        difference = w[rows] - w[columns]
        distance = box.np.sqrt(box.np.sum(difference**2, axis=1))
        return box.np.sum((distance - wanted[rows, columns]) ** 2)

    return Network("multidimensional scaling", loss, rng.standard_normal((n, 3)))


def convolutional() -> Network:
    rng = np.random.default_rng(3)
    images, labels = rng.standard_normal((6, 1, 12, 12)), rng.integers(0, 5, 6)

    def layer(box: Toolbox, x: Any, p: Any, strides: int) -> Any:
        z = box.convolution(x, p["kernel"], strides, "same") + p["offset"][:, None, None]
        return box.np.maximum(z, 0.0)

    def loss(box: Toolbox, p: Any) -> Any:
        x = layer(box, images, p["layers"][0], 1)
        x = box.max_pool(x, (2, 2))
        x = layer(box, x, p["layers"][1], 2)
        return _cross_entropy(box.np, box.np.reshape(x, (6, -1)) @ p["dense"], labels)

    def kernel(results: int, channels: int) -> Any:
        return {"kernel": 0.4 * rng.standard_normal((results, channels, 3, 3)), "offset": rng.standard_normal(results)}

    dense = 0.3 * rng.standard_normal((6 * 3 * 3, 5))
    return Network("convolutional net", loss, {"layers": [kernel(4, 1), kernel(6, 4)], "dense": dense})


def transformer(heads: int = 4, length: int = 16, width: int = 32, words: int = 50) -> Network:
    """A block of GPT-2 between an embedding and its transpose (Radford et al. 2019)."""
    rng = np.random.default_rng(4)
    tokens = rng.integers(0, words, (3, length + 1))
    before = np.tril(np.ones((length, length), bool))

    def normalized(xp: Any, x: Any, p: Any) -> Any:
        mean = xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean((x - mean) ** 2, axis=-1, keepdims=True)
        return (x - mean) / xp.sqrt(variance + 1e-5) * p["scale"] + p["offset"]

    def attention(xp: Any, x: Any, p: Any) -> Any:
        parts = xp.split(x @ p["in"], 3, axis=-1)
        q, k, v = (xp.transpose(xp.reshape(z, (*z.shape[:-1], heads, -1)), (0, 2, 1, 3)) for z in parts)
        scores = q @ xp.swapaxes(k, -1, -2) / np.sqrt(width / heads)
        scores = xp.where(before, scores, -1e30)
        shares = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
        shares = shares / xp.sum(shares, axis=-1, keepdims=True)
        return xp.reshape(xp.transpose(shares @ v, (0, 2, 1, 3)), x.shape) @ p["out"]

    def gelu(xp: Any, x: Any) -> Any:
        return 0.5 * x * (1.0 + xp.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))

    def loss(box: Toolbox, p: Any) -> Any:
        xp = box.np
        x = p["words"][tokens[:, :-1]] + p["places"]
        x = x + attention(xp, normalized(xp, x, p["norm1"]), p["attention"])
        x = x + gelu(xp, normalized(xp, x, p["norm2"]) @ p["wide"]) @ p["narrow"]
        return _cross_entropy(xp, normalized(xp, x, p["norm3"]) @ xp.transpose(p["words"]), tokens[:, 1:])

    def matrix(*shape: int) -> Any:
        return rng.standard_normal(shape) / np.sqrt(shape[0])

    def norm() -> Any:
        return {"scale": 1.0 + 0.1 * rng.standard_normal(width), "offset": 0.1 * rng.standard_normal(width)}

    parameters = {
        "words": 0.3 * rng.standard_normal((words, width)),
        "places": 0.3 * rng.standard_normal((length, width)),
        "attention": {"in": matrix(width, 3 * width), "out": matrix(width, width)},
        "wide": matrix(width, 4 * width),
        "narrow": matrix(4 * width, width),
        **{name: norm() for name in ("norm1", "norm2", "norm3")},
    }
    return Network("GPT-2 block", loss, parameters)


def lstm(main: Any, extra: Any, state: Any, sequence: Any) -> Network:
    """ADBench's character-level LSTM: weights act element by element (Srajer, Kukelova, Fitzgibbon 2018)."""

    def cell(xp: Any, weight: Any, offset: Any, hidden: Any, memory: Any, x: Any) -> tuple[Any, Any]:
        def sigmoid(z: Any) -> Any:
            return 1.0 / (1.0 + xp.exp(-z))

        w, b = xp.reshape(weight, (4, -1)), xp.reshape(offset, (4, -1))
        forget, enter = sigmoid(x * w[0] + b[0]), sigmoid(hidden * w[1] + b[1])
        leave, change = sigmoid(x * w[2] + b[2]), xp.tanh(hidden * w[3] + b[3])
        memory = memory * forget + enter * change
        return leave * xp.tanh(memory), memory

    def loss(box: Toolbox, p: Any) -> Any:
        xp = box.np
        main, extra = p["main"], p["extra"]

        def step(carried: Any, pair: Any) -> tuple[Any, Any]:
            x, following = pair
            x = x * extra[0]
            new = []
            for layer in range(len(state) // 2):
                hidden, memory = carried[layer]
                x, memory = cell(xp, main[2 * layer], main[2 * layer + 1], hidden, memory, x)
                new.append((x, memory))
            scores = x * extra[1] + extra[2]
            # The benchmark adds 2 to the sum.
            return tuple(new), xp.sum(following * (scores - xp.log(xp.sum(xp.exp(scores)) + 2.0)))

        first = tuple((state[2 * k], state[2 * k + 1]) for k in range(len(state) // 2))
        _, gains = box.scan(step, first, (sequence[:-1], sequence[1:]))
        return -xp.sum(gains) / gains.shape[0] / sequence.shape[1]

    return Network("ADBench LSTM", loss, {"main": main, "extra": extra})


NETWORKS = [logistic_regression(), multidimensional_scaling(), convolutional(), transformer()]
