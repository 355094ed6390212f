"""Losses that are operators."""

from __future__ import annotations

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.losses import negative_log_likelihood
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.numpy import exponentials


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
