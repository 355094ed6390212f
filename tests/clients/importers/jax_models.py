"""Whole models written in JAX, as its users write them: losses of trees of parameters, with data captured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

from tests.clients.importers.jax_complex_models import COMPLEX_MODELS
from tests.clients.importers.jax_network_models import NETWORK_MODELS

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(17)


def normal(*shape: int, scale: float = 0.4) -> Any:
    """Numbers for weights and data."""
    return scale * RNG.standard_normal(shape)


X, T = normal(8, 4, scale=1.0), np.sin(np.arange(8.0))
LABELS = np.arange(8) % 3
IMAGES = normal(2, 8, 8, 3, scale=1.0)
SEQUENCE = normal(6, 4, scale=1.0)
TOKENS = np.array([3, 1, 4, 1, 5, 0])
COUNTS = np.array([2, 0, 3, 1, 5, 1, 0, 2])
KEY = np.array([0, 42], np.uint32)


def linear_regression(w: Any) -> Any:
    return jnp.mean((X @ w["w"] + w["b"] - T) ** 2)


def ridge(w: Any, penalty: Any) -> Any:
    return jnp.sum((X @ w - T) ** 2) + penalty * jnp.linalg.norm(w) ** 2


def logistic_regression(w: Any) -> Any:
    return jnp.mean(nn.softplus(-(2.0 * (LABELS > 0) - 1) * (X @ w)))


def softmax_regression(w: Any) -> Any:
    return -jnp.mean(nn.log_softmax(X @ w)[jnp.arange(8), LABELS])


def poisson_regression(w: Any) -> Any:
    return -jnp.sum(jax.scipy.stats.poisson.logpmf(COUNTS, jnp.exp(X @ w)))


def robust_regression(w: Any) -> Any:
    r = X @ w - T
    return jnp.sum(jnp.where(jnp.abs(r) < 1.0, 0.5 * r**2, jnp.abs(r) - 0.5))


def mlp(layers: Any) -> Any:
    h = X
    for layer in layers[:-1]:
        h = jnp.tanh(h @ layer["w"] + layer["b"])
    return jnp.mean((h @ layers[-1]["w"] + layers[-1]["b"] - T[:, None]) ** 2)


def mlp_with_dropout(layers: Any, key: Any) -> Any:
    h = nn.gelu(X @ layers[0]["w"] + layers[0]["b"])
    keep = jax.random.bernoulli(key, 0.7, h.shape)
    h = jnp.where(keep, h / 0.7, 0.0)
    return jnp.sum((h @ layers[1]["w"]) ** 2)


def autoencoder(w: Any) -> Any:
    code = nn.sigmoid(X @ w["in"])
    return jnp.sum(optax_like_huber(code @ w["in"].T + w["out"] - X))


def optax_like_huber(r: Any) -> Any:
    clipped = jnp.clip(r, -1.0, 1.0)
    return clipped * (r - 0.5 * clipped)


def cnn(w: Any) -> Any:
    axes = ("NHWC", "HWIO", "NHWC")
    h = nn.silu(lax.conv_general_dilated(IMAGES, w["k1"], (1, 1), "SAME", dimension_numbers=axes) + w["b1"])
    h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    h = nn.silu(lax.conv_general_dilated(h, w["k2"], (2, 2), "SAME", dimension_numbers=axes))
    return -jnp.mean(nn.log_softmax(h.mean((1, 2)) @ w["out"])[:, 1])


def batch_norm(h: Any) -> Any:
    return (h - h.mean((0, 1, 2))) / jnp.sqrt(h.var((0, 1, 2)) + 1e-5)


def resnet_block(w: Any) -> Any:
    axes = ("NHWC", "HWIO", "NHWC")

    def conv(h: Any, k: Any) -> Any:
        return lax.conv_general_dilated(h, k, (1, 1), "SAME", dimension_numbers=axes)

    h = nn.softplus(batch_norm(conv(IMAGES, w["k1"])))
    h = batch_norm(conv(h, w["k2"])) + IMAGES
    return jnp.mean(nn.softplus(h) ** 2)


def depthwise_cnn(w: Any) -> Any:
    h = lax.conv_general_dilated(
        IMAGES, w["k"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=3
    )
    pooled = lax.reduce_window(h, 0.0, lax.add, (1, 3, 3, 1), (1, 3, 3, 1), "VALID") / 9.0
    return jnp.sum(jnp.tanh(pooled) * w["scale"])


def deconvolution(w: Any) -> Any:
    up = lax.conv_transpose(IMAGES, w, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jnp.mean(jnp.sin(up))


def layer_norm(x: Any, gain: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-6) * gain


def transformer_block(w: Any) -> Any:
    h = w["embedding"][TOKENS] + w["positions"]
    z = layer_norm(h, w["gain"])
    q, k, v = jnp.split((z @ w["qkv"]).reshape(6, 2, 6), 3, axis=-1)
    scores = jnp.einsum("qhd,khd->hqk", q, k) / jnp.sqrt(2.0)
    weights = nn.softmax(jnp.where(jnp.tril(jnp.ones((6, 6), bool)), scores, -jnp.inf), axis=-1)
    h = h + jnp.einsum("hqk,khd->qhd", weights, v).reshape(6, 4)
    h = h + nn.gelu(layer_norm(h, w["gain"]) @ w["up"]) @ w["down"]
    logits = h @ w["embedding"].T
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(logits[:-1]), TOKENS[1:, None], axis=1))


def rnn(w: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = jnp.tanh(w["h"] @ h + w["x"] @ x)
        return h, h @ w["out"]

    return jnp.sum(lax.scan(step, jnp.zeros(3), SEQUENCE)[1] ** 2)


def lstm(w: Any) -> Any:
    def step(state: Any, x: Any) -> Any:
        h, c = state
        i, f, o, g = jnp.split(w["x"] @ x + w["h"] @ h + w["b"], 4)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        h = nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h.sum()

    (h, _), sums = lax.scan(step, (jnp.zeros(3), jnp.zeros(3)), SEQUENCE)
    return jnp.sum(sums**2) + h @ h


def gru_backwards(w: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        z, r = nn.sigmoid(w["z"] @ x + h), nn.sigmoid(w["r"] @ x - h)
        return (1 - z) * h + z * jnp.tanh(w["n"] @ x + r * h), None

    return jnp.sum(lax.scan(step, jnp.zeros(3), SEQUENCE, reverse=True)[0] ** 3)


def ode_by_runge_kutta(p: Any) -> Any:
    def field(y: Any) -> Any:
        return jnp.array([p[0] * y[0] - p[1] * y[0] * y[1], p[2] * y[0] * y[1] - p[3] * y[1]])

    def step(_: Any, y: Any) -> Any:
        a = field(y)
        b = field(y + 0.05 * a)
        c = field(y + 0.05 * b)
        return y + 0.1 / 6 * (a + 2 * b + 2 * c + field(y + 0.1 * c))

    return jnp.sum(lax.fori_loop(0, 12, step, jnp.array([1.0, 0.7])) ** 2)


def gaussian_process(p: Any) -> Any:
    d = ((X[:, None] - X[None]) ** 2 * jnp.exp(p["scales"])).sum(-1)
    k = jnp.exp(p["height"]) * jnp.exp(-0.5 * d) + jnp.exp(p["noise"]) * jnp.eye(8)
    factor = jnp.linalg.cholesky(k)
    a = jax.scipy.linalg.solve_triangular(factor, T, lower=True)
    return 0.5 * a @ a + jnp.sum(jnp.log(jnp.diag(factor)))


def gaussian_process_by_solve(p: Any) -> Any:
    d = jnp.abs(X[:, None] - X[None]).sum(-1) + 1e-3
    k = (1 + d * jnp.exp(p)) * jnp.exp(-d * jnp.exp(p)) + 0.1 * jnp.eye(8)
    return 0.5 * T @ jnp.linalg.solve(k, T) + 0.5 * jnp.linalg.slogdet(k)[1]


def gaussian_mixture(p: Any) -> Any:
    def of_component(logit: Any, mean: Any, scale: Any) -> Any:
        return logit + jax.scipy.stats.norm.logpdf(X, mean, jnp.exp(scale)).sum(-1)

    parts = jax.vmap(of_component)(nn.log_softmax(p["logits"]), p["means"], p["scales"])
    return -jnp.mean(jax.scipy.special.logsumexp(parts, axis=0))


def full_gaussian_mixture(p: Any) -> Any:
    def of_component(mean: Any, root: Any) -> Any:
        precision = jnp.tril(root, -1) + jnp.diag(jnp.exp(jnp.diag(root)))
        return -0.5 * jnp.sum(((X - mean) @ precision.T) ** 2, -1) + jnp.trace(root)

    return -jnp.sum(jax.scipy.special.logsumexp(jax.vmap(of_component)(p["means"], p["roots"]), axis=0))


def normalising_flow(p: Any) -> Any:
    z, log_volume = X, jnp.zeros(())
    for layer in p:
        first, second = z[:, :2], z[:, 2:]
        scale = jnp.tanh(first @ layer["s"])
        z = jnp.concatenate([second * jnp.exp(scale) + first @ layer["t"], first], axis=1)
        log_volume = log_volume + scale.sum()
    return 0.5 * jnp.sum(z**2) - log_volume


def planar_flow(p: Any) -> Any:
    z, total = X, jnp.zeros(())
    for u, w, b in zip(p["u"], p["w"], p["b"], strict=True):
        h = jnp.tanh(z @ w + b)
        total = total + jnp.sum(jnp.log(jnp.abs(1 + (1 - h**2) * (u @ w))))
        z = z + h[:, None] * u
    return 0.5 * jnp.sum(z**2) - total


def hidden_markov_model(p: Any) -> Any:
    transitions, emissions = nn.log_softmax(p["transitions"]), nn.log_softmax(p["emissions"])

    def step(alpha: Any, y: Any) -> Any:
        return jax.scipy.special.logsumexp(alpha[:, None] + transitions, axis=0) + emissions[:, y], None

    start = nn.log_softmax(p["start"]) + emissions[:, TOKENS[0]]
    return -jax.scipy.special.logsumexp(lax.scan(step, start, TOKENS[1:])[0])


def kalman_filter(p: Any) -> Any:
    a, q = jnp.eye(2) + 0.1 * p["a"], jnp.exp(p["q"]) * jnp.eye(2)
    c = jnp.array([[1.0, 0.3]])

    def step(state: Any, y: Any) -> Any:
        m, v = state
        m, v = a @ m, a @ v @ a.T + q
        s = c @ v @ c.T + jnp.exp(p["r"])
        gain = jnp.linalg.solve(s, c @ v).T
        e = y - c @ m
        return (m + gain @ e, v - gain @ c @ v), 0.5 * (e @ jnp.linalg.inv(s) @ e + jnp.log(jnp.linalg.det(s)))

    return lax.scan(step, (jnp.zeros(2), jnp.eye(2)), T[:, None])[1].sum()


def variational_autoencoder(w: Any, key: Any) -> Any:
    mean, log_scale = jnp.split(jnp.tanh(X @ w["in"]), 2, axis=1)
    z = mean + jnp.exp(log_scale) * jax.random.normal(key, mean.shape)
    loss = jnp.sum((z @ w["out"] - X) ** 2)
    return loss + 0.5 * jnp.sum(mean**2 + jnp.exp(2 * log_scale) - 2 * log_scale - 1)


def contrastive(w: Any) -> Any:
    z = X @ w
    z = z / jnp.linalg.norm(z, axis=1, keepdims=True)
    scores = z @ z.T / 0.5 - 1e9 * jnp.eye(8)
    return -jnp.mean(jnp.diag(nn.log_softmax(scores), 1))


def mixture_of_experts(w: Any) -> Any:
    gates, chosen = lax.top_k(X @ w["gate"], 2)
    outputs = jnp.einsum("nd,edk->nek", X, w["experts"])
    picked = jnp.take_along_axis(outputs, chosen[..., None], axis=1)
    return jnp.sum((nn.softmax(gates)[..., None] * picked).sum(1) ** 2)


def graph_network(w: Any) -> Any:
    senders, receivers = np.array([0, 1, 2, 3, 4, 5, 0]), np.array([1, 2, 0, 4, 3, 0, 5])
    messages = jnp.tanh(X[senders] @ w["message"])
    gathered = jax.ops.segment_sum(messages, receivers, 8)
    return jnp.sum((X @ w["own"] + gathered) ** 2)


def black_scholes(p: Any) -> Any:
    spot, volatility, rate = p
    strikes = jnp.linspace(0.8, 1.2, 5)
    d = (jnp.log(spot / strikes) + rate + 0.5 * volatility**2) / volatility
    cdf = jax.scipy.stats.norm.cdf
    return jnp.sum(spot * cdf(d) - strikes * jnp.exp(-rate) * cdf(d - volatility))


def implicit_fixed_point(p: Any) -> Any:
    """The x with x = cos(p x), by Newton's method: JAX differentiates it by the theorem of implicit functions."""
    return lax.custom_root(lambda x: x - jnp.cos(p * x), 0.7 * p, _newton, lambda g, y: y / g(1.0))


