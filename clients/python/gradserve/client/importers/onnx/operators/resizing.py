"""Images in other sizes: along each axis a matrix that is known while importing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gradserve.client.importers.lax import sampling
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import along
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.builder import Value
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.numpy import indexing, shaping

_MOST = 1 << 24
"""Elements of one matrix."""


@dataclass(frozen=True)
class Sampling:
    """How the places of new elements lie among the old ones, and what is made of these."""

    places: str
    mode: str
    nearest: str
    cubic: float
    exclude_outside: bool
    antialias: bool

    @staticmethod
    def of(n: Node) -> Sampling:
        """What the attributes say."""
        older = n.operation == "Upsample" or n.version < 11
        old = "asymmetric" if older else "half_pixel"
        return Sampling(
            n.get("coordinate_transformation_mode", old),
            n.get("mode", "nearest"),
            n.get("nearest_mode", "floor" if older else "round_prefer_floor"),
            n.get("cubic_coeff_a", -0.75),
            bool(n.get("exclude_outside", 0)),
            bool(n.get("antialias", 0)),
        )

    def at(self, n: Node, length: int, count: int, scale: float, region: tuple[float, float]) -> Array:
        """Where each new element lies among the old ones, of which a region may be told by shares of the length."""
        k = np.arange(count, dtype=np.float64)
        whole = length * scale
        if self.places == "align_corners":
            return k * ((length - 1) / (whole - 1)) if whole > 1 else np.zeros(count)
        if self.places == "tf_crop_and_resize":
            first, last = (share * (length - 1) for share in region)
            return first + k * ((last - first) / (count - 1)) if count > 1 else np.full(count, (first + last) / 2)
        if self.places == "asymmetric":
            return k / scale
        if self.places == "pytorch_half_pixel" and whole <= 1:
            return np.full(count, -0.5)
        if self.places == "half_pixel_symmetric":
            offset = length / 2 * (1 - count / whole)
            return offset + (k + 0.5) / scale - 0.5
        if self.places in ("half_pixel", "pytorch_half_pixel"):
            return (k + 0.5) / scale - 0.5
        raise n.refuse(f"the places {self.places} are not known here", "use half_pixel, asymmetric or align_corners")

    def positions(self, places: Array, length: int) -> Array:
        """The nearest old elements."""
        nearest: dict[str, Callable[[Array], Array]] = {
            "round_prefer_floor": lambda x: np.ceil(x - 0.5),
            "round_prefer_ceil": lambda x: np.floor(x + 0.5),
            "floor": np.floor,
            "ceil": np.ceil,
        }
        return np.asarray(np.clip(nearest[self.nearest](places), 0, length - 1), np.int64)

    def matrix(self, places: Array, length: int, scale: float) -> Array:
        """The shares of the old elements in each new one."""
        kernel, reach = (sampling.cubic(self.cubic), 2) if self.mode == "cubic" else (sampling.linear, 1)
        shrink = min(scale, 1.0) if self.antialias else 1.0
        return sampling.matrix(kernel, reach, places, length, shrink, self.exclude_outside)


@translates("Resize", "Upsample", known=(1, 2, 3), moves=True, uint64=False)
def resize(n: Node, x: Operand, *more: Operand | None) -> Result:
    """x with its elements interpolated at other places."""
    axes = [axis_in(axis, x.rank) for axis in n.get("axes", range(x.rank))]
    scales, counts = _sizes(n, x, axes)
    how, found, outside = Sampling.of(n), x.value, list[Value]()
    cuts = how.places == "tf_crop_and_resize"
    for axis, scale, count, region in zip(axes, scales, counts, _regions(n, len(axes)), strict=True):
        length = x.shape[axis]
        if scale == 1 and count == length and not cuts:
            continue
        if max(length * count, count) > _MOST:
            raise LimitExceeded("onnx_constant_bytes", f"a matrix of {count} x {length} resizes axis {axis}")
        places = how.at(n, length, count, scale, region)
        if cuts:
            outside.append(along(n.g, n.g.constant((places < 0) | (places > length - 1)), axis, x.rank))
        if how.mode == "nearest":
            found = indexing.take(found, how.positions(places, length), axis=axis)
        else:
            found = _applied(n, how.matrix(places, length, scale).astype(x.dtype), found, axis)
    for beside in outside:
        found = n.g.select(n.g.broadcast(beside, found.shape), n.get("extrapolation_value", 0.0), found)
    return found


def _regions(n: Node, count: int) -> list[tuple[float, float]]:
    """The part of each axis that is told, as shares of its length; all of it otherwise."""
    told = n.array(1) if n.operation == "Resize" and n.version > 10 else None
    if told is None or told.size != 2 * count:
        return [(0.0, 1.0)] * count
    if not np.isfinite(told).all():
        raise ValueError(f"{told.tolist()} is no region")
    return list(zip(told[:count].tolist(), told[count:].tolist(), strict=True))


def _applied(n: Node, matrix: Array, x: Value, axis: int) -> Value:
    """A matrix times all vectors along an axis."""
    product = n.g.emit("contract", x, matrix, lhs_contract=(axis,), rhs_contract=(1,), lhs_batch=(), rhs_batch=())
    return shaping.moveaxis(product, -1, axis)


def _sizes(n: Node, x: Operand, axes: Sequence[int]) -> tuple[list[float], list[int]]:
    """The scale and the new length of each axis."""
    at = 1 if n.operation == "Upsample" or n.version < 11 else 2
    scales, sizes = n.array(at, "scales"), n.array(3)
    lengths = [x.shape[axis] for axis in axes]
    if scales is not None and scales.size:
        told = [float(each) for each in scales]
        return told, [math.floor(m * scale) for m, scale in zip(lengths, told, strict=True)]
    if sizes is None:
        raise ValueError("neither scales nor sizes are given")
    wanted = [int(each) for each in sizes]
    policy = n.get("keep_aspect_ratio_policy", "stretch")
    told = [want / m for want, m in zip(wanted, lengths, strict=True)]
    if policy == "stretch":
        return told, wanted
    one = min(told) if policy == "not_larger" else max(told)
    return [one] * len(axes), [math.floor(one * m + 0.5) for m in lengths]
