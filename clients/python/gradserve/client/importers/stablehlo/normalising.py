"""Operations that normalise the features of a batch by its mean and variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import along
from gradserve.client.importers.stablehlo.given import Compute, integer
from gradserve.client.importers.stablehlo.syntax import Operation
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported


class _Features:
    """The features of a batch along one of its axes."""

    def __init__(self, g: Builder, op: Operation, batch: Operand) -> None:
        epsilon = op.attributes.get("epsilon")
        if not isinstance(epsilon, int | float):
            raise Unsupported("its epsilon is not told", "give epsilon = 1.0e-5")
        self.g, self.shape, self.epsilon = g, batch.shape, float(np.float32(epsilon))
        self._axis = integer(op, "feature_index")
        self._others = tuple(k for k in range(batch.rank) if k != self._axis)
        self.count = float(batch.value.type.size // max(batch.shape[self._axis], 1))

    def spread(self, each: Value) -> Value:
        """A number of each feature, wherever the feature is."""
        return self.g.broadcast(along(self.g, each, self._axis, len(self.shape)), self.shape)

    def total(self, x: Value) -> Value:
        """The sum of each feature."""
        return self.g.reduce_sum(x, axes=self._others) if self._others else x

    def roots(self, variance: Value) -> Value:
        """The standard deviations."""
        return self.g.sqrt(self.g.add(variance, self.epsilon))

    def normalised(self, x: Value, scale: Value, offset: Value, mean: Value, variance: Value) -> Value:
        """x as it is normalised by these."""
        g = self.g
        whole = g.div(g.sub(x, self.spread(mean)), self.spread(self.roots(variance)))
        return g.add(g.mul(whole, self.spread(scale)), self.spread(offset))


def _inference(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    batch, scale, offset, mean, variance = (each.value for each in x)
    return _Features(g, op, x[0]).normalised(batch, scale, offset, mean, variance)


def _training(g: Builder, op: Operation, x: Sequence[Operand]) -> list[Value]:
    batch, scale, offset = (each.value for each in x)
    features = _Features(g, op, x[0])
    mean = g.div(features.total(batch), features.count)
    rest = g.sub(batch, features.spread(mean))
    variance = g.div(features.total(g.mul(rest, rest)), features.count)
    return [features.normalised(batch, scale, offset, mean, variance), mean, variance]


def _gradient(g: Builder, op: Operation, x: Sequence[Operand]) -> list[Value]:
    batch, scale, mean, variance, given = (each.value for each in x)
    features = _Features(g, op, x[0])
    roots = features.roots(variance)
    whole = g.div(g.sub(batch, features.spread(mean)), features.spread(roots))
    of_scale, of_offset = features.total(g.mul(given, whole)), features.total(given)
    shared = g.add(features.spread(of_offset), g.mul(whole, features.spread(of_scale)))
    own = g.sub(given, g.div(shared, features.count))
    return [g.mul(features.spread(g.div(scale, roots)), own), of_scale, of_offset]


NORMALISING: Mapping[str, Compute] = {
    "batch_norm_inference": _inference,
    "batch_norm_training": _training,
    "batch_norm_grad": _gradient,
}
"""By name, without the dialect."""
