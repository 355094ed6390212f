"""Random graphs of functions that call functions, with constants at every depth."""

from __future__ import annotations

import random

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.scan import Scan

VECTOR = TensorType(ElementType.FLOAT64, (3,))
STEPS = 3


def random_calls(seed: int, depth: int = 3) -> Graph:
    """A graph of the vectors x and y that calls functions, which call others, down to `depth`."""
    rng = random.Random(seed)
    g = builder()
    x, y = g.input("x", VECTOR), g.input("y", VECTOR)
    first = _made(g, rng, x, depth)
    return g.build({"a": first, "b": _made(g, rng, first + y, depth), "c": _constant(g, rng)})


def _made(g: Builder, rng: random.Random, x: Value, depth: int) -> Value:
    """A value of x, of constants and of functions of x."""
    for _ in range(rng.randint(1, 3)):
        x = g.sin(x * _constant(g, rng)) - (0.25 if rng.random() < 0.3 else _constant(g, rng))
    if depth:
        x = rng.choice([_chosen, _looped])(g, rng, x, depth - 1)
    return x * _constant(g, rng) if rng.random() < 0.5 else x


def _constant(g: Builder, rng: random.Random) -> Value:
    return g.constant(np.array([rng.uniform(-2.0, 2.0) for _ in range(3)]))


def _chosen(g: Builder, rng: random.Random, x: Value, depth: int) -> Value:
    truth = g.gt(g.reduce_sum(x, axes=(0,)), rng.choice([-10.0, 0.0, 10.0]))
    (result,) = g.apply(Cond(_function(rng, depth), _function(rng, depth)), [truth, x])
    return result


def _looped(g: Builder, rng: random.Random, x: Value, depth: int) -> Value:
    scan = Scan(_function(rng, depth), STEPS, carries=1, scanned=0, reverse=rng.random() < 0.5, stops=False)
    (result,) = g.apply(scan, [g.constant(STEPS, ElementType.INT64), x])
    return result


def _function(rng: random.Random, depth: int) -> Graph:
    g = builder()
    x = g.input("x0", VECTOR)
    if rng.random() < 0.2:
        return g.build({"y0": _constant(g, rng)})  # which reads no input
    return g.build({"y0": _made(g, rng, x, rng.randint(0, depth))})
