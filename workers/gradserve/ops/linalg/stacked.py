"""Ops on factors of matrices and on arrays beside them, all in stacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.op import Absorbed, Op
from gradserve.ir.types import Shape, TensorType
from gradserve.ops.absorption import absorbed_over
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.family import require, require_arity, require_floats


class Beside(Op):
    """Factors with leading axes of a stack, and arrays beside them that may have further leading axes in front.

    So many directions are applied to one factorisation without repeating it.
    """

    factor_ranks: ClassVar[tuple[int, ...]]
    """The axes of each factor without those of the stack."""
    beside_rank: ClassVar[int]
    """The axes of each array beside them, without leading ones."""
    stack_constraints: ClassVar[dict[str, str]] = {
        "S1": "factors have the axes that they need and equal leading axes",
        "S2": "arrays beside them have equal leading axes, which end with those of the factors",
        "S3": "element types are equal, and real or such as the op takes",
    }

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands promoted to one element type."""
        return g.promote(operands)

    def leading(self, types: Sequence[TensorType]) -> tuple[Shape, Shape]:
        """The leading axes of the factors, and of the arrays beside them.

        Raises:
            ConstraintError: S1, S2 or S3 is broken.
        """
        factors, beside = types[: len(self.factor_ranks)], types[len(self.factor_ranks) :]
        fits = all(t.rank >= rank for t, rank in zip(factors, self.factor_ranks, strict=True))
        require(fits, "S1", f"factors have too few axes: {_listed(factors)}")
        stacks = [t.shape[: t.rank - rank] for t, rank in zip(factors, self.factor_ranks, strict=True)]
        require(len(set(stacks)) == 1, "S1", f"leading axes differ: {_listed(factors)}")
        require(all(t.rank >= self.beside_rank for t in beside), "S2", f"too few axes: {_listed(beside)}")
        further = [t.shape[: t.rank - self.beside_rank] for t in beside] or stacks[:1]
        ends = all(len(shape) >= len(stacks[0]) for shape in further)
        ends = ends and all(shape[len(shape) - len(stacks[0]) :] == stacks[0] for shape in further)
        require(ends and len(set(further)) == 1, "S2", f"leading axes differ: {_listed(types)}")
        require(len({t.element_type for t in types}) == 1, "S3", f"element types differ: {_listed(types)}")
        require_floats(self, types[0], "S3")
        return stacks[0], further[0]

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """0 where an array beside the factors that the op is linear in is zero as a whole."""
        linear = [(x, own) for x, own in zip(operands, reach, strict=True) if own is not None]
        axes = tuple(range(-self.beside_rank, 0))
        return absorbed_over(g, g.apply(self, operands)[0], linear, self.beside_rank, axes)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One more leading axis; of the arrays beside alone where no factor has it."""
        count = len(self.factor_ranks)
        types = [x.type.with_shape(x.shape[1:]) if b else x.type for x, b in zip(operands, batched, strict=True)]
        stack, further = self.leading(types)
        beside = [_spread(g, x, b, size) for x, b in zip(operands[count:], batched[count:], strict=True)]
        if not any(batched[:count]):
            return g.apply(self, [*operands[:count], *beside])
        front = len(further) - len(stack)
        factors = []
        for x, is_batched, rank in zip(operands, batched, self.factor_ranks, strict=False):
            own = x.shape[x.type.rank - rank :]
            whole = g.reshape(_spread(g, x, is_batched, size), (size, *(1,) * front, *stack, *own))
            factors.append(g.broadcast(whole, (size, *further, *own)))
        return g.apply(self, [*factors, *beside])


class AtSquare(Beside):
    """At a square matrix, linear in one of its size beside it."""

    arity = 2
    linear_in = (1,)
    factor_ranks = (2,)
    beside_rank = 2
    constraints = {
        "C0": "two operands",
        "C1": "both are square matrices of one size, or batches of them",
        **Beside.stack_constraints,
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        self.leading(types)
        square, beside = types
        fits = square.shape[-2:] == beside.shape[-2:] and square.shape[-1] == square.shape[-2]
        require(fits, "C1", f"{square} and {beside} are no square matrices of one size")
        return (beside,)


def _spread(g: Builder, x: Value, batched: bool, size: int) -> Value:
    return x if batched else g.broadcast(x, (size, *x.type.shape))


def _listed(types: Sequence[TensorType]) -> str:
    return ", ".join(map(str, types)) or "none"


def stacked_product(g: Builder, x: Value, y: Value, flip_x: bool = False, flip_y: bool = False) -> Value:
    """x y over the last two axes; one may have further leading axes in front, for which the other is the same."""
    lead = max(x.shape[:-2], y.shape[:-2], key=len)
    x, y = (g.broadcast(value, (*lead, *value.shape[-2:])) for value in (x, y))
    return matrix_product(g, x, y, flip_x, flip_y)


def part(g: Builder, x: Value, start: int, stop: int) -> Value:
    """The elements `start` to `stop` along the last axis; x itself if these are all."""
    if (start, stop) == (0, x.shape[-1]):
        return x
    *before, _ = x.shape
    return g.emit("slice", x, starts=(*(0 for _ in before), start), stops=(*before, stop), strides=(1,) * x.type.rank)
