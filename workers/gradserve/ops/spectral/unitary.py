"""Singular values of complex matrices, how they move, and their vectors, whose phases are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.elementwise.parts import squared_size
from gradserve.ops.family import expand, require
from gradserve.ops.linalg.stacked import part
from gradserve.ops.linalg.triangles import flipped, on_diagonal
from gradserve.ops.registry import register
from gradserve.ops.spectral.hermitian import Apart
from gradserve.ops.spectral.singular import Svd, Svdvals


@register
@dataclass(frozen=True)
class UnitarySvd(Svd):
    """U, s and V^H with A = U diag(s) V^H, of a complex matrix.

    Of two vectors that belong together only one phase is determined: tangents leave that of V as it is. So nothing but
    the differential of `unitary_svdvals` asks for them, which does not depend on phases.
    """

    name = "unitary_svd"
    internal = True
    takes_complex = True
    constraints = {**Svd.constraints, "C5": "elements are complex"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        u, s, vh = super().infer(*types)
        require(u.is_complex, "C5", f"{types[0]} is not complex; write svd")
        return (u, s.part, vh)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """With E = U^H dA V: ds = Re diag(E), dU = U (F o (E S + S E^H) + i Im diag(E) / s) + (I - U U^H) dA V / s.

        And dV = V (F o (S E + E^H S)) + (I - V V^H) dA^H U / s, with F_ij = 1 / (s_j^2 - s_i^2) beside the diagonal.
        """
        (a,), (da,) = primals, tangents
        if da is None:
            return (None, None, None)
        count = min(a.shape[-2:])
        u, s, vh = g.apply(UnitarySvd(0, count), [a])
        v, to_complex = _adjoint(g, vh), a.type.element_type
        forth, back = matrix_product(g, da, v), matrix_product(g, _adjoint(g, da), u)
        e = matrix_product(g, g.conj(u), forth, flip_x=True)
        own = g.broadcast(on_diagonal(g, count, s.type.element_type), e.shape)
        (apart,) = g.apply(Apart(), [s, s])
        row, column = (
            g.reshape(x, (*s.shape[:-1], *lengths)) for x, lengths in ((apart, (1, count)), (apart, (count, 1)))
        )
        gaps = g.add(g.mul(g.sub(row, column), g.add(row, column)), own)
        inverse = g.convert(g.div(g.sub(1.0, own), gaps), to_complex)
        left, right, other = g.convert(column, to_complex), g.convert(row, to_complex), _adjoint(g, e)
        phases = g.complex(0.0, g.div(g.mul(own, g.imag(e)), row))
        du = matrix_product(g, u, inverse * (e * right + left * other) + phases)
        dv = matrix_product(g, v, inverse * (left * e + other * right))
        if a.shape[-2] > count:
            du = du + (forth - matrix_product(g, u, e)) / right
        if a.shape[-1] > count:
            dv = dv + (back - matrix_product(g, v, other)) / right
        (ds,) = g.apply(Apart(), [s, g.reduce_sum(g.mul(own, g.real(e)), axes=(e.type.rank - 1,))])
        du, dv, ds = (part(g, x, self.start, self.stop) for x in (du, dv, ds))
        return (du, ds, _adjoint(g, dv))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Those of real matrices, turned; differences do not tell phases, of which a single number has but one."""
        for sample in Svd.samples():
            (a,), op = sample.operands, sample.op
            assert isinstance(op, Svd)
            yield Sample(cls(op.start, op.stop), (_turned(a),), differentiable=a.size == 1)


@register
@dataclass(frozen=True)
class UnitarySvdvals(Svdvals):
    """The singular values of a complex matrix alone; `free` as of `svdvals`."""

    name = "unitary_svdvals"
    takes_complex = True
    constraints = UnitarySvd.constraints

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        (s,) = super().infer(*types)
        require(s.is_complex, "C5", f"{types[0]} is not complex; write svdvals")
        return (s.part,)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The real part of diag(U^H dA V), 0 for values of 0. Unless `free`, it is refused in clusters."""
        (a,), (da,) = primals, tangents
        if da is None:
            return (None,)
        u, s, vh = g.apply(UnitarySvd(0, min(a.shape[-2:])), [a])
        if not s.type.size:
            return (part(g, s, self.start, self.stop),)
        moved = matrix_product(g, g.conj(u), da, flip_x=True)
        ds = g.reduce_sum(g.real(g.mul(moved, g.conj(vh))), axes=(moved.type.rank - 1,))
        ds = g.select(g.gt(s, _zero(g, a, s)), ds, 0.0)
        return (part(g, ds if self.free else g.apply(Apart(), [s, ds])[0], self.start, self.stop),)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where a singular value is 0 to rounding. The derivative is 0, as that of |x| at 0."""
        (a,), (s,) = operands, outputs
        return g.le(s, _zero(g, a, s)) if s.type.size else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Those of real matrices, turned."""
        for k, sample in enumerate(Svd.samples()):
            (a,), op = sample.operands, sample.op
            assert isinstance(op, Svd)
            yield Sample(cls(op.start, op.stop, bool(k % 2)), (_turned(a),))


def _adjoint(g: Builder, x: Value) -> Value:
    return g.conj(flipped(g, x))


def _turned(a: Array) -> Any:
    return a * np.exp(1j * a)


def _zero(g: Builder, a: Value, s: Value) -> Value:
    """The size up to which singular values are rounding, in the shape of those."""
    rounding = min(a.shape[-2:]) * float(np.finfo(s.type.element_type.dtype).eps)
    size = g.sqrt(g.reduce_sum(squared_size(g, a), axes=(a.type.rank - 2, a.type.rank - 1)))
    return expand(g, g.mul(size, rounding), (s.type.rank - 1,), s.type.shape)
