"""Sylvester's equation A X + X B = C, batched over leading axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import moved_bytes, only, require, require_arity, total
from gradserve.ops.linalg.stacked import Beside, stacked_product
from gradserve.ops.linalg.triangles import flipped
from gradserve.ops.registry import register
from gradserve.ops.routines import routine


@register
@dataclass(frozen=True)
class Sylvester(Beside):
    """The X with A X + X B = C. Refused where an eigenvalue of A is the opposite of one of B."""

    name = "sylvester"
    folds = False
    arity = 3
    linear_in = (2,)
    factor_ranks = (2, 2)
    beside_rank = 2
    constraints = {
        "C0": "three operands",
        "C1": "the first two are square matrices, or batches of them",
        "C2": "the third has as many rows as the first and as many columns as the second",
        **Beside.stack_constraints,
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 3)
        self.leading(types)
        a, b, c = types
        square = a.shape[-1] == a.shape[-2] and b.shape[-1] == b.shape[-2]
        require(square, "C1", f"{a} or {b} is no square matrix")
        require(c.shape[-2:] == (a.shape[-1], b.shape[-1]), "C2", f"{c} does not go with {a} and {b}")
        return (c,)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """As one linear system for all elements of X, row by row."""
        a, b, c = arrays
        system = _system(xp, a, b)
        size = system.shape[-1]
        system = xp.broadcast_to(system, (*c.shape[:-2], size, size))
        return xp.reshape(xp.linalg.solve(system, xp.reshape(c, (*c.shape[:-2], size, 1))), c.shape)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Opposite eigenvalues."""
        return (Guard("R1", f"{OPPOSITE} {{where}}", NumericalFailure, _opposite),)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """A dX + dX B = dC - dA X - X dB."""
        (x,), (a, b, _), (da, db, dc) = outputs, primals, tangents
        terms = [dc]
        terms.append(None if da is None else -stacked_product(g, da, x))
        terms.append(None if db is None else -stacked_product(g, x, db))
        change = total(g, terms)
        return (None,) if change is None else g.apply(self, [a, b, change])

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The equation with A^T and B^T."""
        a, b, _ = operands
        assert isinstance(a, Value)
        assert isinstance(b, Value)
        return (None, None, g.apply(self, [flipped(g, a), flipped(g, b), only(cotangents)])[0])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Two Schur forms, and the solution of a triangular equation."""
        a, b, c = operands
        m, n = a.lengths[-1], b.lengths[-1]
        forms = 25.0 * (m * a.size + n * b.size)
        return Cost(forms + 5.0 * (m + n) * c.size, moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """One equation, two right-hand sides, a batch, nothing."""
        a = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, 0.2], [-0.4, 0.6, 1.8]])
        b = np.array([[1.0, 2.0], [-0.5, 0.3]])
        c = np.cos(np.arange(6.0)).reshape(3, 2)
        yield Sample(cls(), (a, b, c))
        yield Sample(cls(), (a, b, np.stack([c, np.sin(c)])))
        yield Sample(cls(), (np.stack([a, a.T]), np.stack([b, 0.5 * b]), np.stack([c, -c])))
        yield Sample(cls(), (np.array([[1.5]]), np.array([[-0.25]]), np.array([[2.0]])))
        yield Sample(cls(), (np.zeros((0, 0)), b, np.zeros((0, 2))))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """Opposite eigenvalues."""
        yield "R1", Sample(cls(), (np.diag([1.0, 2.0]), np.array([[3.0, 1.0], [0.0, -2.0]]), np.ones((2, 2))))


OPPOSITE = "an eigenvalue of A is the opposite of one of B: no solution or many"


def _system(xp: Any, a: Array, b: Array) -> Any:
    """The matrix of the equations for all elements of X, row by row."""
    m, n = a.shape[-1], b.shape[-1]
    left = a[..., :, None, :, None] * xp.eye(n, dtype=a.dtype)[:, None, :]
    right = xp.eye(m, dtype=a.dtype)[:, None, :, None] * xp.matrix_transpose(b)[..., None, :, None, :]
    return xp.reshape(left + right, (*a.shape[:-2], m * n, m * n))


def _opposite(op: Sylvester, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each equation: the system of all elements is singular to rounding."""
    a, b, _ = operands
    size = a.shape[-1] * b.shape[-1]
    if not size:
        return xp.zeros(a.shape[:-2], dtype=xp.bool)
    s = routine(xp, "svdvals")(_system(xp, a, b))
    return s[..., -1] <= size * float(xp.finfo(a.dtype).eps) * s[..., 0]
