"""Correct graphs to be mutated: a loss of every op at every sample, chains of functions, programs of any ops."""

import functools
import random

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import GradserveError
from gradserve.ir.graph import Graph
from gradserve.ir.op import Op
from gradserve.ir.types import TensorType
from gradserve.ops import OP_SET, builder
from gradserve.v1 import graph_pb2
from gradserve.wire import encode_graph
from tests.ir.strategies import applications, fitted
from tests.laws.support import apply

CHAIN = (
    "sin", "exp", "log", "acos", "atanh", "tanh", "sqrt", "erf", "gammaln", "abs", "logistic", "asinh", "log1p",
    "digamma", "acosh", "erfcx", "cbrt", "expm1", "atan", "asin",
)  # fmt: skip
"""Functions of one variable that are put after others."""
_PAIRS = ("atan2", "pow", "maximum", "logaddexp", "div", "mul")
_DEPTH = 3
"""How deep functions are put into functions."""


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


def program(dice: random.Random) -> Graph:
    """Any ops after each other, with others within the functions that they call, and perhaps a loss."""
    g = builder()
    values: list[Value] = []
    _emit(g, values, dice, _DEPTH)
    real = [value for value in values[-4:] if value.type.is_float]
    return g.build({"loss": loss(g, real)} if real and dice.random() < 0.8 else {"y": values[-1]})


@functools.cache
def _ops() -> tuple[list[type[Op]], list[type[Op]]]:
    """All that may be sent, and those of them that call functions."""
    every = sorted((op for op in OP_SET if not op.internal), key=lambda op: op.name)
    return every, [op for op in every if op.calls_functions]


def _emit(g: Builder, values: list[Value], dice: random.Random, depth: int) -> None:
    """Puts one to three applications after the values, each of operands made of these or of new inputs."""
    every, calling = _ops()
    for _ in range(dice.choice((1, 2, 2, 3))):
        op, types = dice.choice(applications(dice.choice(calling if depth and dice.random() < 0.4 else every)))
        operands = [_operand(g, values, type_, dice, inner=depth < _DEPTH) for type_ in types]
        try:
            values += g.apply(_filled(op, dice, depth - 1) if depth and op.calls_functions else op, operands)
        except GradserveError:  # such functions must be linear
            values += g.apply(op, operands)


def _operand(g: Builder, values: list[Value], type_: TensorType, dice: random.Random, inner: bool) -> Value:
    if values and (inner or dice.random() < 0.6):
        return fitted(g, dice.choice(values[-4:]), type_)
    if inner or dice.random() < 0.1:
        return g.constant(np.ones(type_.lengths, type_.element_type.dtype))
    values.append(g.input(f"x{len(values)}", type_))
    return values[-1]


def _filled(op: Op, dice: random.Random, depth: int) -> Op:
    """The op with more within its functions."""

    def grown(function: Graph) -> Graph:
        if dice.random() < 0.4:
            return function
        g = builder()
        values = [g.input(i.name, i.type) for i in function.inputs]
        _emit(g, values, dice, depth)
        made = [fitted(g, values[-1], type_) for type_ in function.output_types.values()]
        return g.build(dict(zip(function.output_types, made, strict=True)))

    return op.with_functions(grown)
