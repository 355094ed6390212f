"""Directions in the space of all inputs laid out as one vector."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array

_PURPOSE = int.from_bytes(hashlib.sha256(b"verification directions").digest()[:8], "little")


@dataclass(frozen=True)
class Layout:
    """Where each input lies in the vector of all inputs."""

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def spans(self) -> dict[str, range]:
        """The positions of every input."""
        spans, start = {}, 0
        for name, shape in self.shapes.items():
            spans[name] = range(start, start + math.prod(shape))
            start = spans[name].stop
        return spans

    @property
    def size(self) -> int:
        """The number of entries of all inputs."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def pack(self, arrays: Mapping[str, Array]) -> Array:
        """The inputs as one float64 vector."""
        parts = [np.asarray(arrays[name], np.float64).ravel() for name in self.shapes]
        return np.concatenate(parts) if parts else np.empty(0)

    def unpack(self, vector: Array) -> dict[str, Array]:
        """The inputs in a vector, each in its shape."""
        spans = self.spans
        return {n: vector[spans[n].start : spans[n].stop].reshape(shape) for n, shape in self.shapes.items()}

    def locate(self, position: int) -> tuple[str, tuple[int, ...]]:
        """The input and the index in it of one position."""
        for name, span in self.spans.items():
            if position in span:
                index = np.unravel_index(position - span.start, self.shapes[name]) if self.shapes[name] else ()
                return name, tuple(int(k) for k in index)
        raise IndexError(f"there is no position {position} in a vector of {self.size}")

    def position(self, name: str, index: tuple[int, ...]) -> int:
        """The position of the entry at an index of an input: the inverse of `locate`."""
        return self.spans[name].start + int(np.ravel_multi_index(index, self.shapes[name]) if index else 0)


def scales(point: Array) -> Array:
    """The largest power of two up to max(1, |x_i|), for every entry.

    Steps along it are relative to large entries and absolute for small ones, and x + h d is exact, or nearly, when h is
    a power of two as well.
    """
    _, exponents = np.frexp(np.maximum(1.0, np.abs(point)))
    return np.asarray(np.ldexp(1.0, exponents - 1))


def sign_directions(point: Array, count: int, seed: int) -> Array:
    """Random signs times `scales`, one direction for each row; row k is the same for every `count`.

    Signs, not Gaussians: every entry has the same weight, so that no wrong one can hide.
    """
    words = -(-len(point) // 64)
    key = (seed & ((1 << 64) - 1)) | _PURPOSE << 64
    rows = np.empty((count, len(point)))
    for row in range(count):
        drawn = np.random.Philox(key=key, counter=row << 64).random_raw(words)
        octets = np.asarray(drawn, "<u8").view(np.uint8)
        rows[row] = np.unpackbits(octets, count=len(point), bitorder="little")
    return (1.0 - 2.0 * rows) * scales(point)


def spread_directions(point: Array, count: int, seed: int, bits: int = 16) -> Array:
    """Random signs times random sizes in [1, 2) times `scales`, a direction for each row; as `sign_directions` else.

    No entry has less than half of the weight of another, so that no wrong one can hide; and hardly two have the same,
    so that errors of opposite signs, as of two entries that are exchanged, do not cancel, and that the errors seen
    along two directions tell which entry they come from. Sizes have `bits` bits, so that steps along them are exact.
    """
    key = (seed & ((1 << 64) - 1)) | _PURPOSE << 64
    drawn = np.array(
        [np.random.Philox(key=key, counter=(1 << 192) + (row << 64)).random_raw(len(point)) for row in range(count)]
    ).reshape(count, len(point))
    sizes = 1.0 + np.ldexp((drawn >> np.uint64(64 - bits)).astype(np.float64), -bits)
    return np.where(drawn & np.uint64(1), sizes, -sizes) * scales(point)


def plain(vector: Array) -> Array:
    """The vector with powers of two for sizes: steps along it are exact down to the smallest that move anything."""
    mantissas, exponents = np.frexp(vector)
    return np.asarray(np.ldexp(np.sign(mantissas), exponents - 1))


def reach(vector: Array, point: Array) -> float:
    """By how much a step of 1 along a vector moves an entry at most, in units of `scales`."""
    return float(np.max(np.abs(vector) / scales(point), initial=0.0))


def within(vector: Array, span: range) -> Array:
    """The vector with zeros outside the span."""
    part = np.zeros_like(vector)
    part[span.start : span.stop] = vector[span.start : span.stop]
    return part
