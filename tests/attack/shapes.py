"""Graphs of one number in shapes that ops in rows do not have, each of as many parts as it is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.custom_derivative import CustomDerivative
from gradserve.ops.control.derivatives import Jvp, Vjp
from gradserve.ops.control.once import Checkpoint
from gradserve.ops.control.scan import Scan

REAL = TensorType(ElementType.FLOAT64)
_DEEP = 9
"""Functions in each other, each of which calls the one within it twice."""


def _branched(g: Builder, x: Value, count: int) -> Value:
    """Each value read twice, by two functions that are added."""
    for k in range(count):
        x = g.tanh(x * (1.0 + k / 64)) * g.exp(-x) + g.logaddexp(x, g.sin(x))
    return x


def _divided(g: Builder, x: Value, count: int) -> Value:
    """Continued fractions."""
    total = x
    for k in range(count):
        total = (x + float(k)) / (total * total + 1.0 + x)
    return total


def _raised(g: Builder, x: Value, count: int) -> Value:
    """Powers of powers, exponents moving as well."""
    y = x
    for _ in range(count):
        y = g.emit("pow", g.emit("logistic", y), g.sin(x * y))
    return y


def _joined(g: Builder, x: Value, count: int) -> Value:
    """Joined with itself, squared, cut and joined again."""
    row_ = g.reshape(x, (1,))
    for k in range(count):
        both = g.emit("concatenate", row_, g.sin(row_ * (1.0 + k)), axis=0)
        row_ = g.reshape(g.reduce_sum(both * both, axes=(0,)), (1,))
    return g.reshape(row_, ())


def _multiplied(g: Builder, x: Value, count: int) -> Value:
    """Products of matrices, one after the other and each transposed."""
    matrix = g.broadcast(x, (3, 3)) * g.constant(np.eye(3) + 0.1)
    parts = {"lhs_contract": (1,), "rhs_contract": (0,), "lhs_batch": (), "rhs_batch": ()}
    last = matrix
    for _ in range(count):
        last = g.tanh(g.emit("contract", last, g.emit("permute", last * matrix, order=(1, 0)), **parts))
    return g.reduce_sum(last, axes=(0, 1))


def _nested(g: Builder, x: Value, count: int) -> Value:
    """Choices in checkpoints in choices, each of which calls the one within it twice."""
    inner = builder()
    given = inner.input("x0", REAL)
    function = inner.build({"y0": inner.sin(given * given)})
    for k in range(min(count, _DEEP)):
        outer = builder()
        y = outer.input("x0", REAL)
        for _ in range(2):
            if k % 2:
                (y,) = outer.apply(Checkpoint(function), [y])
            else:
                (y,) = outer.apply(Cond(function, function), [outer.gt(y, 0.5), outer.tanh(y)])
        function = outer.build({"y0": y})
    return g.apply(Checkpoint(function), [x])[0]


def _read_often(g: Builder, x: Value, count: int) -> Value:
    """A sum over products of each two of many functions."""
    many = [g.sin(x * float(k + 1)) for k in range(max(2, int(count**0.5)))]
    total = x
    for one, other in itertools.combinations(many, 2):
        total = total + one * other / (1.0 + one * one)
    return total


def _looped(g: Builder, x: Value, count: int) -> Value:
    """Loops within loops, each of three steps and with a number of its own."""
    function = _sine(1.0)
    for k in range(min(count, _DEEP)):
        outer = builder()
        y = outer.input("x0", REAL)
        steps = Scan(function, length=3, carries=1, scanned=0, reverse=bool(k % 2), stops=False)
        (z,) = outer.apply(steps, [outer.constant(3), y])
        function = outer.build({"y0": z * (1.0 + k / 64) + y})
    return g.apply(Checkpoint(function), [x])[0]


def _in_a_row(g: Builder, x: Value, count: int) -> Value:
    """Loops behind each other, none like another."""
    for k in range(count):
        steps = Scan(_sine(1.0 + k), length=3, carries=1, scanned=0, reverse=False, stops=False)
        (x,) = g.apply(steps, [g.constant(3), x])
    return x


def _chosen(g: Builder, x: Value, count: int) -> Value:
    """Choices behind each other, between functions that are none like another."""
    for k in range(count):
        (x,) = g.apply(Cond(_sine(1.0 + k), _sine(-1.0 - k)), [g.gt(x, k / 64), x])
    return x


def _by_own_rules(g: Builder, x: Value, count: int) -> Value:
    """Functions with rules of their authors', none like another."""
    for k in range(count):
        h = builder()
        primal, tangent, _ = (h.input(f"x{j}", REAL) for j in range(3))
        rule = h.build({"y0": tangent * h.cos(primal * (1.0 + k)) * (1.0 + k)})
        (x,) = g.apply(CustomDerivative(_sine(1.0 + k), rule, (0,)), [x])
    return x


