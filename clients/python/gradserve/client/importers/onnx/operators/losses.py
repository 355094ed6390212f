"""Losses that are operators."""

from __future__ import annotations

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import permute
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy import exponentials
from gradserve.numpy.recorder import Recorder


def negative_log_likelihood(
    g: Recorder, scores: Value, labels: Value, weights: Value | None, ignored: int | None, reduction: str
) -> Value:
    """Minus the scores (n, classes, ...) at labels (n, ...), weighted by class, summed or averaged.

    Labels equal to `ignored` count nothing; the mean is that of the weights.
    """
    classes, rank = scores.shape[1], scores.type.rank
    last = permute(g, scores, (0, *range(2, rank), 1))
    rows = labels.type.size
    found = g.reshape(g.convert(labels, ElementType.INT64), (rows,))
    share = g.full(TensorType(scores.type.element_type, (rows,)), 1)
    if ignored is not None:
        kept = g.ne(found, ignored)
        found, share = g.select(kept, found, 0), g.convert(kept, scores.type.element_type)
    if weights is not None:
        share = g.mul(share, g.emit("gather", weights, found, axis=0))
    begins = g.mul(g.emit("iota", length=rows, element_type=ElementType.INT64), classes)
    there = g.logical_and(g.ge(found, 0), g.lt(found, classes))
    # A label that is no class leads to no element, which is refused when it is run.
    places = g.select(there, g.add(begins, found), -1)
    chosen = g.emit("gather", g.reshape(last, (rows * classes,)), places, axis=0)
    losses = g.neg(g.mul(chosen, share))
    if reduction == "none":
        return g.reshape(losses, labels.type.shape)
    total = g.reduce_sum(losses, axes=(0,))
    return total if reduction == "sum" else g.div(total, g.reduce_sum(share, axes=(0,)))


@translates("NegativeLogLikelihoodLoss")
def nll_loss(n: Node, scores: Operand, labels: Operand, weights: Operand | None = None) -> Result:
    """Minus the scores at the labels."""
    weighted = None if weights is None else weights.value
    told = n.get("ignore_index"), n.get("reduction", "mean")
    return negative_log_likelihood(n.g, scores.value, labels.value, weighted, *told)


@translates("SoftmaxCrossEntropyLoss")
def cross_entropy_loss(n: Node, scores: Operand, labels: Operand, weights: Operand | None = None) -> Result:
    """Minus the logarithms of the probabilities at the labels, and all of these logarithms."""
    weighted = None if weights is None else weights.value
    logs = exponentials.log_softmax(scores.value, axis=1)
    told = n.get("ignore_index"), n.get("reduction", "mean")
    return [negative_log_likelihood(n.g, logs, labels.value, weighted, *told), logs]
