"""Discrete Fourier transforms along one axis: of complex numbers, and of real ones and back by half of the spectrum.

Each is linear, and its transpose is a transform again: the matrix of the complex one is symmetric, and those of the
real ones are each other's transposes but for weights, as the half that is left out repeats the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.family import Linear, expand, moved_bytes, only, require, require_arity, with_batch
from gradserve.ops.registry import register

NORMS = ("backward", "ortho", "forward")
"""Which of two transforms that are inverse to each other divides by the length: the inverse, each by its root, none."""
_FLOPS = 5.0
"""Floating-point operations of a complex transform of n numbers, in multiples of n log2 n."""


@dataclass(frozen=True)
class Transform(Linear):
    """One operand, transformed along `axis`, with the scale that `norm` names as NumPy does."""

    axis: int
    norm: str

    takes_complex = True
    analytic = False
    total = True
    share: ClassVar[float] = 1.0
    """The work, compared with that of complex numbers."""
    constraints: ClassVar[dict[str, str]] = {
        "C0": "one operand",
        "C1": "axis is an axis of the operand, with at least one element",
        "C2": "elements are those that the transform takes, real or complex",
        "C3": f"norm is one of {', '.join(NORMS)}",
        "C4": "the length is that of a real signal with this half of a spectrum",
    }

    def operand(self, types: Sequence[TensorType], *, is_complex: bool) -> tuple[TensorType, int]:
        """The operand's type and its length along the axis, once C0 to C3 hold."""
        require_arity(self, types, 1)
        (x,) = types
        require(0 <= self.axis < x.rank and x.lengths[self.axis] > 0, "C1", f"{x} has no elements along {self.axis}")
        kind = "complex" if is_complex else "real"
        fits = x.is_complex if is_complex else x.is_real
        require(fits, "C2", f"elements must be {kind}, not {x.element_type.value}; convert them")
        require(self.norm in NORMS, "C3", f"{self.norm!r} is no norm")
        return x, x.lengths[self.axis]

    def resized(self, x: TensorType, length: int) -> tuple[int, ...]:
        """The lengths of x with another one along the axis."""
        return (*x.lengths[: self.axis], length, *x.lengths[self.axis + 1 :])

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """The transform one axis further."""
        return g.apply(replace(self, axis=self.axis + 1), [with_batch(g, operands[0], batched[0], size)])

    def reached(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> tuple[Value, ...]:
        """What one element reaches, all of its row do."""
        (own,) = reach
        assert own is not None
        (result,) = g.types(self, operands)
        rows = g.reduce_sum(own, axes=(self.axis,))
        if own.type.is_complex and not result.is_complex:
            rows = g.real(rows)
        return (expand(g, g.convert(rows, result.element_type), (self.axis,), result.shape),)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """5 n log2 n for each row of n complex numbers, half of it for real ones."""
        n = max(operands[0].lengths[self.axis], results[0].lengths[self.axis])
        size = max(operands[0].size, results[0].size)
        return Cost(self.share * _FLOPS * size * math.log2(max(n, 2)), moved_bytes(operands, results))

    def weighted(self, g: Builder, half: Value, length: int, inside: float) -> Value:
        """Half a spectrum with all but its first element, and of even lengths its last, multiplied."""
        count = half.type.lengths[self.axis]
        number = g.emit("iota", length=count, element_type=ElementType.INT64)
        alone = g.emit("eq", number, 0)
        if length % 2 == 0:
            alone = g.logical_or(alone, g.emit("eq", number, count - 1))
        # Counted by the program, not here: it may be refused for its lengths, and these weights are as long.
        weights = g.convert(g.emit("select", alone, 1.0, inside), half.type.element_type)
        others = tuple(axis for axis in range(half.type.rank) if axis != self.axis)
        return g.mul(half, expand(g, weights, others, half.type.shape))


@register
@dataclass(frozen=True)
class Fft(Transform):
    """The sums of x_j exp(-2 pi i j k / n), or of x_j exp(2 pi i j k / n) if `inverse`."""

    inverse: bool

    name = "fft"
    analytic = True

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (self.operand(types, is_complex=True)[0],)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        function = xp.fft.ifft if self.inverse else xp.fft.fft
        return function(arrays[0], axis=self.axis, norm=self.norm)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """Itself, as its matrix is symmetric."""
        return g.apply(self, [only(cotangents)])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Either way, each norm, even and odd lengths, each axis; one element, no rows, single precision."""
        a = np.cos(np.arange(12.0)) + 1j * np.sin(0.5 * np.arange(12.0) ** 2)
        yield Sample(cls(0, "backward", False), (a,))
        yield Sample(cls(0, "backward", True), (a[:5],))
        yield Sample(cls(1, "ortho", False), (a.reshape(4, 3),))
        yield Sample(cls(0, "forward", True), (a.reshape(4, 3),))
        yield Sample(cls(0, "forward", False), (a[:1],))
        yield Sample(cls(1, "backward", False), (a[:0].reshape(0, 3),))
        yield Sample(cls(0, "ortho", True), (a[:4].astype(np.complex64),))


@register
@dataclass(frozen=True)
class Rfft(Transform):
    """The first n // 2 + 1 sums of x_j exp(-2 pi i j k / n) of real numbers; the others are conjugates of these."""

    name = "rfft"
    share = 0.5

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, length = self.operand(types, is_complex=False)
        return (TensorType(x.element_type.with_parts, self.resized(x, length // 2 + 1)),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.fft.rfft(arrays[0], axis=self.axis, norm=self.norm)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The inverse transform without its division, of the conjugate with weights 1/2 inside."""
        length = operands[0].type.lengths[self.axis]
        half = self.weighted(g, g.conj(only(cotangents)), length, 0.5)
        return g.apply(Irfft(self.axis, _exchanged(self.norm), length), [half])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Each norm, even and odd lengths, each axis; one element, no rows, single precision."""
        a = np.cos(np.arange(12.0) ** 2)
        yield Sample(cls(0, "backward"), (a,))
        yield Sample(cls(1, "ortho"), (a.reshape(4, 3),))
        yield Sample(cls(0, "forward"), (a.reshape(4, 3),))
        yield Sample(cls(0, "forward"), (a[:1],))
        yield Sample(cls(1, "backward"), (a[:0].reshape(0, 3),))
        yield Sample(cls(0, "ortho"), (a[:5].astype(np.float32),))


@register
@dataclass(frozen=True)
class Irfft(Transform):
    """The real numbers of this `length` whose spectrum begins with x.

    Of its first element, and of even lengths of its last, the real part counts.
    """

    length: int

    name = "irfft"
    share = 0.5

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, count = self.operand(types, is_complex=True)
        fits = self.length >= 1 and count == self.length // 2 + 1
        require(fits, "C4", f"{count} elements of a spectrum are not those of {self.length} real numbers")
        return (TensorType(x.element_type.part, self.resized(x, self.length)),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.fft.irfft(arrays[0], n=self.length, axis=self.axis, norm=self.norm)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The conjugate of the transform with the same division, with weights 2 inside."""
        (half,) = g.apply(Rfft(self.axis, _exchanged(self.norm)), [only(cotangents)])
        return (self.weighted(g, g.conj(half), self.length, 2.0),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Each norm, even and odd lengths, each axis; one element, no rows, single precision."""
        a = np.cos(np.arange(12.0)) + 1j * np.sin(0.5 * np.arange(12.0) ** 2)
        yield Sample(cls(0, "backward", 22), (a,))
        yield Sample(cls(1, "ortho", 5), (a.reshape(4, 3),))
        yield Sample(cls(0, "forward", 6), (a.reshape(4, 3),))
        yield Sample(cls(0, "forward", 1), (a[:1],))
        yield Sample(cls(1, "backward", 4), (a[:0].reshape(0, 3),))
        yield Sample(cls(0, "ortho", 7), (a[:4].astype(np.complex64),))


def _exchanged(norm: str) -> str:
    """The norm with which the other transform has the same scale."""
    return {"backward": "forward", "forward": "backward"}.get(norm, norm)
