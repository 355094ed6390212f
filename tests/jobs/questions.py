"""Random questions: small losses and vector functions, what may be asked of each, and limits that some break."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.jobs.sweeps.limits import Limits
from gradserve.ops import builder
from gradserve.questions.call import Batch, Call, Options, Placement, Reduction
from gradserve.questions.derivations import DERIVATIONS, TANGENTS, Derivation, Jacobian, Mode
from gradserve.questions.derivatives import Differentiate
from tests.jobs.support import F32, F64, real, total

LOSSES_ONLY = ("gradient", "hvp", "hessian")
BATCHES: tuple[Reduction | None, ...] = (None, *Reduction)
DRAWN = 2
"""Derivations of each graph."""
SMALLEST = {"value_bytes": 64, "peak_bytes": 1000, "flops": 300.0, "result_bytes": 100, "points": 4}
"""Limits that about half of the questions break."""


def random_graph(rng: random.Random) -> Graph:
    """Of 1 to 3 inputs; a loss, or two outputs of which one is a vector."""
    g = builder()
    element_type = rng.choice([F64, F64, F32])
    inputs = [
        g.input(f"x{k}", real(*rng.choice([(), (3,), (4,), (2, 3)]), element_type=element_type))
        for k in range(rng.randint(1, 3))
    ]
    parts = [_changed(g, rng, x) for x in inputs]
    loss = total(g, parts[0])
    for part in parts[1:]:
        loss = rng.choice([lambda a, b: a + b, lambda a, b: a * b, lambda a, b: g.sin(a) - b])(loss, total(g, part))
    if rng.random() < 0.6:
        return g.build({"loss": loss * 0.5})
    return g.build({"y": _changed(g, rng, parts[0]) * loss, "z": parts[-1]})


def _changed(g: Builder, rng: random.Random, x: Value) -> Value:
    elementwise: list[Callable[[Value], Value]] = [
        g.sin,
        g.tanh,
        g.exp,
        g.abs,
        lambda v: v * v,
        lambda v: v / (v * v + 1.0),
    ]
    for _ in range(rng.randint(1, 3)):
        x = rng.choice(elementwise)(x)
        if rng.random() < 0.4:
            x = x * g.constant(
                np.array([rng.uniform(-1, 1) for _ in range(x.type.size)]).reshape(x.shape), x.type.element_type
            )
    return x


def random_limits(rng: random.Random) -> Limits:
    """One or two of the limits small, or none at all."""
    small: dict[str, Any] = {name: type(most)(most * rng.choice([0.3, 1, 4])) for name, most in SMALLEST.items()}
    return Limits(**{name: small[name] for name in rng.sample(sorted(small), rng.randint(0, 2))})


@dataclass(frozen=True)
class Case:
    """A question, and the limits under which it is asked."""

    question: Differentiate
    limits: Limits


def cases(seed: int) -> Iterator[Case]:
    """Some derivations of one random graph, each with a batch and with limits; other seeds have others."""
    rng = random.Random(seed)
    graph = random_graph(rng)
    is_loss = [*graph.output_types] == ["loss"]
    possible = [of for name, of in DERIVATIONS.items() if is_loss or name not in LOSSES_ONLY]
    for k in range(DRAWN):
        of = possible[(DRAWN * seed + k) % len(possible)]
        yield Case(_question(rng, graph, of, rng.choice(BATCHES)), random_limits(rng))


def _question(rng: random.Random, graph: Graph, of: type[Derivation], reduction: Reduction | None) -> Differentiate:
    names = list(graph.input_types)
    batched = () if reduction is None else tuple(sorted(rng.sample(names, rng.randint(1, len(names)))))
    points = rng.randint(1, 12)
    wrt = tuple(rng.sample(names, rng.randint(1, len(names))))
    derivation = Jacobian(wrt, rng.choice(list(Mode))) if of is Jacobian else of(wrt)
    numbers = np.random.default_rng(rng.randrange(1 << 30))

    def array(type_: Any, along: bool) -> Any:
        lengths = (points, *type_.lengths) if along else type_.lengths
        return numbers.standard_normal(lengths).astype(type_.element_type.dtype)

    carries = batched if derivation.takes == TANGENTS else (*graph.output_types,) if batched else ()
    return Differentiate(
        Call(
            graph,
            {name: array(type_, name in batched) for name, type_ in graph.input_types.items()},
            None if reduction is None else Batch(batched, reduction),
            Options(placement=rng.choice(list(Placement)), count_kinks=rng.random() < 0.5),
        ),
        derivation,
        {name: array(type_, name in carries) for name, type_ in derivation.vector_types(graph).items()},
    )
