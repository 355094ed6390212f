"""Normalisations: of batches by known statistics, of layers, of groups, and by norms."""

from __future__ import annotations

import math

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.normalising import mean, of_channels, standard
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.numpy import windowing


@translates("BatchNormalization")
def batch(n: Node, x: Operand, scale: Operand, bias: Operand, centre: Operand, variance: Operand) -> Result:
    """Channels normalised by given means and variances, or, in training mode, by those of the batch."""
    g, epsilon = n.g, n.get("epsilon", 1e-5)
    factor, shift = (of_channels(n.g, x.rank, each.value) for each in (scale, bias))
    if not n.get("spatial", 1):
        raise n.refuse("each element has statistics of its own", "export the model with operator set 9 or later")
    if not n.get("training_mode", 0):
        middle, spread = (of_channels(n.g, x.rank, each.value) for each in (centre, variance))
        unit = g.div(g.sub(x.value, middle), g.sqrt(g.add(spread, epsilon)))
        return [g.add(g.mul(unit, factor), shift)]
    axes = (0, *range(2, x.rank))
    unit, own, _ = standard(n.g, x.value, axes, epsilon)
    centred = g.sub(x.value, own)
    squares, momentum = mean(n.g, g.mul(centred, centred), axes), n.get("momentum", 0.9)
    running = [
        g.add(g.mul(old.value, momentum), g.mul(g.reshape(new, old.shape), 1 - momentum))
        for old, new in ((centre, own), (variance, squares))
    ]
    return [g.add(g.mul(unit, factor), shift), *running]


@translates("InstanceNormalization")
def instance(n: Node, x: Operand, scale: Operand, bias: Operand) -> Result:
    """Each channel of each example normalised by itself."""
    unit = standard(n.g, x.value, tuple(range(2, x.rank)), n.get("epsilon", 1e-5))[0]
    return n.g.add(n.g.mul(unit, of_channels(n.g, x.rank, scale.value)), of_channels(n.g, x.rank, bias.value))


@translates("LayerNormalization")
def layer(n: Node, x: Operand, scale: Operand, bias: Operand | None = None) -> Result:
    """The last axes normalised, and what they were normalised by."""
    axes = tuple(range(axis_in(n.get("axis", -1), x.rank), x.rank))
    unit, centre, inverse = standard(n.g, x.value, axes, n.get("epsilon", 1e-5))
    found = n.g.mul(unit, scale.value)
    return [found if bias is None else n.g.add(found, bias.value), centre, inverse]


@translates("RMSNormalization")
def root_mean_square(n: Node, x: Operand, scale: Operand) -> Result:
    """The last axes divided by the roots of their mean squares."""
    g, axes = n.g, tuple(range(axis_in(n.get("axis", -1), x.rank), x.rank))
    square = mean(n.g, g.mul(x.value, x.value), axes)
    return g.mul(g.div(x.value, g.sqrt(g.add(square, n.get("epsilon", 1e-5)))), scale.value)


@translates("GroupNormalization")
def group(n: Node, x: Operand, scale: Operand, bias: Operand) -> Result:
    """Groups of channels normalised; the factors are those of channels, or of groups in older sets."""
    g, groups = n.g, n.get("num_groups")
    lead, channels = x.shape[:2]
    apart = g.reshape(x.value, (lead, groups, -(-math.prod(x.shape[1:]) // groups)))
    unit = standard(n.g, apart, (2,), n.get("epsilon", 1e-5))[0]
    whole = g.reshape(unit, (lead, groups, channels // groups, *x.shape[2:]))
    each = (1, groups, 1) if scale.shape[0] == groups and n.version < 21 else (1, groups, channels // groups)
    wide = (*each, *(1,) * (x.rank - 2))
    factor, shift = (g.reshape(vector.value, wide) for vector in (scale, bias))
    return g.reshape(g.add(g.mul(whole, factor), shift), x.shape)


@translates("LpNormalization")
def by_norm(n: Node, x: Operand) -> Result:
    """x divided by its norm along an axis; 0 where that is 0."""
    g, axis = n.g, axis_in(n.get("axis", -1), x.rank)
    parts = g.abs(x.value) if n.get("p", 2) == 1 else g.mul(x.value, x.value)
    sums = g.reshape(g.reduce_sum(parts, axes=(axis,)), tuple(1 if k == axis else m for k, m in enumerate(x.shape)))
    norm = sums if n.get("p", 2) == 1 else g.sqrt(sums)
    return g.select(g.eq(norm, 0), 0, g.div(x.value, norm))


@translates("LRN")
def local_response(n: Node, x: Operand) -> Result:
    """x divided by a power of the squares of the channels beside it."""
    g, size = n.g, n.get("size")
    low = (size - 1) // 2
    frame = {side: (0, length, *(0,) * (x.rank - 2)) for side, length in (("low", low), ("high", size - 1 - low))}
    squares = g.emit("pad", g.mul(x.value, x.value), **frame, interior=(0,) * x.rank)
    blocks = windowing.windows(squares, (size,), (1,))
    sums = g.reduce_sum(blocks, axes=(x.rank,))
    base = g.add(n.get("bias", 1.0), g.mul(sums, n.get("alpha", 1e-4) / size))
    return g.div(x.value, g.pow(base, np.float64(n.get("beta", 0.75)).astype(x.dtype)))
