"""Random graphs: every kind of node that the optimiser and the planner treat in a way of its own."""

from __future__ import annotations

import random

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder

LENGTHS = (1, 2, 3, 5)
FACTORS = (0.0, 1.0, -1.0, 2.0, -0.5, 1e-200, 3.0)


def random_graph(seed: int, nodes: int = 25) -> Graph:
    """A graph of two matrices and a vector, with every value that nobody reads as an output."""
    rng = random.Random(seed)
    n, m = rng.choice(LENGTHS), rng.choice(LENGTHS)
    g = builder()
    f64 = ElementType.FLOAT64
    shapes = {"a": (n, m), "b": (n, m), "c": (m,), "s": ()}
    pool = [g.input(name, TensorType(f64, shape)) for name, shape in shapes.items()]
    pool.append(g.constant(np.linspace(0.5, 1.5, n * m).reshape(n, m)))
    read: set[int] = set()
    while len(pool) < nodes:
        operands = [rng.choice(pool[-10:] if rng.random() < 0.7 else pool) for _ in range(2)]
        made = rng.choice(_MAKERS)(g, rng, *operands)
        if made is not None and made.type.size <= 400 and made.type.rank <= 4:
            pool.append(made)
            read |= {v.index for v in operands}
    ends = {f"y{k}": value for k, value in enumerate(pool) if value.index not in read or rng.random() < 0.1}
    return g.build(ends)


def random_arguments(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {i.name: rng.standard_normal(i.type.lengths) for i in graph.inputs}


def _scaled(g: Builder, rng: random.Random, x: Value, y: Value) -> Value:
    factor = rng.choice(FACTORS)
    return rng.choice(
        [lambda: g.mul(x, factor), lambda: g.neg(x), lambda: g.div(x, factor or 4.0), lambda: g.add(x, x)]
    )()


def _unary(g: Builder, rng: random.Random, x: Value, y: Value) -> Value:
    return g.emit(rng.choice(["tanh", "sin", "abs", "logistic", "sign"]), x)


def _binary(g: Builder, rng: random.Random, x: Value, y: Value) -> Value | None:
    name = rng.choice(["add", "sub", "mul", "mul", "maximum", "sub", "add"])
    return g.emit(name, x, y) if _fits(x, y) else None


def _fits(x: Value, y: Value) -> bool:
    pairs = zip(x.shape[::-1], y.shape[::-1], strict=False)
    return all(n == m or 1 in (n, m) for n, m in pairs)


def _select(g: Builder, rng: random.Random, x: Value, y: Value) -> Value | None:
    return g.select(g.gt(x, 0.0), y, rng.choice([0.0, 1.0])) if x.shape == y.shape else None


def _power(g: Builder, rng: random.Random, x: Value, y: Value) -> Value:
    return g.pow(g.add(g.tanh(x), 3.0), rng.choice([1.0, 2.0, 3.0, -1.0, -2.0, 0.5]))


def _sum(g: Builder, rng: random.Random, x: Value, y: Value) -> Value:
    axes = tuple(axis for axis in range(x.type.rank) if rng.random() < 0.6)
    return g.emit(rng.choice(["reduce_sum", "reduce_sum", "reduce_max"]), x, axes=axes)


def _contracted(g: Builder, rng: random.Random, x: Value, y: Value) -> Value | None:
    pairs = [(i, j) for i, n in enumerate(x.shape) for j, m in enumerate(y.shape) if n == m]
    rng.shuffle(pairs)
    chosen: list[tuple[int, int]] = []
    for i, j in pairs:
        if rng.random() < 0.7 and all(i != a and j != b for a, b in chosen):
            chosen.append((i, j))
    cut = rng.randint(0, len(chosen))
    inner, along = chosen[:cut], chosen[cut:]
    return g.contract(
        x,
        y,
        lhs_contract=tuple(i for i, _ in inner),
        rhs_contract=tuple(j for _, j in inner),
        lhs_batch=tuple(i for i, _ in along),
        rhs_batch=tuple(j for _, j in along),
    )


def _moved(g: Builder, rng: random.Random, x: Value, y: Value) -> Value | None:
    rank = x.type.rank
    order = list(range(rank))
    rng.shuffle(order)
    axes = tuple(axis for axis in range(rank) if rng.random() < 0.5)
    starts = tuple(rng.randint(0, n - 1) for n in x.shape)
    kinds = [
        lambda: g.permute(x, order=tuple(order)),
        lambda: g.reshape(x, (x.type.size,)),
        lambda: g.reshape(x, (*x.shape, 1)),
        lambda: g.broadcast(x, (rng.choice(LENGTHS), *x.shape)),
        lambda: g.reverse(x, axes=axes),
        lambda: g.emit("slice", x, starts=starts, stops=x.shape, strides=(1,) * rank),
        lambda: g.emit("pad", x, low=(1,) * rank, high=(0,) * rank, interior=(0,) * rank),
    ]
    return rng.choice(kinds)()


_MAKERS = [
    _scaled,
    _scaled,
    _unary,
    _binary,
    _binary,
    _binary,
    _select,
    _power,
    _sum,
    _sum,
    _contracted,
    _moved,
    _moved,
]
