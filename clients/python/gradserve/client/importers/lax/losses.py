"""Losses of scores at labels."""

from __future__ import annotations

from gradserve.client.importers.lax.movement import permute
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType, TensorType


def shares(g: Builder, scores: Value, labels: Value, weights: Value | None, ignored: int | None) -> tuple[Value, Value]:
    """The labels in a row, 0 for those that are ignored, and how much each counts: by its class, or nothing."""
    rows = labels.type.size
    found = g.reshape(g.convert(labels, ElementType.INT64), (rows,))
    share = g.full(TensorType(scores.type.element_type, (rows,)), 1)
    if ignored is not None:
        kept = g.ne(found, ignored)
        found, share = g.select(kept, found, 0), g.convert(kept, scores.type.element_type)
    if weights is not None:
        share = g.mul(share, g.emit("gather", weights, found, axis=0))
    return found, share


def negative_log_likelihood(
    g: Builder, scores: Value, labels: Value, weights: Value | None, ignored: int | None, reduction: str
) -> Value:
    """Minus the scores (n, classes, ...) at labels (n, ...), weighted by class, summed or averaged.

    Labels equal to `ignored` count nothing; the mean is that of the weights.
    """
    classes, rank, rows = scores.shape[1], scores.type.rank, labels.type.size
    last = permute(g, scores, (0, *range(2, rank), 1))
    found, share = shares(g, scores, labels, weights, ignored)
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
