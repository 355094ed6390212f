"""The algebraic equations of Riccati, whose solutions regulate linear systems, batched over leading axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Op, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.family import moved_bytes, require, require_arity, require_floats, total, with_batch
from gradserve.ops.linalg.matrices import has_none
from gradserve.ops.linalg.triangles import flipped, on_diagonal
from gradserve.ops.registry import register
from gradserve.ops.routines import routine


class Riccati(Op):
    """The symmetric X of an equation in A, B, Q and R, for which the regulated system is stable.

    Of Q and R the symmetric parts are read.
    """

    arity = 4
    folds = False
    function: ClassVar[str]
    """The routine that solves it."""
    constraints: ClassVar[dict[str, str]] = {
        "C0": "four operands",
        "C1": "the first and third are square matrices of one size, or batches of them",
        "C2": "the second has as many rows, and as many columns as the fourth, which is square",
        "C3": "leading axes and element types are equal, and these real",
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 4)
        a, b, q, r = types
        require(all(t.rank >= 2 for t in types), "C1", "all are matrices")
        stacks = {(t.shape[:-2], t.element_type) for t in types}
        require(len(stacks) == 1, "C3", f"{a}, {b}, {q} and {r} have other leading axes or elements")
        require_floats(self, a, "C3")
        n, m = b.shape[-2:]
        require(a.shape[-2:] == (n, n) == q.shape[-2:], "C1", f"{a} and {q} do not go with {b}")
        require(r.shape[-2:] == (m, m), "C2", f"{r} does not go with {b}")
        return (q,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return routine(xp, self.function)(*arrays)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """A linear equation with the matrix of the regulated system, A - B K."""
        (x,), (a, b, _, r) = outputs, primals
        r = _symmetric(g, r)
        da, db, dq, dr = tangents
        k = self.regulator(g, x, a, b, r)
        closed = g.sub(a, matrix_product(g, b, k))
        loads: list[Value | None] = [None if dq is None else _symmetric(g, dq)]
        if dr is not None:
            loads.append(matrix_product(g, k, matrix_product(g, _symmetric(g, dr), k), flip_x=True))
        moved = total(g, [da, None if db is None else g.neg(matrix_product(g, db, k))])
        if moved is not None:
            half = self.pressed(g, x, closed, moved)
            loads += [half, flipped(g, half)]
        load = total(g, loads)
        return (None if load is None else self.settled(g, closed, load),)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A system that nothing regulates."""
        text = (
            "the equation {where} has no solution that makes the system stable: what moves by itself must be reached, "
            "and in continuous time the last matrix have an inverse"
        )
        return (Guard("R1", text, NumericalFailure, has_none),)

    def regulator(self, g: Builder, x: Value, a: Value, b: Value, r: Value) -> Value:
        """K, with which -K x regulates the system."""
        raise NotImplementedError

    def pressed(self, g: Builder, x: Value, closed: Value, moved: Value) -> Value:
        """Half of what a change of the system adds to the linear equation."""
        raise NotImplementedError

    def settled(self, g: Builder, closed: Value, load: Value) -> Value:
        """The solution of the linear equation."""
        raise NotImplementedError

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, x, b, size) for x, b in zip(operands, batched, strict=True)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A Schur form of twice the size."""
        (x,) = results
        return Cost(200.0 * x.lengths[-1] * x.size, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """A system with two inputs, a batch, one element, nothing."""
        a = np.array([[0.5, 1.0, 0.0], [-0.3, 0.2, 0.4], [0.1, 0.0, -0.6]])
        b = np.array([[0.0], [1.0], [0.5]])
        q, r = np.diag([1.0, 2.0, 0.5]) + 0.1, np.array([[0.7]])
        yield Sample(cls(), (a, np.hstack([b, b[::-1] - 1.0]), q, np.array([[0.7, 0.1], [0.1, 1.3]])))
        yield Sample(
            cls(),
            tuple(
                np.stack([x, y])
                for x, y in ((a[:2, :2], a[1:, :2]), (b[:2], b[1:]), (q[:2, :2], np.eye(2)), (r, 2 * r))
            ),
        )
        yield Sample(cls(), tuple(np.array([[x]]) for x in (0.5, 1.0, 2.0, 0.3)))
        yield Sample(cls(), (np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 0))))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A growing state that no input reaches."""
        yield "R1", Sample(cls(), tuple(np.array([[x]]) for x in (2.0, 0.0, 1.0, 1.0)))


def _symmetric(g: Builder, x: Value) -> Value:
    return g.mul(g.add(x, flipped(g, x)), 0.5)


@register
@dataclass(frozen=True)
class ContinuousRiccati(Riccati):
    """The X with A^T X + X A - X B R^-1 B^T X + Q = 0, of a system in continuous time."""

    name = "continuous_riccati"
    function = "solve_continuous_are"

    def regulator(self, g: Builder, x: Value, a: Value, b: Value, r: Value) -> Value:
        return g.emit("solve", r, matrix_product(g, b, x, flip_x=True))

    def pressed(self, g: Builder, x: Value, closed: Value, moved: Value) -> Value:
        return matrix_product(g, x, moved)

    def settled(self, g: Builder, closed: Value, load: Value) -> Value:
        """Of (A - B K)^T dX + dX (A - B K) + load = 0."""
        return g.emit("sylvester", flipped(g, closed), closed, g.neg(load))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """As of any, and an input that costs nothing."""
        yield from super().refused_samples()
        yield "R1", Sample(cls(), tuple(np.array([[x]]) for x in (2.0, 1.0, 1.0, 0.0)))


@register
@dataclass(frozen=True)
class DiscreteRiccati(Riccati):
    """The X with A^T X A - X - A^T X B (R + B^T X B)^-1 B^T X A + Q = 0, of a system in steps of time."""

    name = "discrete_riccati"
    function = "solve_discrete_are"

    def regulator(self, g: Builder, x: Value, a: Value, b: Value, r: Value) -> Value:
        force = matrix_product(g, b, x, flip_x=True)
        return g.emit("solve", g.add(r, matrix_product(g, force, b)), matrix_product(g, force, a))

    def pressed(self, g: Builder, x: Value, closed: Value, moved: Value) -> Value:
        return matrix_product(g, closed, matrix_product(g, x, moved), flip_x=True)

    def settled(self, g: Builder, closed: Value, load: Value) -> Value:
        """Of (A - B K)^T dX (A - B K) - dX + load = 0, by Sylvester's equation.

        With M = A - B K, which is stable, and C = (M + 1)^-1 (M - 1), C^T dX + dX C = -2 (M + 1)^-T load (M + 1)^-1.
        """
        n = closed.shape[-1]
        one = g.broadcast(on_diagonal(g, n, closed.type.element_type), closed.type.shape)
        inverse = g.emit("inv", g.add(closed, one))
        c = matrix_product(g, g.sub(closed, one), inverse)
        right = matrix_product(g, inverse, matrix_product(g, load, inverse), flip_x=True)
        return g.emit("sylvester", flipped(g, c), c, g.mul(right, -2.0))
