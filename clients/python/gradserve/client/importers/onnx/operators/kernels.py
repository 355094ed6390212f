"""Support vector machines of `ai.onnx.ml`."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.onnx.operators.classical import ML, finished, labels, numbers, real
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import products, shaping, ufuncs


def _kernel(n: Node, x: Value, vectors: Value) -> Value:
    """The kernel of each row of x and each support vector."""
    g, kind = n.g, n.get("kernel_type", "LINEAR")
    gamma, coef0, degree = n.get("kernel_params") or (0.0, 0.0, 0.0)
    if kind == "RBF":
        (rows, width), count = x.shape, vectors.shape[0]
        beside = (rows, count, width)
        rest = g.sub(
            g.broadcast(g.reshape(x, (rows, 1, width)), beside),
            g.broadcast(g.reshape(vectors, (1, count, width)), beside),
        )
        return g.exp(g.mul(g.reduce_sum(g.mul(rest, rest), axes=(2,)), -float(gamma)))
    inner = products.matmul(x, shaping.transpose(vectors))
    if kind == "LINEAR":
        return inner
    moved = g.add(g.mul(inner, float(gamma)), float(coef0))
    if kind == "SIGMOID":
        return g.tanh(moved)
    if kind != "POLY":
        raise n.refuse(f"its kernel is {kind}", "take LINEAR, POLY, RBF or SIGMOID")
    return ufuncs.power(moved, g.constant(int(degree), ElementType.INT32))


def _vectors(n: Node, x: Value, count: int) -> Value:
    return n.g.reshape(numbers(n, "support_vectors", x), (count, x.shape[1]))


@translates("SVMRegressor", domain=ML)
def svm_regressor(n: Node, x: Operand) -> Result:
    """The weighted sum of the kernels of x and the support vectors, or the side that it is of."""
    g, value, count = n.g, real(n, x), n.get("n_supports", 0)
    weights = numbers(n, "coefficients", value)
    inner = _kernel(n, value, _vectors(n, value, count)) if count else value
    found = g.add(products.matmul(inner, g.reshape(weights, (weights.type.size, 1))), float(n.get("rho", [0.0])[0]))
    if n.get("one_class", 0):
        return g.select(g.gt(found, 0.0), 1.0, g.full(found.type, -1.0))
    return finished(n, found)


@translates("SVMClassifier", domain=ML)
def svm_classifier(n: Node, x: Operand) -> Result:
    """The class that most pairs of classes choose, and the score of each pair; of two, their probabilities if told."""
    g, value = n.g, real(n, x)
    sizes = n.get("vectors_per_class") or []
    if not sizes:
        raise n.refuse("it has no support vectors", "export it as a linear classifier")
    stops = np.cumsum(sizes).tolist()
    kernel = _kernel(n, value, _vectors(n, value, stops[-1]))
    weights = np.asarray(n.get("coefficients"), kernel.type.element_type.dtype).reshape(-1, stops[-1])
    ends = [(stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]
    columns = []
    for number, (i, j) in enumerate(combinations(range(len(sizes)), 2)):
        own: Any = np.zeros((stops[-1], 1), weights.dtype)
        own[slice(*ends[i]), 0], own[slice(*ends[j]), 0] = weights[j - 1, slice(*ends[i])], weights[i, slice(*ends[j])]
        columns.append(g.add(products.matmul(kernel, g.constant(own)), float(n.get("rho")[number])))
    chosen = labels(n, _chosen(n, columns, len(sizes), bool(np.min(weights) >= 0)))
    return [chosen, _scores(n, columns, len(sizes))]


def _chosen(n: Node, columns: list[Value], count: int, positive: bool) -> Value:
    """The number of the class that most pairs choose, the first of those that as many do."""
    g, rows = n.g, columns[0].shape[0]
    if count == 2 and positive and not n.get("prob_a"):
        return g.constant(np.ones(rows, np.int64))
    votes: list[Value | None] = [None] * count
    for column, (i, j) in zip(columns, combinations(range(count), 2), strict=True):
        first = g.convert(g.gt(column, 0.0), ElementType.INT32)
        for k, vote in ((i, first), (j, g.sub(1, first))):
            before = votes[k]
            votes[k] = vote if before is None else g.add(before, vote)
    return g.emit("argmax", g.emit("concatenate", *(vote for vote in votes if vote is not None), axis=1), axis=1)


def _scores(n: Node, columns: list[Value], count: int) -> Value:
    g = n.g
    if not n.get("prob_a"):
        pairs = [g.neg(columns[0]), columns[0]] if count == 2 else columns
        return finished(n, g.emit("concatenate", *pairs, axis=1))
    if count > 2:
        raise n.refuse(
            "the probabilities of more than two classes are found by iteration",
            "fit it without probabilities, and take its scores",
        )
    moved = g.add(g.mul(columns[0], float(n.get("prob_a")[0])), float(n.get("prob_b")[0]))
    first = g.clip(g.sub(1.0, g.logistic(moved)), 1e-7, 1 - 1e-7)
    return finished(n, g.emit("concatenate", first, g.sub(1.0, first), axis=1))
