"""Whole models written in JAX, of newer kinds: sequences by associative scans, experts, flows by splines, others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(23)


def normal(*shape: int, scale: float = 0.4) -> Any:
    """Numbers for weights and data."""
    return scale * RNG.standard_normal(shape)


SEQUENCE = normal(7, 4, scale=1.0)
IMAGES = normal(2, 8, 8, 3, scale=1.0)
TOKENS = np.array([3, 1, 4, 1, 5, 0, 2])
TAGS = np.array([0, 1, 2, 1, 0, 0, 2])
KEY = np.array([0, 7], np.uint32)
SENDERS, RECEIVERS = np.array([0, 1, 2, 3, 4, 5, 0, 6]), np.array([1, 2, 0, 4, 3, 0, 5, 6])


def _scaled(x: Any, gain: Any) -> Any:
    return x * lax.rsqrt(jnp.mean(jnp.square(x), -1, keepdims=True) + 1e-6) * gain


def _turned(x: Any) -> Any:
    angles = jnp.outer(jnp.arange(7), 100.0 ** -(jnp.arange(0, 4, 2) / 4))[:, None]
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * jnp.cos(angles) - b * jnp.sin(angles), b * jnp.cos(angles) + a * jnp.sin(angles)], -1)


def decoder_of_layers(p: Any) -> Any:
    """Layers by a scan that keeps products alone, with rotary positions and gated units."""

    @functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.dots_saveable)
    def layer(x: Any, w: Any) -> Any:
        parts = jnp.split(_scaled(x, w["first"]) @ w["qkv"], 3, -1)
        q, k, v = (part.reshape(7, 2, 4) for part in parts)
        scores = jnp.einsum("qhd,khd->hqk", _turned(q), _turned(k)) / np.sqrt(4)
        scores = jnp.where(jnp.tril(jnp.ones((7, 7), bool)), scores, jnp.finfo(scores.dtype).min)
        x = x + jnp.einsum("hqk,khd->qhd", nn.softmax(scores, -1), v).reshape(7, 8) @ w["out"]
        y = _scaled(x, w["second"])
        return x + (nn.silu(y @ w["gate"]) * (y @ w["up"])) @ w["down"], None

    x, _ = lax.scan(layer, jnp.take(p["embedding"], TOKENS, axis=0), p["layers"])
    scores = nn.log_softmax(x[:-1] @ p["embedding"].T, -1)
    return -jnp.mean(scores[jnp.arange(6), TOKENS[1:]])


def experts_of_few_places(p: Any) -> Any:
    """Two of four experts for each token, each of which takes three; what is over is dropped."""
    shares = nn.softmax(SEQUENCE @ p["router"])
    gates, chosen = lax.top_k(shares, 2)
    hot = nn.one_hot(chosen, 4, dtype=jnp.int32)
    place = jnp.cumsum(hot.reshape(-1, 4), 0).reshape(7, 2, 4) * hot - 1
    kept = (place >= 0) & (place < 3)
    places = nn.one_hot(jnp.where(kept, place, -1), 3, dtype=SEQUENCE.dtype) * kept[..., None]
    combine = (gates[..., None, None] * places).sum(1)
    given = jnp.einsum("td,tec->ecd", SEQUENCE, (combine > 0).astype(SEQUENCE.dtype))
    made = jnp.einsum("ech,ehd->ecd", nn.relu(jnp.einsum("ecd,edh->ech", given, p["in"])) ** 2, p["out"])
    balance = 4 * jnp.sum(shares.mean(0) * hot[:, 0].mean(0))
    return jnp.sum(jnp.einsum("ecd,tec->td", made, combine) ** 2) + 0.01 * balance


def selective_states(p: Any) -> Any:
    """A state space whose steps depend on the input, by an associative scan behind a causal convolution."""
    u = jnp.pad(SEQUENCE @ p["in"], ((2, 0), (0, 0)))
    axes = ("NCH", "OIH", "NCH")
    kernels = p["kernels"][:, None]
    u = lax.conv_general_dilated(u.T[None], kernels, (1,), "VALID", feature_group_count=3, dimension_numbers=axes)
    u = nn.silu(u[0].T)
    step = nn.softplus(SEQUENCE @ p["step"])
    decay = jnp.exp(step[..., None] * -jnp.exp(p["a"]))
    fed = step[..., None] * (SEQUENCE @ p["b"])[:, None] * u[..., None]
    _, states = lax.associative_scan(lambda a, b: (b[0] * a[0], b[0] * a[1] + b[1]), (decay, fed), axis=0)
    return jnp.mean((jnp.einsum("tdn,tn->td", states, SEQUENCE @ p["c"]) + u * p["d"]) ** 2)


def diagonal_states(p: Any) -> Any:
    """A state space of complex rates as a long convolution by Fourier transforms."""
    rates, step = -jnp.exp(p["decay"]) + 1j * p["turn"], jnp.exp(p["step"])
    weights = (p["c"][:, 0] + 1j * p["c"][:, 1]) * (jnp.exp(rates * step) - 1) / rates
    kernel = 2 * jnp.real(weights @ jnp.exp(rates[:, None] * step * jnp.arange(16)))
    u = jnp.sin(jnp.arange(16.0))
    made = jnp.fft.irfft(jnp.fft.rfft(u, 32) * jnp.fft.rfft(kernel, 32), 32)[:16]
    return jnp.mean((made - jnp.cos(jnp.arange(16.0))) ** 2)


def spline_flow(p: Any) -> Any:
    """Each number by a rising spline of rational quadratics, whose piece is searched for."""

    def of_one(x: Any, w: Any, h: Any, d: Any) -> Any:
        w, h = nn.softmax(w) * 6, nn.softmax(h) * 6
        starts = jnp.concatenate([jnp.array([-3.0]), -3 + jnp.cumsum(w)])
        values = jnp.concatenate([jnp.array([-3.0]), -3 + jnp.cumsum(h)])
        slopes = jnp.concatenate([jnp.ones(1), nn.softplus(d), jnp.ones(1)])
        k = jnp.clip(jnp.searchsorted(starts, x) - 1, 0, 4)
        t, s = (x - starts[k]) / w[k], h[k] / w[k]
        below = s + (slopes[k + 1] + slopes[k] - 2 * s) * t * (1 - t)
        y = values[k] + h[k] * (s * t**2 + slopes[k] * t * (1 - t)) / below
        rise = s**2 * (slopes[k + 1] * t**2 + 2 * s * t * (1 - t) + slopes[k] * (1 - t) ** 2)
        inside = jnp.abs(x) < 3
        return jnp.where(inside, y, x), jnp.where(inside, jnp.log(rise) - 2 * jnp.log(below), 0.0)

    y, volume = jax.vmap(jax.vmap(of_one), (0, None, None, None))(SEQUENCE, p["w"], p["h"], p["d"])
    return jnp.sum(0.5 * y**2 - volume)


def sparse_gaussian_process(p: Any) -> Any:
    """The bound of a process by few points, which are parameters."""
    x, y = SEQUENCE[:, :2], np.sin(SEQUENCE[:, :2].sum(1))

    def kernel(a: Any, b: Any) -> Any:
        r = jnp.sqrt(jnp.sum(((a[:, None] - b[None]) / jnp.exp(p["scales"])) ** 2, -1) + 1e-12)
        return jnp.exp(p["height"]) * (1 + jnp.sqrt(5.0) * r + 5 / 3 * r**2) * jnp.exp(-jnp.sqrt(5.0) * r)

    noise = jnp.exp(p["noise"])
    root = jnp.linalg.cholesky(kernel(p["points"], p["points"]) + 1e-6 * jnp.eye(3))
    a = jax.scipy.linalg.solve_triangular(root, kernel(p["points"], x), lower=True) / jnp.sqrt(noise)
    inner = jax.scipy.linalg.cholesky(jnp.eye(3) + a @ a.T, lower=True)
    c = jax.scipy.linalg.solve_triangular(inner, a @ y, lower=True) / jnp.sqrt(noise)
    left = 7 * jnp.exp(p["height"]) / noise - jnp.trace(a @ a.T)
    return 3.5 * jnp.log(noise) + jnp.log(jnp.diag(inner)).sum() + 0.5 * (y @ y / noise - c @ c + left)


def random_field(p: Any) -> Any:
    """A chain of tags: the score of the true ones below all, and the best of all by a loop."""
    scores = SEQUENCE @ p["in"]
    own = p["start"][TAGS[0]] + scores[jnp.arange(7), TAGS].sum() + p["moves"][TAGS[:-1], TAGS[1:]].sum()

    def step(alpha: Any, score: Any) -> Any:
        return nn.logsumexp(alpha[:, None] + p["moves"], axis=0) + score, None

    alpha, _ = lax.scan(step, p["start"] + scores[0], scores[1:])
    start = p["start"] + scores[0]
    best = lax.fori_loop(1, 7, lambda t, a: jnp.max(a[:, None] + p["moves"], 0) + scores[t], start)
    return nn.logsumexp(alpha) - own + 0.1 * jnp.max(best)


def transport(x: Any, y: Any) -> Any:
    """The cost of bringing points to others, by twenty steps of Sinkhorn's."""
    cost = jnp.sum((x[:, None] - y[None]) ** 2, -1)
    a, b = jnp.full(7, 1 / 7), jnp.full(5, 1 / 5)

    def step(_: Any, both: Any) -> Any:
        f, g = both
        f = -0.5 * nn.logsumexp((g[None] - cost) / 0.5 + jnp.log(b)[None], axis=1)
        return f, -0.5 * nn.logsumexp((f[:, None] - cost) / 0.5 + jnp.log(a)[:, None], axis=0)

    f, g = lax.fori_loop(0, 20, step, (jnp.zeros(7), jnp.zeros(5)))
    return f @ a + g @ b


