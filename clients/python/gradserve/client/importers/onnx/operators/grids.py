"""Images at places that are computed: by grids, in regions, and under kernels whose elements are moved."""

from __future__ import annotations

import math

import numpy as np

from gradserve.client.importers.lax import grids
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import part, permute
from gradserve.client.importers.onnx.operators.frames import auto_padding
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.ir.builder import Value
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.types import ElementType
from gradserve.numpy import einstein

_MODES: dict[str, grids.Mode] = {"bilinear": "linear", "bicubic": "cubic", "linear": "linear"}
_MODES |= {"nearest": "nearest", "cubic": "cubic"}
_OUTSIDE: dict[str, grids.Outside] = {"zeros": "zeros", "border": "border", "reflection": "reflection"}

_MOST = 1 << 20
"""Numbers of places along an axis."""


@translates("GridSample")
def grid_sample(n: Node, x: Operand, grid: Operand) -> Result:
    """The elements at places between -1 and 1, weighed by how near they are."""
    mode, outside = _MODES.get(n.get("mode", "linear")), _OUTSIDE.get(n.get("padding_mode", "zeros"))
    if mode is None or outside is None:
        raise n.refuse(f"it is done by {n.attributes}", "use linear, nearest or cubic, and zeros, border or reflection")
    return grids.sampled(n.g, x.value, grid.value, mode, outside, bool(n.get("align_corners", 0)))


@translates("AffineGrid", known=(1,))
def affine_grid(n: Node, theta: Operand, size: Operand) -> Result:
    """Where affine maps bring the places of the elements of images, which lie between -1 and 1."""
    _, _, *lengths = n.ints(1) or ()
    _require_few(math.prod(lengths))
    inset = [0.0 if n.get("align_corners", 0) else 1 / length for length in lengths]
    lines = [np.linspace(-1 + by, 1 - by, length) for by, length in zip(inset, lengths, strict=True)]
    places = np.stack([*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(lengths)], axis=-1).astype(theta.dtype)
    found = einstein.einsum("pk,nak->npa", n.g.constant(places.reshape(-1, len(lengths) + 1)), theta.value)
    return n.g.reshape(found, (theta.shape[0], *lengths, len(lengths)))


@translates("RoiAlign")
def region(n: Node, x: Operand, corners: Operand, images: Operand) -> Result:
    """The means of elements at places in each cell of regions of images."""
    g, ratio = n.g, n.get("sampling_ratio", 0)
    if n.get("mode", "avg") != "avg" or ratio < 1:
        raise n.refuse("it takes largest elements, or a number of places that is computed", "use avg, sampling_ratio=2")
    half = n.get("coordinate_transformation_mode", "half_pixel" if n.version >= 16 else "output_half_pixel")
    offset = 0.5 if half == "half_pixel" else 0.0
    _require_few(ratio * max(n.get("output_height", 1), n.get("output_width", 1)))
    scaled = g.sub(g.mul(corners.value, n.get("spatial_scale", 1.0)), offset)
    edges = [g.reshape(part(g, scaled, 1, k, k + 1), (corners.shape[0],)) for k in (1, 3, 0, 2)]
    counts = (n.get("output_height", 1), n.get("output_width", 1))
    shape = (corners.shape[0], counts[0], ratio, counts[1], ratio)
    near, there = [], g.full(scaled.type.with_shape(shape), 1)
    for axis, count in enumerate(counts):
        first, last = edges[2 * axis : 2 * axis + 2]
        place, inside = _cells(n, first, g.sub(last, first), count, x.shape[2 + axis], half == "half_pixel")
        wide = (shape[0], *((count, ratio, 1, 1) if axis == 0 else (1, 1, count, ratio)))
        there = g.mul(there, g.convert(g.reshape(inside, wide), there.type.element_type))
        near.append(grids.linear(g, g.broadcast(g.reshape(place, wide), shape)))
    which = g.reshape(g.convert(images.value, ElementType.INT64), (shape[0], 1, 1, 1, 1))
    found = g.mul(grids.weighed(g, x.value, which, near), g.reshape(there, (*shape, 1)))
    means = g.div(g.reduce_sum(found, axes=(2, 4)), float(ratio * ratio))
    return permute(g, means, [0, 3, 1, 2])


