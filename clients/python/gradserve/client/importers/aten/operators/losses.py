"""Losses that are operators of their own."""

from __future__ import annotations

import math

from gradserve.client.importers.aten.table import Node, Result, translates
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.losses import negative_log_likelihood, shares
from gradserve.ir.builder import Value

_REDUCTIONS = ("none", "mean", "sum")


def _reduced(n: Node, losses: Value, reduction: int) -> Value:
    kind, axes = _REDUCTIONS[reduction], tuple(range(losses.type.rank))
    if kind == "none" or not axes:
        return losses
    total = n.g.reduce_sum(losses, axes=axes)
    return total if kind == "sum" else n.g.div(total, float(math.prod(losses.shape)))


@translates("nll_loss_forward", "nll_loss2d_forward")
def _nll(
    n: Node, scores: Operand, labels: Operand, weight: Operand | None, reduction: int, ignore_index: int
) -> Result:
    """Minus the scores at labels, weighted by class, and the sum of the weights."""
    g = n.g
    value, rows = scores.value, labels.value
    if scores.rank == 1:
        value, rows = g.reshape(value, (1, *value.shape)), g.reshape(rows, (1,))
    weights = None if weight is None else weight.value
    kind = _REDUCTIONS[reduction]
    found = negative_log_likelihood(g, value, rows, weights, ignore_index, kind)
    share = shares(g, value, rows, weights, ignore_index)[1]
    total = g.reduce_sum(share, axes=(0,)) if kind != "none" else n.of(0)
    return [g.reshape(found, n.shape), total]


@translates("mse_loss", "smooth_l1_loss", "huber_loss")
def _of_differences(n: Node, x: Operand, y: Operand, reduction: int = 1, width: float = 1.0) -> Result:
    """Squares of differences, or absolute ones where these are large."""
    g = n.g
    rest = g.sub(n.of(x), n.of(y))
    if n.name == "mse_loss":
        return _reduced(n, g.mul(rest, rest), reduction)
    far = g.sub(g.abs(rest), 0.5 * width)
    near = g.mul(g.mul(rest, rest), 0.5)
    if n.name == "huber_loss":
        far = g.mul(far, width)
    elif width:
        near = g.div(near, width)
    return _reduced(n, g.select(g.lt(g.abs(rest), width), near, far), reduction)