def graph_attention(p: Any) -> Any:
    """Attention over the edges of a graph, normalised by segments, and pooled."""
    h = SEQUENCE @ p["in"]
    scores = nn.leaky_relu(jnp.concatenate([h[SENDERS], h[RECEIVERS]], -1) @ p["attention"], 0.2)
    weights = jnp.exp(scores - jax.ops.segment_max(scores, RECEIVERS, 7)[RECEIVERS])
    weights = weights / jax.ops.segment_sum(weights, RECEIVERS, 7)[RECEIVERS]
    made = jnp.zeros((7, 5)).at[RECEIVERS].add(weights[:, None] * h[SENDERS])
    counts = jnp.maximum(jnp.bincount(RECEIVERS, length=7), 1)
    pooled = jax.ops.segment_sum(made / counts[:, None], jnp.array([0, 0, 0, 1, 1, 1, 1]), 2)
    return jnp.sum(pooled @ p["out"]) ** 2


def weighted_autoencoder(p: Any, key: Any) -> Any:
    """A bound by five samples of each code, drawn by keys that are split."""
    first, second = jax.random.split(jax.random.wrap_key_data(key))
    mean, log_scale = jnp.split(jnp.tanh(SEQUENCE @ p["in"]), 2, -1)
    z = mean + jnp.exp(log_scale) * jax.random.normal(first, (5, 7, 3), dtype=jnp.float64)
    x = jax.random.bernoulli(second, 0.4, (7, 4)).astype(jnp.float64)
    scores = z @ p["out"]
    likelihood = -jnp.sum(jnp.maximum(scores, 0) - scores * x + jnp.log1p(jnp.exp(-jnp.abs(scores))), -1)
    norm = jax.scipy.stats.norm
    weight = norm.logpdf(z).sum(-1) - norm.logpdf(z, mean, jnp.exp(log_scale)).sum(-1)
    return -jnp.mean(nn.logsumexp(likelihood + weight, axis=0) - jnp.log(5.0))


