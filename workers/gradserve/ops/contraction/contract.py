"""The one bilinear contraction: every product of vectors, matrices and batches of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.op import Absorbed, Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.family import Multilinear, moved_bytes, only, require, require_arity, work
from gradserve.ops.movement.shapes import inverse, permuted
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class Contract(Multilinear):
    """Sums of products over pairs of axes, one axis of each operand.

    Axes of the result: the batch axes, then what is left of the first operand, then what is left of the second, each
    in their order. `lhs_contract[k]` and `rhs_contract[k]` are summed over together; `lhs_batch[k]` and `rhs_batch[k]`
    run together.
    """

    lhs_contract: tuple[int, ...]
    rhs_contract: tuple[int, ...]
    lhs_batch: tuple[int, ...]
    rhs_batch: tuple[int, ...]

    name = "contract"
    takes_complex = True
    total = True
    arity = 2
    linear_in = (0, 1)
    constraints = {
        "C0": "two operands",
        "C1": "axes come in pairs: as many of one operand as of the other",
        "C2": "every axis named exists and is named once",
        "C3": "axes summed over together have equal lengths",
        "C4": "batch axes that run together have equal lengths",
        "C5": "element types are equal, and numbers",
    }

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands promoted to one element type."""
        return g.promote(operands)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        x, y = types
        self._require_pairs()
        _require_axes(x, self.lhs_batch + self.lhs_contract)
        _require_axes(y, self.rhs_batch + self.rhs_contract)
        for constraint, what, pairs in (
            ("C3", "inner", zip(self.lhs_contract, self.rhs_contract, strict=True)),
            ("C4", "batch", zip(self.lhs_batch, self.rhs_batch, strict=True)),
        ):
            for i, j in pairs:
                m, n = x.shape[i], y.shape[j]
                require(m == n, constraint, f"{what} lengths differ: {m} from {x} and {n} from {y}")
        require(x.element_type is y.element_type, "C5", f"element types differ: {x} and {y}")
        require(
            x.element_type is not ElementType.BOOL,
            "C5",
            f"truth values cannot be multiplied: {x} and {y}; convert them, as by .astype(int)",
        )
        left, right = self.free(x.rank, y.rank)
        shape = (
            *(x.shape[axis] for axis in self.lhs_batch),
            *(x.shape[axis] for axis in left),
            *(y.shape[axis] for axis in right),
        )
        return (x.with_shape(shape),)

    def _require_pairs(self) -> None:
        for name, lhs, rhs in (
            ("contract", self.lhs_contract, self.rhs_contract),
            ("batch", self.lhs_batch, self.rhs_batch),
        ):
            require(len(lhs) == len(rhs), "C1", f"lhs_{name} {lhs} and rhs_{name} {rhs} differ in length")

    def free(self, lhs_rank: int, rhs_rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The axes of each operand that are neither batch axes nor summed over."""
        return (
            _others(lhs_rank, self.lhs_batch + self.lhs_contract),
            _others(rhs_rank, self.rhs_batch + self.rhs_contract),
        )

    def impl(self, xp: Any, *arrays: Array) -> Any:
        x, y = arrays
        left, right = self.free(x.ndim, y.ndim)
        shape = [x.shape[axis] for axis in (*self.lhs_batch, *left)] + [y.shape[axis] for axis in right]
        batch = tuple(shape[: len(self.lhs_batch)])
        inner = math.prod(x.shape[axis] for axis in self.lhs_contract)
        rows = math.prod(x.shape[axis] for axis in left)
        columns = math.prod(y.shape[axis] for axis in right)
        x = xp.reshape(xp.permute_dims(x, self.lhs_batch + left + self.lhs_contract), (*batch, rows, inner))
        y = xp.reshape(xp.permute_dims(y, self.rhs_batch + self.rhs_contract + right), (*batch, inner, columns))
        return xp.reshape(xp.matmul(x, y), tuple(shape))

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent contracted with the known operand over the axes that came from it."""
        x, y = operands
        ct = only(cotangents)
        left, right = self.free(x.type.rank, y.type.rank)
        split = len(self.lhs_batch) + len(left)
        if isinstance(x, Unknown) and isinstance(y, Value):
            mine, other = (self.lhs_batch, left, self.lhs_contract), (self.rhs_batch, right, self.rhs_contract)
            return (_pullback(g, ct, range(split, split + len(right)), y, mine, other), None)
        assert isinstance(x, Value)
        mine, other = (self.rhs_batch, right, self.rhs_contract), (self.lhs_batch, left, self.lhs_contract)
        return (None, _pullback(g, ct, range(len(self.lhs_batch), split), x, mine, other))

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """The sum of all finite products, and what the others add: found from how many there are, of which sign."""
        if operands[0].type.is_complex:  # an infinite complex number has no sign of few
            return self._absorbing_whole(g, operands, reach)
        x, y = (_Factor(g, operand, own) for operand, own in zip(operands, reach, strict=True))

        def product(left: Value, right: Value) -> Value:
            return g.apply(self, [left, right])[0]

        finite = product(x.finite, y.finite)
        strange = g.add(product(x.strange, y.present), product(x.present, y.strange))
        signed = g.add(product(x.infinite, y.sign), product(x.sign, y.infinite))
        infinity = g.select(g.gt(signed, 0), np.inf, -np.inf)
        beyond = g.select(g.eq(g.abs(signed), strange), infinity, np.nan)
        hits = g.add(product(x.strange_reached, y.zero_reached), product(x.zero_reached, y.strange_reached))
        result = g.select(g.gt(strange, 0), g.add(finite, beyond), finite)
        return Absorbed((result,), self.reached(g, operands, reach), g.gt(hits, 0))

    def _absorbing_whole(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """The products, and 0 where a factor that is linear has nothing but zeros in the sum."""
        zero = g.constant(False)
        for k, own in enumerate(reach):
            if own is not None:
                counted = [g.full(x.type, 1) for x in operands]
                counted[k] = g.convert(g.ne(operands[k], 0), operands[k].type.element_type)
                zero = g.logical_or(zero, g.eq(g.apply(self, counted)[0], 0))
        result, (reached,) = g.apply(self, operands)[0], self.reached(g, operands, reach)
        lost = g.logical_and(zero, g.logical_not(g.is_finite(result)))
        return Absorbed((g.select(zero, 0, result),), (reached,), g.logical_and(lost, g.gt(g.real(reached), 0)))

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """One contraction: a batch axis of both operands runs along, one of a single operand is one more free axis.

        So X(n, d) with a batch of w(B, d) is one product of matrices, w X^T.
        """
        x, y = operands
        lhs = (self.lhs_contract, self.lhs_batch)
        rhs = (self.rhs_contract, self.rhs_batch)
        if batched[0]:
            lhs = (_shifted(lhs[0]), _shifted(lhs[1]))
        if batched[1]:
            rhs = (_shifted(rhs[0]), _shifted(rhs[1]))
        if all(batched):
            return g.apply(Contract(lhs[0], rhs[0], (0, *lhs[1]), (0, *rhs[1])), operands)
        left, right = self.free(x.type.rank - batched[0], y.type.rank - batched[1])
        where = len(self.lhs_batch)
        if batched[1] and (not left or not right):  # the other way round the batch axis comes out in front
            result = g.apply(Contract(rhs[0], lhs[0], rhs[1], lhs[1]), [y, x])[0]
        else:
            result = g.apply(Contract(lhs[0], rhs[0], lhs[1], rhs[1]), operands)[0]
            where += len(left) if batched[1] else 0
        rank = result.type.rank
        return (permuted(g, result, (where, *range(where), *range(where + 1, rank))),)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A multiplication and an addition for each product."""
        inner = math.prod(operands[0].lengths[axis] for axis in self.lhs_contract)
        return Cost(work(2.0 * results[0].size * inner, results[0]), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Vectors, matrices, an outer product, batches, axes in odd orders, scalars and nothing."""
        a = np.linspace(-1.0, 2.0, 24)
        x, y = a.reshape(2, 3, 4), np.cos(a).reshape(4, 3, 2)
        yield Sample(cls((0,), (0,), (), ()), (a[:3], a[3:6]))
        yield Sample(cls((1,), (0,), (), ()), (x[0], y[:, :, 0]))
        yield Sample(cls((0,), (1,), (), ()), (x[0], y[:, :, 0]))
        yield Sample(cls((), (), (), ()), (a[:2], a[2:5]))
        yield Sample(cls((2,), (0,), (0,), (2,)), (x, y))
        yield Sample(cls((2, 1), (0, 1), (), ()), (x, y))
        yield Sample(cls((1,), (1,), (), ()), (x, y))
        yield Sample(cls((), (), (0,), (0,)), (a[:3], a[3:6]))
        yield Sample(cls((1,), (0,), (0,), (1,)), (x[0], y[:, :, 0]))
        yield Sample(cls((), (), (), ()), (np.array(2.5), a[:2]))
        yield Sample(cls((1,), (0,), (), ()), (np.zeros((2, 0)), np.zeros((0, 3))))


class _Factor:
    """A factor taken apart into what is finite and where it is what, as numbers of its type."""

    def __init__(self, g: Builder, x: Value, reach: Value | None) -> None:
        def where(truth: Value) -> Value:
            return g.convert(truth, x.type.element_type)

        is_finite = g.is_finite(x)
        self.finite = g.select(is_finite, x, 0.0)
        self.strange = where(g.logical_not(is_finite))
        self.present = where(g.ne(x, 0))
        self.sign = g.select(g.eq(x, x), g.sign(x), 0.0)
        self.infinite = g.mul(self.strange, self.sign)
        reached = g.full(x.type, 1) if reach is None else where(g.gt(reach, 0))
        self.strange_reached = g.mul(self.strange, reached)
        self.zero_reached = g.mul(where(g.eq(x, 0)), reached)


Axes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""The batch axes, the free axes and the contracted axes of an operand."""


def _pullback(g: Builder, ct: Value, summed: range, other: Value, mine: Axes, others: Axes) -> Value:
    """The cotangent of an operand: `ct` and the other operand contracted over what the other has free."""
    batch, free, contracted = mine
    along = tuple(range(len(batch)))
    # What is left of the other operand are its contracted axes, ascending; each is paired with one of mine.
    paired = tuple(axis for _, axis in sorted(zip(others[2], contracted, strict=True)))
    rank = len(batch) + len(free) + len(contracted)
    if (*batch, *paired, *free) == tuple(range(rank)):
        return g.apply(Contract(others[1], tuple(summed), others[0], along), [other, ct])[0]
    result = g.apply(Contract(tuple(summed), others[1], along, others[0]), [ct, other])[0]
    return permuted(g, result, inverse((*batch, *free, *paired)))


def _others(rank: int, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis in range(rank) if axis not in axes)


def _shifted(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in axes)


def _require_axes(operand: TensorType, axes: tuple[int, ...]) -> None:
    fits = len(set(axes)) == len(axes) and all(0 <= axis < operand.rank for axis in axes)
    require(fits, "C2", f"axes {axes} are not distinct axes of {operand}")


def matrix_product(g: Builder, x: Value, y: Value, flip_x: bool = False, flip_y: bool = False) -> Value:
    """x y over the last two axes, the leading ones running along; a flipped operand enters transposed."""
    rank = x.type.rank
    along = tuple(range(rank - 2))
    lhs, rhs = rank - 2 if flip_x else rank - 1, rank - 1 if flip_y else rank - 2
    return g.apply(Contract((lhs,), (rhs,), along, along), [x, y])[0]