def _derived(g: Builder, x: Value, count: int) -> Value:
    """Derivatives of many functions, forward and reverse by turns."""
    total = x
    for k in range(count):
        kind = Vjp if k % 2 else Jvp
        total = total + g.apply(kind(_sine(1.0 + k), (0,), stacked=False), [x, total])[-1]
    return total


def _of_constants(g: Builder, x: Value, count: int) -> Value:
    """Many arrays of numbers of their own."""
    total = g.broadcast(x, (2,))
    for k in range(count):
        total = g.sin(total * g.constant(np.array([k, k + 0.5]))) + total
    return g.reduce_sum(total, axes=(0,))


def _of_many_axes(g: Builder, x: Value, count: int) -> Value:
    """Contractions of arrays of twelve axes, whose order is another each time."""
    axes = 12
    array = g.broadcast(x, (2, *[1] * (axes - 1)))
    parts = {"lhs_batch": tuple(range(2, axes)), "rhs_batch": tuple(range(2, axes))}
    last = array
    for k in range(count):
        order = tuple(np.roll(np.arange(axes), 1 + k % (axes - 1)).tolist())
        turned = g.emit("permute", g.sin(last), order=order)
        last = g.emit("permute", turned, order=tuple(np.argsort(order).tolist())) * array
        if k % 8 == 0:
            (row,) = (g.emit("contract", last, array, lhs_contract=(0, 1), rhs_contract=(0, 1), **parts),)
            last = last * g.reduce_sum(row, axes=tuple(range(axes - 2)))
    return g.reduce_sum(last, axes=tuple(range(axes)))


def _of_windows(g: Builder, x: Value, count: int) -> Value:
    """Convolutions along three axes, one after the other."""
    array = g.broadcast(x, (4, 4, 4))
    for k in range(count):
        seen = g.emit("windows", array, axes=(0, 1, 2), sizes=(2, 2, 2), strides=(1, 1, 1), dilations=(1, 1, 1))
        weights = g.constant(np.arange(8.0).reshape(2, 2, 2) / 8 + k / 64)
        parts = {"lhs_contract": (3, 4, 5), "rhs_contract": (0, 1, 2), "lhs_batch": (), "rhs_batch": ()}
        small = g.emit("contract", seen, weights, **parts)
        array = g.tanh(g.emit("pad", small, low=(1, 0, 1), high=(0, 1, 0), interior=(0, 0, 0)))
    return g.reduce_sum(array, axes=(0, 1, 2))


def _sine(factor: float) -> Graph:
    inner = builder()
    x = inner.input("x0", REAL)
    return inner.build({"y0": inner.sin(x * factor) + inner.tanh(x) * x})


SHAPES: dict[str, Callable[[Builder, Value, int], Value]] = {
    "branched": _branched, "divided": _divided, "raised": _raised, "joined": _joined, "multiplied": _multiplied,
    "nested": _nested, "read often": _read_often, "looped": _looped, "loops in a row": _in_a_row,
    "choices": _chosen, "own rules": _by_own_rules, "derivatives": _derived, "constants": _of_constants,
    "many axes": _of_many_axes, "windows": _of_windows,
}  # fmt: skip


def of_shape(shape: Callable[[Builder, Value, int], Value], count: int) -> Graph:
    """The graph of one number."""
    g = builder()
    return g.build({"loss": shape(g, g.input("x0", REAL), count)})