def stochastic_equation(p: Any, key: Any) -> Any:
    """Paths by Euler's steps with noise by a key for each, and what a call on one of them is worth."""

    def step(x: Any, k: Any) -> Any:
        noise = jax.random.normal(k, (3, 2), jnp.float64) * jnp.sqrt(0.1)
        x = x + 0.1 * jnp.tanh(x @ p["in"]) @ p["out"] + jnp.exp(p["scale"]) * noise
        return x, jnp.sum(x**2)

    last, sizes = lax.scan(step, jnp.ones((3, 2)), jax.random.split(jax.random.wrap_key_data(key), 8))
    return jnp.mean(jnp.maximum(last[:, 0] - 1.0, 0)) + sizes.mean()


def u_shaped(p: Any) -> Any:
    """Convolutions down and up again, by a transposed one and by images made larger."""
    axes = ("NHWC", "HWIO", "NHWC")
    conv = functools.partial(lax.conv_general_dilated, window_strides=(1, 1), padding="SAME", dimension_numbers=axes)
    fine = nn.leaky_relu(conv(IMAGES, p["first"]), 0.1)
    coarse = lax.reduce_window(fine, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")
    coarse = nn.elu(conv(coarse, p["second"], rhs_dilation=(2, 2)))
    up = lax.conv_transpose(coarse, p["up"], (2, 2), "VALID", dimension_numbers=axes)
    larger = jax.image.resize(coarse, (2, 8, 8, 6), "bilinear").mean(-1, keepdims=True)
    scores = conv(jnp.concatenate([fine, up], -1), p["last"]) + larger
    return jnp.mean(nn.softplus(jnp.where(IMAGES.sum(-1, keepdims=True) > 0, -scores, scores)))


_LAYERS = {
    "qkv": (8, 24),
    "out": (8, 8),
    "up": (8, 12),
    "gate": (8, 12),
    "down": (12, 8),
    "first": (8,),
    "second": (8,),
}
NETWORK_MODELS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "decoder of layers": (
        decoder_of_layers,
        ({"embedding": normal(6, 8), "layers": {name: normal(2, *shape) for name, shape in _LAYERS.items()}},),
    ),
    "experts of few places": (
        experts_of_few_places,
        ({"router": normal(4, 4), "in": normal(4, 4, 6), "out": normal(4, 6, 4)},),
    ),
    "selective states": (
        selective_states,
        (
            {"in": normal(4, 3), "kernels": normal(3, 3), "step": normal(4, 3), "a": normal(3, 4), "b": normal(4, 4)}
            | {"c": normal(4, 4), "d": normal(3)},
        ),
    ),
    "diagonal states": (
        diagonal_states,
        ({"decay": normal(4), "turn": np.arange(4.0) + 0.3, "c": normal(4, 2), "step": np.array(-1.0)},),
    ),
    "spline flow": (spline_flow, ({"w": normal(4, 5), "h": normal(4, 5), "d": normal(4, 4)},)),
    "sparse Gaussian process": (
        sparse_gaussian_process,
        ({"scales": normal(2), "height": np.array(0.1), "noise": np.array(-1.0), "points": normal(3, 2, scale=1.0)},),
    ),
    "random field": (random_field, ({"in": normal(4, 3), "moves": normal(3, 3), "start": normal(3)},)),
    "transport": (transport, (normal(7, 2), normal(5, 2))),
    "graph attention": (graph_attention, ({"in": normal(4, 5), "attention": normal(10), "out": normal(5)},)),
    "weighted autoencoder": (weighted_autoencoder, ({"in": normal(4, 6), "out": normal(3, 4)}, KEY)),
    "stochastic equation": (
        stochastic_equation,
        ({"in": normal(2, 4), "out": normal(4, 2), "scale": normal(2)}, KEY),
    ),
    "U-shaped": (
        u_shaped,
        (
            {"first": normal(3, 3, 3, 4), "second": normal(3, 3, 4, 6), "up": normal(2, 2, 6, 4)}
            | {"last": normal(3, 3, 8, 1)},
        ),
    ),
}
