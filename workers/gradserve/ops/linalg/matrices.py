"""Functions of square matrices, and inverses, batched over leading axes.

Each differential is written with solves and inverses, never by elements. A matrix that cannot be inverted is refused,
in the value as in the derivative.
"""

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
from gradserve.ops.family import moved_bytes, require, require_arity, require_floats, with_batch, work
from gradserve.ops.registry import register


class OfMatrix(Op):
    """A function of one square matrix, or of each of a batch of them."""

    flops: ClassVar[float]
    """FLOPs in multiples of n^3."""
    constraints = {
        "C0": "one operand",
        "C1": "the last two lengths are equal",
        "C2": "elements are real numbers, or complex ones if the op takes them",
    }

    def require_square(self, types: Sequence[TensorType]) -> TensorType:
        """The only operand's type.

        Raises:
            ConstraintError: it is not a square matrix of real numbers, or a batch of them.
        """
        require_arity(self, types, 1)
        (x,) = types
        require(x.rank >= 2 and x.shape[-1] == x.shape[-2], "C1", f"{x} is no square matrix")
        require_floats(self, x, "C2")
        return x

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (self.require_square(types),)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis."""
        return g.apply(self, [with_batch(g, operands[0], batched[0], size)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        (a,) = operands
        return Cost(work(self.flops * a.lengths[-1] * a.size, a), moved_bytes(operands, results))


def invertible() -> Iterator[Array]:
    """A matrix that can be inverted, a batch, a single element, and nothing."""
    yield np.array([[2.0, -1.0, 0.5], [0.3, 1.5, 0.2], [-0.4, 0.6, -1.8]])
    yield np.array([[[1.0, 2.0], [3.0, -1.0]], [[0.5, 0.1], [-0.2, 2.0]]])
    yield np.array([[-0.7]])
    yield np.zeros((2, 0, 0))


def _singular(op: Op, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each matrix: a pivot is zero."""
    return xp.linalg.slogdet(operands[0])[0] == 0


REGULAR = Guard("R1", "Singular matrix {where}: use pinv or lstsq, or add to its diagonal", NumericalFailure, _singular)
"""That of a first operand which is inverted."""


@register
@dataclass(frozen=True)
class Inv(OfMatrix):
    """The inverse X^-1."""

    name = "inv"
    takes_complex = True
    analytic = True
    flops = 2.0

    def impl(self, xp: Any, *arrays: Array) -> Any:
        return xp.linalg.inv(arrays[0])

    @property
    def guards(self) -> tuple[Guard, ...]:
        """A singular matrix."""
        return (REGULAR,)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """d(X^-1) = -X^-1 dX X^-1."""
        (y,), (dx,) = outputs, tangents
        return (None if dx is None else -matrix_product(g, matrix_product(g, y, dx), y),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Matrices that can be inverted."""
        return (Sample(cls(), (x,)) for x in invertible())

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """A matrix of rank one, and one of a batch."""
        yield "R1", Sample(cls(), (np.ones((2, 2)),))
        yield "R1", Sample(cls(), (np.stack([np.eye(2), np.ones((2, 2))]),))


def has_none(op: Op, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Of each matrix that results, whether it is no numbers although all that it is made of are: there is none."""
    lost = xp.any(xp.logical_not(xp.isfinite(results[0])), axis=(-2, -1))
    for x in operands:
        lost = xp.logical_and(lost, xp.all(xp.isfinite(x), axis=(-2, -1)))
    return lost