def _newton(f: Any, x: Any) -> Any:
    return lax.fori_loop(0, 8, lambda _, y: y - f(y) / jax.jvp(f, (y,), (jnp.ones_like(y),))[1], x)


def neural_field(w: Any) -> Any:
    """A loss that has a gradient in it, as physics-informed networks do."""

    def u(x: Any) -> Any:
        return jnp.sum(w["out"] * jnp.tanh(w["in"] * x + w["b"]))

    points = jnp.linspace(0.0, 1.0, 5)
    residual = jax.vmap(lambda x: jax.grad(jax.grad(u))(x) + u(x))(points)
    return jnp.mean(residual**2) + u(0.0) ** 2


def attention_with_rotary_positions(w: Any) -> Any:
    angles = jnp.arange(6.0)[:, None] * jnp.array([1.0, 0.1])

    def turned(x: Any) -> Any:
        a, b = x[:, ::2], x[:, 1::2]
        pair = (a * jnp.cos(angles) - b * jnp.sin(angles), a * jnp.sin(angles) + b * jnp.cos(angles))
        return jnp.stack(pair, axis=-1).reshape(6, 4)

    q, k = turned(SEQUENCE @ w["q"]), turned(SEQUENCE @ w["k"])
    return jnp.sum(nn.softmax(q @ k.T / 2.0) @ SEQUENCE * w["v"])


