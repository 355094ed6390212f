"""First calls of functions whose loops and recursions are unrolled: tracing, deriving, optimising and scheduling."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import autograd
import autograd.numpy
import numpy as np

from gradserve.client import Client
from tests.bench.report import Floor, Screen, Section, duration
from tests.thirdparty.gradbench import inputs
from tests.thirdparty.gradbench.evaluations import EVALUATIONS

STEPS = 1000
CHARACTERS = 128
FIRST_GRADIENT = 0.5
FIRST_HVP = 1.5
"""Processor seconds of the first calls of `STEPS` Euler steps."""
FIRST_CALL, FIRST_JACOBIAN = 0.015, 0.15
"""Seconds of the first call of a small graph beyond those of NumPy, and of a first Jacobian."""
_HIDDEN, _LETTERS = 16, 20


@dataclass(frozen=True)
class Unrolled:
    """A loss of one array, written for an array namespace, and a point."""

    name: str
    using: Callable[[Any], Callable[[Any], Any]]
    point: Any


def euler(xp: Any) -> Callable[[Any], Any]:
    """A pendulum by Euler's steps."""

    def loss(w: Any) -> Any:
        angle, speed = w[0], w[1]
        for _ in range(STEPS):
            angle, speed = angle + 0.01 * speed, speed - 0.01 * xp.sin(angle)
        return angle**2 + speed**2

    return loss


def lstm(xp: Any) -> Callable[[Any], Any]:
    """A recurrent network with gates over characters, all its weights in one array."""
    rng = np.random.default_rng(0)
    text = np.eye(_LETTERS)[rng.integers(0, _LETTERS, CHARACTERS)]
    rows = (_LETTERS, _HIDDEN, 1)

    def loss(w: Any) -> Any:
        given, again, bias = (w[sum(rows[:k]) : sum(rows[: k + 1])] for k in range(3))
        hidden = memory = np.zeros(_HIDDEN)
        total = 0.0
        for letter, following in itertools.pairwise(text):
            z = letter @ given + hidden @ again + bias[0]
            keep, take, show = (1 / (1 + xp.exp(-z[k * _HIDDEN : (k + 1) * _HIDDEN])) for k in range(3))
            memory = keep * memory + take * xp.tanh(z[3 * _HIDDEN :])
            hidden = show * xp.tanh(memory)
            scores = given @ xp.concatenate([hidden, hidden, hidden, hidden])
            total = total + xp.log(xp.sum(xp.exp(scores))) - scores @ following
        return total / CHARACTERS

    return loss


def minors(xp: Any) -> Callable[[Any], Any]:
    """A determinant by its minors, and theirs."""

    def determinant(a: Any) -> Any:
        if len(a) == 1:
            return a[0, 0]
        total = 0.0
        for k in range(len(a)):
            minor = xp.concatenate([a[1:, :k], a[1:, k + 1 :]], axis=1)
            total = total + (-1) ** k * a[0, k] * determinant(minor)
        return total

    return determinant


UNROLLED = (
    Unrolled(f"{STEPS} Euler steps", euler, np.array([0.3, 0.5])),
    Unrolled(f"LSTM of {CHARACTERS} letters", lstm, 0.1 * np.cos(np.arange(37.0 * 64)).reshape(37, 64)),
    Unrolled("6 x 6 by minors", minors, np.cos(np.arange(36.0) ** 2).reshape(6, 6)),
)


