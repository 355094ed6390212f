"""Recurrent layers: one step, scanned over time in one direction or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part, permute
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.ir.builder import Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.numpy import exponentials, products, shaping
from gradserve.numpy.recorder import Recorder

Activation = Callable[[Recorder, Value], Value]
Step = Callable[["Layer", Recorder, Value, list[Value]], list[Value]]
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_USUAL = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


@dataclass(frozen=True)
class Layer:
    """One direction of a layer: its weights, with its gates one below the other, and its activations."""

    n: Node
    w: Value
    r: Value
    bias: Value | None
    """Of the inputs, then of the states."""
    peepholes: Value | None
    activations: Sequence[Activation]
    size: int

    def of_input(self, g: Recorder, x: Value) -> Value:
        """What all gates see of the input."""
        found = products.matmul(x, shaping.transpose(g.adopt(self.w)))
        return found if self.bias is None else g.add(found, self.biases(g, 0))

    def of_state(self, g: Recorder, h: Value, first: int, last: int, with_bias: bool = True) -> Value:
        """What some gates see of the state."""
        low, high = first * self.size, last * self.size
        found = products.matmul(h, shaping.transpose(part(g, g.adopt(self.r), 0, low, high)))
        if self.bias is None or not with_bias:
            return found
        return g.add(found, part(g, self.biases(g, 1), 0, low, high))

    def biases(self, g: Recorder, half: int) -> Value:
        """Those of the inputs or those of the states."""
        assert self.bias is not None
        bias = g.adopt(self.bias)
        middle = bias.shape[0] // 2
        return part(g, bias, 0, half * middle, (half + 1) * middle)

    def gate(self, g: Recorder, gates: Value, k: int) -> Value:
        """The part of one gate."""
        return part(g, gates, 1, k * self.size, (k + 1) * self.size)

    def peephole(self, g: Recorder, k: int, cell: Value) -> Value:
        """What a gate sees of the cell."""
        if self.peepholes is None:
            return g.zeros(cell.type)
        weights = part(g, g.adopt(self.peepholes), 0, k * self.size, (k + 1) * self.size)
        return g.mul(weights, cell)


def _rnn(layer: Layer, g: Recorder, x: Value, state: list[Value]) -> list[Value]:
    return [layer.activations[0](g, g.add(layer.of_input(g, x), layer.of_state(g, state[0], 0, 1)))]


def _gru(layer: Layer, g: Recorder, x: Value, state: list[Value]) -> list[Value]:
    (h,), (f, tanh) = state, layer.activations[:2]
    given, own = layer.of_input(g, x), layer.of_state(g, h, 0, 2)
    update = f(g, g.add(layer.gate(g, given, 0), layer.gate(g, own, 0)))
    reset = f(g, g.add(layer.gate(g, given, 1), layer.gate(g, own, 1)))
    if layer.n.get("linear_before_reset", 0):
        hidden = g.mul(reset, layer.of_state(g, h, 2, 3))
    else:
        hidden = layer.of_state(g, g.mul(reset, h), 2, 3)
    new = tanh(g, g.add(layer.gate(g, given, 2), hidden))
    return [g.add(g.mul(g.sub(1.0, update), new), g.mul(update, h))]


def _lstm(layer: Layer, g: Recorder, x: Value, state: list[Value]) -> list[Value]:
    (h, c), (f, squash, out) = state, layer.activations[:3]
    gates = g.add(layer.of_input(g, x), layer.of_state(g, h, 0, 4))
    enter = f(g, g.add(layer.gate(g, gates, 0), layer.peephole(g, 0, c)))
    forget = f(g, g.add(layer.gate(g, gates, 2), layer.peephole(g, 2, c)))
    if layer.n.get("input_forget", 0):
        forget = g.sub(1.0, enter)
    cell = g.add(g.mul(forget, c), g.mul(enter, squash(g, layer.gate(g, gates, 3))))
    leave = f(g, g.add(layer.gate(g, gates, 1), layer.peephole(g, 1, cell)))
    return [g.mul(leave, out(g, cell)), cell]


_STEPS: dict[str, Step] = {"RNN": _rnn, "GRU": _gru, "LSTM": _lstm}


_NUMBERS: dict[str, dict[str, float | None]] = {
    "affine": {"alpha": 1.0, "beta": 0.0},
    "elu": {"alpha": 1.0},
    "hardsigmoid": {"alpha": 0.2, "beta": 0.5},
    "leakyrelu": {"alpha": 0.01},
    "scaledtanh": {"alpha": None, "beta": None},
    "thresholdedrelu": {"alpha": 1.0},
}
"""The numbers that activations have, and what they are if none is given."""


def _activations(n: Node, names: Sequence[str]) -> list[Activation]:
    """Activations by their names; each takes the next of the numbers that are given, if it has such."""
    left = {label: list(n.get(f"activation_{label}", [])) for label in ("alpha", "beta")}
    found = []
    for name in names:
        told: dict[str, float] = {}
        for label, default in _NUMBERS.get(name.lower(), {}).items():
            number = left[label].pop(0) if left[label] else default
            if number is None:
                raise n.refuse(f"the activation {name} has no {label}", f"give activation_{label}")
            told[label] = float(number)
        found.append(_cut(n, _activation(n, name, **told)))
    return found


def _activation(n: Node, name: str, alpha: float = 0.0, beta: float = 0.0) -> Activation:
    known: dict[str, Activation] = {
        "tanh": lambda g, x: g.tanh(x),
        "sigmoid": lambda g, x: g.logistic(x),
        "relu": lambda g, x: g.select(g.le(x, 0), 0, x),
        "affine": lambda g, x: g.add(g.mul(x, alpha), beta),
        "elu": lambda g, x: g.select(g.le(x, 0), g.mul(g.expm1(g.minimum(x, 0.0)), alpha), x),
        "hardsigmoid": lambda g, x: g.clip(g.add(g.mul(x, alpha), beta), 0.0, 1.0),
        "leakyrelu": lambda g, x: g.select(g.lt(x, 0), g.mul(x, alpha), x),
        "scaledtanh": lambda g, x: g.mul(g.tanh(g.mul(x, beta)), alpha),
        "softplus": lambda g, x: exponentials.softplus(x),
        "softsign": lambda g, x: g.div(x, g.add(g.abs(x), 1.0)),
        "thresholdedrelu": lambda g, x: g.select(g.gt(x, alpha), x, 0),
    }
    if name.lower() not in known:
        raise n.refuse(f"the activation {name} is not known here", f"use one of {', '.join(known)}")
    return known[name.lower()]


def _cut(n: Node, activation: Activation) -> Activation:
    """The activation of what it is given within the bound that the layer has, if it has one."""
    bound = float(n.get("clip", 0.0))
    return (lambda g, x: activation(g, g.clip(x, -bound, bound))) if bound else activation


@translates("RNN", "GRU", "LSTM")
def recurrent(
    n: Node,
    x: Operand,
    w: Operand,
    r: Operand,
    b: Operand | None = None,
    lengths: Operand | None = None,
    h: Operand | None = None,
    c: Operand | None = None,
    p: Operand | None = None,
) -> Result:
    """The states of all times, and the last ones."""
    g, size = n.g, r.shape[2]
    turned = n.get("layout", 0)
    rows = permute(g, x.value, (1, 0, 2)) if turned else x.value
    batch, found = rows.shape[1], list[list[Value]]()
    directions = w.shape[0]
    activations = _activations(n, n.get("activations", _USUAL[n.operation] * directions))
    for k in range(directions):
        backward = k == 1 or n.get("direction", "forward") == "reverse"
        layer = _layer(n, k, size, w, r, b, p, activations)
        begin = [_first(n, each, k, batch, size, turned, x) for each in ((h, c) if n.operation == "LSTM" else (h,))]
        found.append(_run(n, layer, rows, begin, lengths, backward))
    ways = list(zip(*found, strict=True))
    all_states = _stacked(n, ways[0], 1)
    last = [_stacked(n, each, 0) for each in ways[1:]]
    if turned:
        all_states = permute(g, all_states, (2, 0, 1, 3))
        last = [permute(g, each, (1, 0, 2)) for each in last]
    return [all_states, *last]


def _stacked(n: Node, values: Sequence[Value], axis: int) -> Value:
    shapes = [(*v.shape[:axis], 1, *v.shape[axis:]) for v in values]
    return n.g.emit("concatenate", *(n.g.reshape(v, s) for v, s in zip(values, shapes, strict=True)), axis=axis)


def _layer(
    n: Node,
    k: int,
    size: int,
    w: Operand,
    r: Operand,
    b: Operand | None,
    p: Operand | None,
    activations: Sequence[Activation],
) -> Layer:
    def own(x: Operand | None) -> Value | None:
        return None if x is None else n.g.reshape(part(n.g, x.value, 0, k, k + 1), x.shape[1:])

    count = len(_USUAL[n.operation])
    weights, states = own(w), own(r)
    assert weights is not None
    assert states is not None
    return Layer(n, weights, states, own(b), own(p), activations[k * count : (k + 1) * count], size)


def _first(n: Node, x: Operand | None, k: int, batch: int, size: int, turned: int, like: Operand) -> Value:
    if x is None:
        return n.g.zeros(like.value.type.with_shape((batch, size)))
    axis = 1 if turned else 0
    return n.g.reshape(part(n.g, x.value, axis, k, k + 1), (batch, size))


def _run(
    n: Node, layer: Layer, rows: Value, begin: list[Value], lengths: Operand | None, backward: bool
) -> list[Value]:
    """The states of all times, then the last ones; behind the end of an example states stay, and results are 0."""
    g, count, batch = n.g, rows.shape[0], rows.shape[1]
    dtype, whole = np.dtype(rows.type.element_type.dtype), np.dtype(np.int64)
    times = g.emit("iota", length=count, element_type=ElementType.INT64)

    def step(inner: Recorder, given: list[Operand]) -> list[Operand]:
        state, (x, time) = [each.value for each in given[:-2]], [each.value for each in given[-2:]]
        new = _STEPS[n.operation](layer, inner, x, state)
        result = new[0]
        if lengths is not None:
            own = inner.convert(inner.adopt(lengths.value), ElementType.INT64)
            going = inner.broadcast(inner.reshape(inner.lt(time, own), (batch, 1)), new[0].shape)
            result = inner.select(going, new[0], 0)
            new = [inner.select(going, a, b) for a, b in zip(new, state, strict=True)]
        return [*(Operand(each, dtype) for each in new), Operand(result, dtype)]

    carries, over = [Operand(each, dtype) for each in begin], [Operand(rows, dtype), Operand(times, whole)]
    *last, states = control.scan(g, step, carries, over, count, backward)
    return [states, *last]