def survival(p: Any) -> Any:
    times, seen = 0.5 + np.abs(T), LABELS > 0
    shape, scale = jnp.exp(p[0]), jnp.exp(X @ p[1])
    hazard = (times / scale) ** shape
    return jnp.sum(hazard) - jnp.sum(jnp.where(seen, jnp.log(shape / scale) + (shape - 1) * jnp.log(times / scale), 0))


def dirichlet(p: Any) -> Any:
    shares = nn.softmax(X[:, :3])
    return -jnp.sum(jax.vmap(lambda s: jax.scipy.stats.dirichlet.logpdf(s / s.sum(), jnp.exp(p)))(shares))


Model = tuple[Callable[..., Any], tuple[Any, ...]]
_LAYERS = [{"w": normal(4, 5), "b": normal(5)}, {"w": normal(5, 1), "b": normal(1)}]
MODELS: Mapping[str, Model] = {
    **COMPLEX_MODELS,
    **NETWORK_MODELS,
    "linear regression": (linear_regression, ({"w": normal(4), "b": np.array(0.1)},)),
    "ridge": (ridge, (normal(4), 0.3)),
    "logistic regression": (logistic_regression, (normal(4),)),
    "softmax regression": (softmax_regression, (normal(4, 3),)),
    "Poisson regression": (poisson_regression, (normal(4),)),
    "robust regression": (robust_regression, (normal(4, scale=1.5),)),
    "MLP": (mlp, (_LAYERS,)),
    "MLP with dropout": (mlp_with_dropout, (_LAYERS, KEY)),
    "autoencoder": (autoencoder, ({"in": normal(4, 2), "out": normal(4)},)),
    "CNN": (cnn, ({"k1": normal(3, 3, 3, 4), "b1": normal(4), "k2": normal(3, 3, 4, 5), "out": normal(5, 3)},)),
    "ResNet block": (resnet_block, ({"k1": normal(3, 3, 3, 4), "k2": normal(3, 3, 4, 3)},)),
    "depthwise CNN": (depthwise_cnn, ({"k": normal(2, 3, 1, 6), "scale": normal(6)},)),
    "deconvolution": (deconvolution, (normal(3, 3, 3, 2),)),
    "transformer block": (
        transformer_block,
        (
            {
                **{"embedding": normal(7, 4), "positions": normal(6, 4), "gain": 1 + normal(4), "qkv": normal(4, 12)},
                **{"up": normal(4, 8), "down": normal(8, 4)},
            },
        ),
    ),
    "RNN": (rnn, ({"h": normal(3, 3), "x": normal(3, 4), "out": normal(3)},)),
    "LSTM": (lstm, ({"x": normal(12, 4), "h": normal(12, 3), "b": normal(12)},)),
    "GRU backwards": (gru_backwards, ({"z": normal(3, 4), "r": normal(3, 4), "n": normal(3, 4)},)),
    "ODE by Runge and Kutta": (ode_by_runge_kutta, (np.array([1.1, 0.4, 0.3, 0.9]),)),
    "Gaussian process": (gaussian_process, ({"scales": normal(4), "height": np.array(0.2), "noise": np.array(-1.0)},)),
    "Gaussian process by solve": (gaussian_process_by_solve, (np.array(-0.3),)),
    "Gaussian mixture": (gaussian_mixture, ({"logits": normal(3), "means": normal(3, 4), "scales": normal(3, 4)},)),
    "full Gaussian mixture": (full_gaussian_mixture, ({"means": normal(2, 4), "roots": normal(2, 4, 4)},)),
    "normalising flow": (normalising_flow, ([{"s": normal(2, 2), "t": normal(2, 2)} for _ in range(3)],)),
    "planar flow": (planar_flow, ({"u": normal(2, 4), "w": normal(2, 4), "b": normal(2)},)),
    "HMM": (hidden_markov_model, ({"start": normal(3), "transitions": normal(3, 3), "emissions": normal(3, 6)},)),
    "Kalman filter": (kalman_filter, ({"a": normal(2, 2), "q": np.array(-1.0), "r": np.array(-0.5)},)),
    "VAE": (variational_autoencoder, ({"in": normal(4, 4), "out": normal(2, 4)}, KEY)),
    "contrastive": (contrastive, (normal(4, 3, scale=1.0),)),
    "mixture of experts": (mixture_of_experts, ({"gate": normal(4, 4), "experts": normal(4, 4, 2)},)),
    "graph network": (graph_network, ({"message": normal(4, 3), "own": normal(4, 3)},)),
    "Black-Scholes": (black_scholes, (np.array([1.05, 0.2, 0.03]),)),
    "implicit fixed point": (implicit_fixed_point, (np.array(0.8),)),
    "neural field": (neural_field, ({"in": normal(6, scale=1.0), "b": normal(6), "out": normal(6)},)),
    "rotary attention": (
        attention_with_rotary_positions,
        ({"q": normal(4, 4), "k": normal(4, 4), "v": normal(6, 4)},),
    ),
    "survival": (survival, ((np.array(0.2), normal(4)),)),
    "Dirichlet": (dirichlet, (normal(3),)),
}