def _require_few(count: int) -> None:
    """What is known while importing of places is small.

    Raises:
        LimitExceeded: it is not.
    """
    if count > _MOST:
        raise LimitExceeded("onnx_constant_elements", f"{count} places would be known; the limit is {_MOST}")


def _cells(n: Node, first: Value, span: Value, count: int, length: int, half: bool) -> tuple[Value, Value]:
    """Places in each cell of regions along an axis, brought inside, and whether they are near the image at all."""
    g, ratio = n.g, n.get("sampling_ratio")
    if not half:
        span = g.select(g.lt(span, 1.0), 1.0, span)
    shares = (np.arange(count * ratio) + 0.5) / (count * ratio)
    steps = g.constant(np.asarray(shares, span.type.element_type.dtype))
    place = g.add(g.reshape(first, (*first.shape, 1)), g.mul(g.reshape(span, (*span.shape, 1)), steps))
    inside = g.logical_and(g.ge(place, -1.0), g.le(place, float(length)))
    return grids.Grid(g, "border", True).brought_in(place, length), inside


@translates("DeformConv")
def deformed(
    n: Node, x: Operand, w: Operand, offset: Operand, b: Operand | None = None, mask: Operand | None = None
) -> Result:
    """The inner products of kernels with elements at places that are moved from those of all windows of images."""
    g, sizes = n.g, w.shape[2:]
    if len(sizes) != 2:
        raise n.refuse(f"its kernels have {len(sizes)} axes", "use images of two axes")
    groups, parts, (count, channels) = n.get("group", 1), n.get("offset_group", 1), x.shape[:2]
    lengths, elements = offset.shape[2:], math.prod(sizes)
    strides, dilations = n.get("strides", [1, 1]), n.get("dilations", [1, 1])
    pads = auto_padding(n, x.shape[2:], sizes, strides, dilations)
    moved = g.reshape(offset.value, (count * parts, elements, 2, *lengths))
    near = []
    for axis in (0, 1):
        base = _windows(axis, sizes, lengths, strides[axis], dilations[axis], pads[axis][0])
        own = g.reshape(part(g, moved, 2, axis, axis + 1), (count * parts, elements, *lengths))
        near.append(grids.linear(g, g.add(own, g.constant(np.asarray(base, own.type.element_type.dtype)))))
    images = g.reshape(x.value, (count * parts, channels // parts, *x.shape[2:]))
    found = grids.weighed(g, images, grids.examples(g, count * parts, 4), near)
    if mask is not None:
        found = g.mul(found, g.reshape(mask.value, (count * parts, elements, *lengths, 1)))
    apart = g.reshape(permute(g, found, [0, 4, 1, 2, 3]), (count, groups, channels // groups, elements, *lengths))
    kernels = g.reshape(w.value, (groups, w.shape[0] // groups, w.shape[1], elements))
    made = g.reshape(einstein.einsum("ngckyx,gock->ngoyx", apart, kernels), (count, w.shape[0], *lengths))
    return made if b is None else g.add(made, g.reshape(b.value, (b.shape[0], 1, 1)))


def _windows(
    axis: int, sizes: tuple[int, ...], lengths: tuple[int, ...], stride: int, gap: int, low: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Where each element of each window lies along an axis: of elements, then windows."""
    _require_few(math.prod(sizes) * lengths[axis])
    of_element = np.repeat(np.arange(sizes[0]), sizes[1]) if axis == 0 else np.tile(np.arange(sizes[1]), sizes[0])
    of_window = np.arange(lengths[axis]).reshape((-1, 1) if axis == 0 else (1, -1)) * stride
    return np.asarray(of_element[:, None, None] * gap + of_window - low)
