"""Wrong gradients that were given without a word, by libraries, rebuilt from what public trackers say of them.

Each has the loss, its gradient, and the gradient with the fault, in NumPy; nothing else of the original is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammainc, gammaln

RNG = np.random.default_rng(5)


@dataclass(frozen=True)
class Record:
    """One fault on record."""

    source: str
    at: dict[str, Any]
    loss: Callable[..., Any]
    right: Callable[..., dict[str, Any]]
    wrong: Callable[..., dict[str, Any]]
    leaves: frozenset[str]
    """The inputs in which the gradient is wrong."""


# ---- an entry that is written twice in place has its gradient counted once


def added_twice(x):
    y = np.zeros_like(x)
    y[:, 0] += np.abs(x[:, 2])
    y[:, 0] += np.abs(x[:, 2])
    return y.sum()


def _column(x, times):
    g = np.zeros_like(x)
    g[:, 2] = times * np.sign(x[:, 2])
    return {"x": g}


ACCUMULATED = Record(
    "pytorch/pytorch 136662",
    {"x": RNG.normal(size=(2, 3))},
    added_twice,
    lambda x: _column(x, 2),
    lambda x: _column(x, 1),
    frozenset({"x"}),
)


# ---- a loop's closed-over parameter has no gradient through what the loop carries


def recurrence(a, xs):
    carry, total = 1.0, 0.0
    for x in xs:
        carry = a * carry + x
        total += carry**2
    return total


def _recurrence(a, xs, through_carry):
    carries = [1.0]
    for x in xs:
        carries.append(a * carries[-1] + x)
    da, dxs, back = 0.0, np.zeros_like(xs), 0.0
    for k in reversed(range(len(xs))):
        dxs[k] = 2 * carries[k + 1] + a * back
        da += (dxs[k] if through_carry else 2 * carries[k + 1]) * carries[k]
        back = dxs[k]
    return {"a": da, "xs": dxs}


CARRIED = Record(
    "pytorch/pytorch 184528",
    {"a": 0.7, "xs": np.array([0.11, -0.37, 0.23, 0.41, -0.19])},
    recurrence,
    lambda a, xs: _recurrence(a, xs, True),
    lambda a, xs: _recurrence(a, xs, False),
    frozenset({"a"}),
)


# ---- the gradient of a broadcast number is not reduced to what each of its uses had

BROADCAST = Record(
    "pytorch/pytorch 13669",
    {"z": 1.0},
    lambda z: np.exp(z) + np.sum(np.exp(z) - np.zeros(1000)),
    lambda z: {"z": 1001 * np.exp(z)},
    lambda z: {"z": 2000 * np.exp(z)},
    frozenset({"z"}),
)


# ---- entries that are gathered several times keep the gradient of the last time

INDEX = np.array([0, 3, 3, 1, 0])
WEIGHTS = RNG.normal(size=5)


def _gathered(x, again):
    g, terms = np.zeros_like(x), WEIGHTS * np.cos(x[INDEX])
    if again:
        np.add.at(g, INDEX, terms)
    else:
        g[INDEX] = terms
    return {"x": g}


GATHERED = Record(
    "pytorch/pytorch 1631",
    {"x": RNG.normal(size=6)},
    lambda x: WEIGHTS @ np.sin(x[INDEX]),
    lambda x: _gathered(x, True),
    lambda x: _gathered(x, False),
    frozenset({"x"}),
)


# ---- rows that are filled twice count twice in the gradient of what fills them

ROWS = np.array([2, 2, 0])


def filled(t, v):
    t = t.copy()
    t[ROWS] = v
    return np.sum(t**2)


def _filled(t, v, rows):
    kept = 2 * t
    kept[ROWS] = 0
    return {"t": kept, "v": 2 * v * len(rows) * t.shape[1]}


FILLED = Record(
    "pytorch/pytorch 57006",
    {"t": RNG.normal(size=(5, 4)), "v": -2.5},
    filled,
    lambda t, v: _filled(t, v, np.unique(ROWS)),
    lambda t, v: _filled(t, v, ROWS),
    frozenset({"v"}),
)


# ---- the determinant of a singular matrix has a gradient, its cofactors, and 0 is given

DETERMINANT = Record(
    "pytorch/pytorch 104675",
    {"m": np.array([[0.0, 1.0], [0.0, 1.0]])},
    lambda m: m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0],
    lambda m: {"m": np.array([[m[1, 1], -m[1, 0]], [-m[0, 1], m[0, 0]]])},
    lambda m: {"m": np.zeros((2, 2))},
    frozenset({"m"}),
)


# ---- a kernel reads a permuted array in the order of its memory

ORDER = (2, 0, 1)


def _permuted(x, w, in_order):
    y = np.tanh(x.transpose(ORDER))
    saved = y if in_order else np.tanh(x).reshape(y.shape)
    return {"x": (w * (1 - saved**2)).transpose(np.argsort(ORDER)), "w": y}


PERMUTED = Record(
    "pytorch/pytorch 175188",
    {"x": RNG.normal(size=(3, 4, 2)), "w": RNG.normal(size=(2, 3, 4))},
    lambda x, w: np.sum(w * np.tanh(x.transpose(ORDER))),
    lambda x, w: _permuted(x, w, True),
    lambda x, w: _permuted(x, w, False),
    frozenset({"x"}),
)


# ---- batches beyond the reach of an index read the upstream gradient from its beginning

REACH = 3


def _products(a, b, reach):
    upstream = 2 * (a @ b)
    upstream = upstream[np.arange(len(a)) % reach]
    return {"a": upstream @ b.transpose(0, 2, 1), "b": a.transpose(0, 2, 1) @ upstream}


WRAPPED = Record(
    "pytorch/pytorch 197636",
    {"a": RNG.normal(size=(4, 2, 3)), "b": RNG.normal(size=(4, 3, 2))},
    lambda a, b: np.sum((a @ b) ** 2),
    lambda a, b: _products(a, b, len(a)),
    lambda a, b: _products(a, b, REACH),
    frozenset({"a", "b"}),
)


# ---- of a table that two norms share, one half of the gradient is never written

FEATURES = 6
STALE = RNG.normal(size=(2, FEATURES))


def _normed(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)


def modulated(x, table):
    scale, shift, second, third = table
    y = _normed(x) * (1 + scale) + shift
    return np.sum((np.sin(x) * (1 + second) + third) * y)


def _modulated(x, table, written):
    scale, shift, second, third = table
    n, s = _normed(x), np.sin(x)
    y, z = n * (1 + scale) + shift, s * (1 + second) + third
    half = np.array([(s * y).sum(axis=0), y.sum(axis=0)]) if written else STALE
    return {"x": None, "table": np.array([(z * n).sum(axis=0), z.sum(axis=0), *half])}


UNWRITTEN = Record(
    "pytorch/pytorch 193061",
    {"x": RNG.normal(size=(5, FEATURES)), "table": RNG.normal(size=(4, FEATURES))},
    modulated,
    lambda x, table: _modulated(x, table, True),
    lambda x, table: _modulated(x, table, False),
    frozenset({"table"}),
)


# ---- a rule of one's own leaves the vector of a product out, and all layers before it get nothing


def layers(first, second, x):
    return np.sum(np.tanh(second @ np.tanh(first @ x)) ** 2)


def _layers(first, second, x, onwards):
    h = np.tanh(first @ x)
    y = np.tanh(second @ h)
    dz = 2 * y * (1 - y**2)
    dh = onwards * (second.T @ dz) * (1 - h**2)
    return {"first": np.outer(dh, x), "second": np.outer(dz, h), "x": first.T @ dh if onwards else None}


LEFT_OUT = Record(
    "jax-ml/jax 17496",
    {"first": RNG.normal(size=(4, 3)), "second": RNG.normal(size=(2, 4)), "x": RNG.normal(size=3)},
    layers,
    lambda first, second, x: _layers(first, second, x, 1.0),
    lambda first, second, x: _layers(first, second, x, 0.0),
    frozenset({"first"}),
)

# ---- what a diagonal is written over has no gradient at all, where only the diagonal should have none


def scattered(x, src):
    y = x.copy()
    np.fill_diagonal(y, src)
    return np.sum(y**3)


def _scattered(x, src, kept):
    g = kept * 3 * x**2
    np.fill_diagonal(g, 0)
    return {"x": g, "src": 3 * src**2}


SCATTERED = Record(
    "pytorch/pytorch 182012",
    {"x": RNG.normal(size=(5, 5)), "src": RNG.normal(size=5)},
    scattered,
    lambda x, src: _scattered(x, src, 1.0),
    lambda x, src: _scattered(x, src, 0.0),
    frozenset({"x"}),
)


# ---- a mask chooses between a convolution of interpolated values and its running maximum, and compiled gradients are
# far off. Why is not on record: here the gradient passes the maximum by

RISE = np.kron(np.eye(6), [[0.75], [0.25]]) + np.kron(np.eye(6, k=1), [[0.25], [0.75]])
MASK = np.arange(12) % 3 == 0
UPSTREAM = RNG.normal(size=12)


def _windows(z):
    padded = np.pad(z, 1, constant_values=-np.inf)
    return np.stack([padded[:-2], padded[1:-1], padded[2:]])


def chosen(x, weight, bias):
    y = np.pad(RISE @ x, 1)
    z = weight[0] * y[:-2] + weight[1] * y[1:-1] + weight[2] * y[2:] + bias
    return UPSTREAM @ np.where(MASK, z, _windows(z).max(axis=0))


def _chosen(x, weight, bias, by_window):
    y = np.pad(RISE @ x, 1)
    z = weight[0] * y[:-2] + weight[1] * y[1:-1] + weight[2] * y[2:] + bias
    at = np.arange(12) + (_windows(z).argmax(axis=0) - 1 if by_window else 0)
    dz = np.zeros(12)
    np.add.at(dz, np.where(MASK, np.arange(12), at), UPSTREAM)
    dy = np.zeros(14)
    for k in range(3):
        dy[k : k + 12] += weight[k] * dz
    return {
        "x": RISE.T @ dy[1:-1],
        "weight": np.array([dz @ y[k : k + 12] for k in range(3)]),
        "bias": dz.sum(),
    }


FUSED = Record(
    "pytorch/pytorch 185509",
    {"x": RNG.normal(size=6), "weight": RNG.normal(size=3), "bias": 0.3},
    chosen,
    lambda x, weight, bias: _chosen(x, weight, bias, True),
    lambda x, weight, bias: _chosen(x, weight, bias, False),
    frozenset({"x", "weight"}),
)


# ---- draws of a gamma distribution by rejection have the gradient of another coupling, that of the distribution
# function, and not that of what is computed

NORMAL = np.array([-0.8, -0.1, 0.3, 0.9, 1.4])


def drawn(a):
    """Draws of Marsaglia and Tsang from normal numbers that are all accepted."""
    d = a - 1 / 3
    return np.sum(d * (1 + NORMAL / np.sqrt(9 * d)) ** 3)


def _drawn(a):
    d = a - 1 / 3
    t = 1 + NORMAL / np.sqrt(9 * d)
    return {"a": np.sum(t**3 - 1.5 * t**2 * NORMAL / np.sqrt(9 * d))}


def _of_the_distribution(a):
    d, h = a - 1 / 3, 1e-4
    draws = d * (1 + NORMAL / np.sqrt(9 * d)) ** 3
    moved = (gammainc(a + h, draws) - gammainc(a - h, draws)) / (2 * h)
    density = np.exp((a - 1) * np.log(draws) - draws - gammaln(a))
    return {"a": np.sum(-moved / density)}


GAMMA = Record("jax-ml/jax 27349", {"a": 1.7}, drawn, _drawn, _of_the_distribution, frozenset({"a"}))


# ---- a maximum computes its operand twice, and rounded in another way it is equal to neither side: no gradient flows

FLOOR = 1e-3


def _rounded(x, w):
    return np.array([sum(r * x) for r in w]), np.array([sum((r * x)[::-1]) for r in w])


def floored(x, w):
    return np.sum(np.maximum(_rounded(x, w)[0], FLOOR) ** 2)


def _floored(x, w, again):
    first, second = _rounded(x, w)
    z = np.maximum(first, FLOOR)
    dz = 2 * z * ((second if again else first) == z)
    return {"x": w.T @ dz, "w": np.outer(dz, x)}


FLOORED = Record(
    "jax-ml/jax 40564",
    {"x": np.abs(RNG.normal(size=9)), "w": np.abs(RNG.normal(size=(4, 9)))},
    floored,
    lambda x, w: _floored(x, w, False),
    lambda x, w: _floored(x, w, True),
    frozenset({"x", "w"}),
)

RECORDS = (
    ACCUMULATED,
    SCATTERED,
    FUSED,
    GAMMA,
    FLOORED,
    CARRIED,
    BROADCAST,
    GATHERED,
    FILLED,
    DETERMINANT,
    PERMUTED,
    WRAPPED,
    UNWRITTEN,
    LEFT_OUT,
)
