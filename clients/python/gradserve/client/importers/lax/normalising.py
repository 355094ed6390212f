"""Arrays less their means, divided by their standard deviations."""

from __future__ import annotations

import math

from gradserve.ir.builder import Builder, Value


def mean(g: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """The mean along axes, which are kept."""
    sums = g.reduce_sum(x, axes=axes) if axes else x
    shape = tuple(1 if k in axes else length for k, length in enumerate(x.shape))
    return g.reshape(g.div(sums, float(math.prod(x.shape[k] for k in axes))), shape)


def standard(g: Builder, x: Value, axes: tuple[int, ...], epsilon: float) -> tuple[Value, Value, Value]:
    """x less its mean and divided by its standard deviation along axes; the mean; one over the deviation."""
    centre = mean(g, x, axes)
    centred = g.sub(x, centre)
    inverse = g.div(1.0, g.sqrt(g.add(mean(g, g.mul(centred, centred), axes), epsilon)))
    return g.mul(centred, inverse), centre, inverse


def of_channels(g: Builder, rank: int, vector: Value) -> Value:
    """A vector of channels as an array that an array of this rank, whose second axis they are, is combined with."""
    return g.reshape(vector, (1, vector.shape[0], *(1,) * (rank - 2)))
