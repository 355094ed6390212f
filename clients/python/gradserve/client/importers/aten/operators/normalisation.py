"""Normalisations: of batches, layers and groups."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.aten.table import Node, Result, translates
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.normalising import of_channels, standard
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType, TensorType


def _affine(n: Node, unit: Value, factor: Value | None, shift: Value | None) -> Value:
    found = unit if factor is None else n.g.mul(unit, factor)
    return found if shift is None else n.g.add(found, shift)


def _channels(n: Node, x: Operand, vector: Operand | None) -> Value | None:
    return None if vector is None else of_channels(n.g, x.rank, vector.value)


@translates("native_layer_norm")
def _layer(
    n: Node, x: Operand, normalized_shape: Sequence[int], weight: Operand | None, bias: Operand | None, eps: float
) -> Result:
    """The last axes normalised, and what they were normalised by."""
    axes = tuple(range(x.rank - len(normalized_shape), x.rank))
    unit, centre, inverse = standard(n.g, x.value, axes, eps)
    found = _affine(n, unit, *(None if each is None else each.value for each in (weight, bias)))
    return [found, centre, inverse]


@translates("native_group_norm")
def _group(
    n: Node,
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    examples: int,
    channels: int,
    positions: int,
    groups: int,
    eps: float,
) -> Result:
    """Groups of channels normalised, and what they were normalised by."""
    g = n.g
    apart = g.reshape(x.value, (examples, groups, channels // groups * positions))
    unit, centre, inverse = standard(g, apart, (2,), eps)
    found = _affine(n, g.reshape(unit, x.shape), _channels(n, x, weight), _channels(n, x, bias))
    return [found, *(g.reshape(each, (examples, groups)) for each in (centre, inverse))]


@translates("_native_batch_norm_legit_no_training")
def _batch(
    n: Node,
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    running_mean: Operand,
    running_var: Operand,
    momentum: float,
    eps: float,
) -> Result:
    """Channels normalised by known means and variances."""
    return [_by_statistics(n, x, weight, bias, running_mean, running_var, eps), *_empty(n)]


def _empty(n: Node) -> list[Value | None]:
    """The statistics of the batch, which are not made where they do not count."""
    return [n.g.zeros(TensorType(n.of(0).type.element_type, (0,))) if each == (0,) else None for each in n.shapes[1:3]]


def _by_statistics(
    n: Node, x: Operand, weight: Operand | None, bias: Operand | None, mean: Operand, variance: Operand, eps: float
) -> Value:
    g = n.g
    centre, spread = (of_channels(g, x.rank, each.value) for each in (mean, variance))
    unit = g.div(g.sub(x.value, centre), g.sqrt(g.add(spread, eps)))
    return _affine(n, unit, _channels(n, x, weight), _channels(n, x, bias))


@translates("_native_batch_norm_legit.no_stats")
def _batch_without_statistics(
    n: Node, x: Operand, weight: Operand | None, bias: Operand | None, training: bool, momentum: float, eps: float
) -> Result:
    """Channels normalised by their own means and variances over the batch, and these."""
    return _in_training(n, x, weight, bias, eps)[:3]


def _in_training(n: Node, x: Operand, weight: Operand | None, bias: Operand | None, eps: float) -> list[Value]:
    unit, centre, inverse = standard(n.g, x.value, (0, *range(2, x.rank)), eps)
    found = _affine(n, unit, _channels(n, x, weight), _channels(n, x, bias))
    return [found, *(n.g.reshape(each, (x.shape[1],)) for each in (centre, inverse))]


@translates("_native_batch_norm_legit_functional")
def _batch_functional(
    n: Node,
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    running_mean: Operand,
    running_var: Operand,
    training: bool,
    momentum: float,
    eps: float,
) -> Result:
    """As in training, and the running means and variances after it; or by these."""
    if not training:
        found = _by_statistics(n, x, weight, bias, running_mean, running_var, eps)
        return [found, *_empty(n), running_mean, running_var]
    g, count = n.g, x.value.type.size // max(x.shape[1], 1)
    found, centre, inverse = _in_training(n, x, weight, bias, eps)
    variance = g.sub(g.div(1.0, g.mul(inverse, inverse)), eps)
    unbiased = g.mul(variance, count / max(count - 1, 1))
    running = [
        g.add(g.mul(old.value, 1 - momentum), g.mul(new, momentum))
        for old, new in ((running_mean, centre), (running_var, unbiased))
    ]
    return [found, centre, inverse, *running]


@translates("_batch_norm_with_update_functional")
def _batch_with_update(
    n: Node,
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    running_mean: Operand,
    running_var: Operand,
    momentum: float,
    eps: float,
) -> Result:
    """As in training, and the running means and variances after it."""
    made = _batch_functional(n, x, weight, bias, running_mean, running_var, True, momentum, eps)
    assert isinstance(made, list)
    reserve = Operand(n.g.zeros(TensorType(ElementType.INT32, (0,))), np.dtype(np.uint8))
    return [*made[:3], reserve, *made[3:]]


@translates("_fused_rms_norm", "rms_norm")
def _rms(n: Node, x: Operand, shape: Sequence[int], weight: Operand | None = None, eps: float | None = None) -> Result:
    """The last axes divided by the roots of their mean squares, and one over these."""
    g, axes = n.g, tuple(range(x.rank - len(shape), x.rank))
    sums = g.reduce_sum(g.mul(x.value, x.value), axes=axes)
    kept = g.reshape(sums, (*x.shape[: x.rank - len(shape)], *(1,) * len(shape)))
    square = g.div(kept, float(math.prod(shape)))
    small = float(np.finfo(x.dtype).eps) if eps is None else eps
    inverse = g.div(1.0, g.sqrt(g.add(square, small)))
    return [_affine(n, g.mul(x.value, inverse), None if weight is None else weight.value, None), inverse]