def calls(repetitions: int, screen: Screen) -> Section:
    """Processor seconds of first gradients and first Hessian-vector products, each by a client that knows nothing."""
    rows, floors = [], []
    for unrolled in UNROLLED:
        measured = [_first(unrolled) for _ in range(repetitions)]
        nodes = measured[0][0]
        gradient, hvp = (min(m[k] for m in measured) for k in (1, 2))
        peers = [min(_of_autograd(unrolled, order) for _ in range(repetitions)) for order in (1, 2)]
        each = [f"{seconds / nodes * 1e6:.0f} us" for seconds in (gradient, hvp)]
        shown = duration(gradient), each[0], duration(hvp), each[1], *map(duration, peers)
        rows.append((unrolled.name, str(nodes), *shown))
        screen.line("  ".join(rows[-1]))
        if unrolled.using is euler:
            floors = [
                Floor(f"gradient, of {FIRST_GRADIENT:g} s", gradient / FIRST_GRADIENT, 1.0),
                Floor(f"HVP, of {FIRST_HVP:g} s", hvp / FIRST_HVP, 1.0),
            ]
    header = ("function", "nodes", "gradient", "a node", "HVP", "a node", "autograd's gradient", "autograd's HVP")
    text = (
        "Processor seconds of first calls through `Client(threads=1)`, tracing included, of functions whose loops are "
        "unrolled while they are traced; the least of several. Nodes are those of the traced function."
    )
    return Section("First calls of unrolled loops", text, header, rows, floors)


def _first(unrolled: Unrolled) -> tuple[int, float, float]:
    """Nodes, and processor seconds of the first gradient and of the first HVP after it."""
    with Client(threads=1, timeout=600) as client:
        started = time.process_time()
        function = client.function(unrolled.using(np))
        function.grad(unrolled.point)
        between = time.process_time()
        function.hvp(unrolled.point, tangent=np.ones_like(unrolled.point))
        return len(function.graph.nodes), between - started, time.process_time() - between


def _of_autograd(unrolled: Unrolled, order: int) -> float:
    loss = unrolled.using(autograd.numpy)
    gradient = autograd.grad(loss)
    started = time.process_time()
    if order == 1:
        gradient(unrolled.point)
    else:
        autograd.make_hvp(loss)(unrolled.point)[0](np.ones_like(unrolled.point))
    return time.process_time() - started


def new_graphs(repetitions: int, screen: Screen) -> Section:
    """Seconds of first calls of graphs that nobody has seen: a small one, and a Jacobian in whichever mode."""
    layers, hands = [], []
    for k in range(repetitions):
        layers.append(_first_of_layers(k))
        hands.append(_first_of_hands())
    plain = min(plain for _, plain, _ in layers)
    first, jacobian, nodes = min(each for each, _, _ in layers), min(hands), layers[0][2]
    rows = [
        (f"network of {nodes} nodes, value", duration(first), duration(plain)),
        ("GradBench's hand, 544 points, Jacobian", duration(jacobian), ""),
    ]
    floors = [
        Floor(f"{nodes} nodes: beyond 1.5 of NumPy's, of {FIRST_CALL:g} s", (first - 1.5 * plain) / FIRST_CALL, 1.0),
        Floor(f"Jacobian, of {FIRST_JACOBIAN:g} s", jacobian / FIRST_JACOBIAN, 1.0),
    ]
    for floor in floors:
        screen.line(str(floor))
    text = "Seconds from a function to the first answer, tracing included, each by a client that knows nothing."
    return Section("First calls of new graphs", text, ("function", "first call", "plain NumPy"), rows, floors)


def _first_of_layers(seed: int) -> tuple[float, float, int]:
    """Seconds of the first value, and of plain NumPy; the nodes."""
    x = np.random.default_rng(seed).standard_normal((64, 32))
    w = np.random.default_rng(seed + 100).standard_normal((16, 32, 32)) / 6.0

    def loss(w: Any) -> Any:
        y = x
        for k in range(len(w)):
            y = np.tanh(y @ w[k])
        return np.mean(y * y)

    started = time.perf_counter()
    loss(w)
    between = time.perf_counter()
    with Client(threads=1) as client:
        opened = time.perf_counter()
        function = client.function(loss)
        function(w)
        return time.perf_counter() - opened, between - started, len(function.graph.nodes)


def _first_of_hands() -> float:
    """Seconds of the first Jacobian of GradBench's ht."""
    given = inputs.ht(544, 100)
    with Client(threads=1, timeout=None) as client:
        started = time.perf_counter()
        EVALUATIONS["ht"]["jacobian"](client, given).run()
        return time.perf_counter() - started
