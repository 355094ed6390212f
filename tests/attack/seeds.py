"""Correct graphs to be mutated: a loss of every op at every sample, and chains of ops after each other."""

import functools
import random

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ops import OP_SET, builder
from gradserve.v1 import graph_pb2
from gradserve.wire import encode_graph
from tests.laws.support import apply

CHAIN = (
    "sin", "exp", "log", "acos", "atanh", "tanh", "sqrt", "erf", "gammaln", "abs", "logistic", "asinh", "log1p",
    "digamma", "acosh", "erfcx", "cbrt", "expm1", "atan", "asin",
)  # fmt: skip
"""Functions of one variable that are put after others."""
_PAIRS = ("atan2", "pow", "maximum", "logaddexp", "div", "mul")


def loss(g: Builder, values: list[Value]) -> Value:
    """The sum of all elements of the floating-point ones among the values, or of their parts, squared and not."""
    parts = [part for x in values for part in ((g.real(x), g.imag(x)) if x.type.is_complex else (x,))]
    real = [g.convert(x, parts[0].type.element_type) for x in parts if x.type.is_real]
    return functools.reduce(g.add, [g.reduce_sum(x * x + x, axes=tuple(range(x.type.rank))) for x in real])


@functools.cache
def seeds() -> list[bytes]:
    """The graphs, encoded."""
    found = []
    for op in OP_SET:
        if op.internal:
            continue
        for sample in op.samples():
            g = builder()
            results = apply(g, sample)
            real = [x for x in results.values() if x.type.is_float]
            found.append(g.build(results))
            if real:
                found.append(g.build({**results, "loss": loss(g, real)}, None))
    return [encode_graph(graph).SerializeToString() for graph in found]


def chain(dice: random.Random) -> graph_pb2.Graph:
    """A few elementwise functions of two inputs and a constant, one after the other."""
    g = builder()
    x, y = (g.input(name, g.constant(np.ones(2)).type) for name in ("x", "y"))
    values = [x, y, g.constant(np.array([0.25, -0.5]))]
    known = [name for name in CHAIN if OP_SET.find(name)]
    for _ in range(dice.randint(1, 6)):
        if dice.random() < 0.3:
            values.append(g.emit(dice.choice(_PAIRS), dice.choice(values), dice.choice(values)))
        else:
            values.append(g.emit(dice.choice(known), dice.choice(values)))
    return encode_graph(g.build({"loss": loss(g, values[-1:])}))
