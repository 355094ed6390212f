"""Losses of every size with gradients by hand, and the faults that are made in such gradients by mistake."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradserve.questions.verdicts import Irregularity
from gradserve.questions.verification import VerificationReport
from tests.verification.driver import verified

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Model:
    """A loss of named arrays, and its gradient."""

    point: Arrays
    loss: Callable[[Arrays], float]
    gradient: Arrays

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: array.shape for name, array in self.point.items()}

    @property
    def size(self) -> int:
        return sum(array.size for array in self.point.values())

    def pack(self, arrays: Arrays) -> np.ndarray:
        return np.concatenate([arrays[name].ravel() for name in self.point])

    def unpack(self, vector: Any) -> Arrays:
        ends = np.cumsum([array.size for array in self.point.values()])[:-1]
        parts = zip(self.point, np.split(vector, ends), strict=True)
        return {name: part.reshape(self.point[name].shape) for name, part in parts}


def sines(n: int, seed: int) -> Model:
    """A weighted sum of sines."""
    rng = np.random.default_rng(seed)
    a, x = rng.standard_normal(n), rng.standard_normal(n)
    return Model({"x": x}, lambda p: float(a @ np.sin(p["x"])), {"x": a * np.cos(x)})


def square_layer(n: int, seed: int) -> Model:
    """A layer with a bias: w is square, so that a transpose can be missing without a word."""
    rng = np.random.default_rng(seed)
    k = max(2, round(np.sqrt(n)))
    w, b, x = rng.standard_normal((k, k)) / np.sqrt(k), rng.standard_normal(k), rng.standard_normal((3, k))

    def loss(p: Arrays) -> float:
        return float(np.sum(np.tanh(x @ p["w"] + p["b"])))

    s = 1 / np.cosh(x @ w + b) ** 2
    return Model({"w": w, "b": b}, loss, {"w": x.T @ s, "b": s.sum(axis=0)})


def table(n: int, seed: int) -> Model:
    """Rows of a table, some gathered several times, and a scale that is broadcast over them."""
    rng = np.random.default_rng(seed)
    rows, scale = rng.standard_normal((max(2, n // 4), 4)), rng.standard_normal(4)
    index = rng.integers(0, len(rows), 2 * len(rows))
    weights = rng.standard_normal((len(index), 4))

    def loss(p: Arrays) -> float:
        return float(np.sum(weights * np.sin(p["rows"][index] * p["scale"])))

    c = weights * np.cos(rows[index] * scale)
    gradient = np.zeros_like(rows)
    np.add.at(gradient, index, c * scale)
    return Model({"rows": rows, "scale": scale}, loss, {"rows": gradient, "scale": (c * rows[index]).sum(axis=0)})


MODELS = (sines, square_layer, table)
DELTAS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)


@dataclass(frozen=True)
class Fault:
    """A wrong gradient."""

    kind: str
    gradient: Arrays
    input: str
    entry: tuple[int, ...] | None
    """The wrong entry, if it is one alone."""


def entry_faults(model: Model, delta: float, seed: int) -> Iterator[Fault]:
    """One entry times 1 + delta: one that is as large as most."""
    rng = np.random.default_rng(seed)
    for name, array in model.gradient.items():
        large = np.flatnonzero(np.abs(array.ravel()) >= np.median(np.abs(array)))
        index = tuple(int(k) for k in np.unravel_index(rng.choice(large), array.shape))
        yield Fault(f"entry {delta:.0e}", _changed(model, name, index, 1 + delta), name, index)


def structural_faults(model: Model, seed: int) -> Iterator[Fault]:
    """What goes wrong as a whole: a sign, a transpose, a sum, a buffer, a term, an index."""
    rng = np.random.default_rng(seed)
    for name, array in model.gradient.items():
        index = tuple(int(rng.integers(n)) for n in array.shape)
        yield Fault("sign of an entry", _changed(model, name, index, -1.0), name, index)
        yield Fault("sign", _with(model, name, -array), name, None)
        yield Fault("off-by-one gather", _with(model, name, np.roll(array, 1, axis=0)), name, None)
        part = array.copy()
        part[: (len(part) + 1) // 2] *= 0.5
        yield Fault("missing term", _with(model, name, part), name, None)
        stale = array.copy()
        stale[-1] = rng.standard_normal(array.shape[1:])
        yield Fault("stale buffer", _with(model, name, stale), name, None)
        swapped = array.copy()
        swapped[[0, -1]] = swapped[[-1, 0]]
        yield Fault("exchanged", _with(model, name, swapped), name, None)
        if array.ndim == 2 and array.shape[0] == array.shape[1]:
            yield Fault("missing transpose", _with(model, name, array.T), name, None)
    last = list(model.gradient)[-1]
    if last != "x":
        yield Fault("dropped broadcast sum", _with(model, last, model.gradient[last] / 3), last, None)


def _with(model: Model, name: str, array: np.ndarray) -> Arrays:
    return {**model.gradient, name: array}


def _changed(model: Model, name: str, index: tuple[int, ...], factor: float) -> Arrays:
    array = model.gradient[name].copy()
    array[index] *= factor
    return _with(model, name, array)


_RNG = np.random.default_rng(1)
A, Y = _RNG.standard_normal(20), _RNG.standard_normal(20)
SMOOTH = A * np.cos(Y)
KINDS = {
    "relu": (lambda x: max(x, 0.0), 1.0, Irregularity.KINK),
    "abs": (abs, 1.0, Irregularity.KINK),
    "max": (lambda x: max(2 * x, -3 * x), 2.0, Irregularity.KINK),
    "clip": (lambda x: min(x, 0.0) / 2 + 3 * x, 3.0, Irregularity.KINK),
    "floor": (lambda x: np.floor(1 + x), 0.0, Irregularity.JUMP),
    "root": (lambda x: np.sqrt(abs(x)), None, Irregularity.CUSP),
}
"""Six kinds of irregularity at 0, the derivative above it, and what they are to be called."""
DISTANCES = (0.0, 1e-7, 1e-4, 1e-2)


def beside(function: Callable[[Any], Any], slope: float, x: float, seed: int = 0) -> VerificationReport:
    """The report on a loss that is a function of its first entry and smooth in others, where its slope is claimed."""

    def loss(vector: Any) -> float:
        return float(function(vector[0]) + A @ np.sin(vector[1:]))

    return verified(loss, np.r_[x, Y], np.r_[slope, SMOOTH], seed=seed).report


def kinked(name: str, distance: float, seed: int = 0) -> VerificationReport:
    """The report at a distance above an irregularity, where the right derivative is claimed."""
    function, slope, _ = KINDS[name]
    if slope is None:
        slope = 0.5 / math.sqrt(distance) if distance else 0.0
    return beside(function, slope, distance, seed)
