"""Families of ops: what infer, batch, cost, samples and the linear rules have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.op import Absorbed, Cost, Op, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, Shape, TensorType
from gradserve.ops.coercion import of_one_type

Columns: TypeAlias = tuple[tuple[float, ...], ...]
"""The elements of each operand in turn."""

DIVISION = 4.0
"""FLOPs of a quotient, a remainder or a root, in sums and products."""
TRANSCENDENTAL = 12.0
"""FLOPs of an exponential, a logarithm or an angle."""


_OF_COMPLEX = 4.0
"""Real operations in the place of each, about: as many products are in one of complex numbers."""


def work(flops: float, type_: TensorType) -> float:
    """Real operations for so many on elements of a type."""
    return flops * _OF_COMPLEX if type_.is_complex else flops


def moved_bytes(operands: Sequence[TensorType], results: Sequence[TensorType]) -> float:
    """Bytes read and written when every operand and every result passes through memory once."""
    return float(sum(t.nbytes for t in operands) + sum(t.nbytes for t in results))


def total(g: Builder, terms: Sequence[Value | None]) -> Value | None:
    """The sum of the terms, None standing for zero; None if all are zero."""
    present = [term for term in terms if term is not None]
    if not present:
        return None
    result = present[0]
    for term in present[1:]:
        result = g.add(result, term)
    return result


def require(condition: bool, constraint: str, description: str) -> None:
    """Raises a ConstraintError unless the condition holds; for descriptions that are quickly written."""
    if not condition:
        raise ConstraintError(constraint, description)


def require_arity(op: Op, types: Sequence[TensorType], count: int) -> None:
    """C0: an op has as many operands as it has."""
    if len(types) != count:
        raise ConstraintError("C0", f"{op.name} takes {count} operand{'s' * (count != 1)}, not {len(types)}")


def require_floats(op: Op, type_: TensorType, constraint: str) -> None:
    """Elements are real numbers, or complex ones if the op takes them."""
    kinds = "real or complex" if op.takes_complex else "real"
    fits = type_.is_real or (op.takes_complex and type_.is_complex)
    require(fits, constraint, f"elements must be {kinds}, not {type_.element_type.value}; convert them")


def only(cotangents: Sequence[Value | None]) -> Value:
    """The cotangent of an op's only result. It is there: nodes all of whose cotangents are zero are not transposed."""
    (cotangent,) = cotangents
    assert cotangent is not None
    return cotangent


def to_float(g: Builder, operand: Operand) -> Value:
    """The operand with real or complex elements: float64 unless they are such already."""
    value = g.lift(operand)
    return value if value.type.is_float else g.convert(value, ElementType.FLOAT64)


def with_batch(g: Builder, value: Value, batched: bool, size: int) -> Value:
    """The value with a leading batch axis, repeated if it had none."""
    return value if batched else g.broadcast(value, (size, *value.type.shape))


def expand(g: Builder, value: Value, axes: Sequence[int], shape: Shape) -> Value:
    """The value with axes of `shape` that it lacks, those numbered `axes`, along which it is repeated.

    So the result of a reduction over these axes gets the shape of its operand again.
    """
    if tuple(axes) != tuple(range(len(axes))):
        value = g.reshape(value, tuple(1 if axis in axes else n for axis, n in enumerate(shape)))
    return g.broadcast(value, shape)


class Linear(Op):
    """An op that is linear in all its operands together: its differential is the op itself."""

    linear_in = None
    analytic = True

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The op applied to the tangents, zeros in the place of None."""
        filled = [g.zeros(x.type) if dx is None else dx for x, dx in zip(primals, tangents, strict=True)]
        return g.apply(self, filled)

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """The op itself, which multiplies nothing."""
        return Absorbed(g.apply(self, operands), self.reached(g, operands, reach))

    def reached(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> tuple[Value, ...]:
        """The op applied to what says where its operands are zero by choice: sums of what is not negative."""
        return g.apply(self, [g.zeros(x.type) if r is None else r for x, r in zip(operands, reach, strict=True)])


class Multilinear(Op):
    """An op that is linear in each of the operands `linear_in`; the others, such as indices, have no tangent."""

    analytic = True

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The product rule: the sum over the operands that move of the op with that operand's tangent in its place."""
        terms: list[Value | None] = []
        for k in self.linear_in or ():
            tangent = tangents[k]
            if tangent is not None:
                terms += g.apply(self, [*primals[:k], tangent, *primals[k + 1 :]])
        return (total(g, terms),)

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """The op itself, which only moves elements, unless it says otherwise."""
        return Absorbed(g.apply(self, operands), self.reached(g, operands, reach))

    def reached(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> tuple[Value, ...]:
        """The op applied to what says where its operands are zero by choice, and to ones in the place of factors."""
        filled = [
            g.full(x.type, 1) if r is None and k in (self.linear_in or ()) else x if r is None else r
            for k, (x, r) in enumerate(zip(operands, reach, strict=True))
        ]
        return g.apply(self, filled)


class Discrete(Op):
    """An op that is constant between its jumps, or whose results are no reals: its differential is zero."""

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """None, for zero, in the place of each tangent."""
        return (None,) * len(outputs)


@dataclass(frozen=True)
class Elementwise(Op):
    """One result in the shape of its operands, element by element."""

    elementwise = True
    total = True
    function: ClassVar[str]
    """The array-API function that computes it."""
    flops: ClassVar[float] = 1.0
    """Floating-point operations of one element."""
    points: ClassVar[Columns]
    """Real operands at which the op is smooth."""
    kinks: ClassVar[Columns] = ()
    """Real operands at which it is not smooth, or not finite."""
    integers: ClassVar[Columns] = ((7, -3, 0, 2), (2, 5, -4, 2))
    """Integer operands, for ops that take them."""
    constraints = {
        "C0": "as many operands as the op takes",
        "C1": "operands have equal shapes",
        "C2": "operands have equal element types",
        "C3": "the element type is one that the op takes",
    }

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands promoted to one element type and broadcast to one shape."""
        return of_one_type(g, operands) or g.align(g.promote(operands))

    def accepts(self, element_type: ElementType) -> bool:
        """Whether the op takes these elements: numbers, unless it says otherwise."""
        return element_type is not ElementType.BOOL

    def result_type(self, operand: TensorType) -> TensorType:
        """The type of the result for operands of this type: the same, unless the op says otherwise."""
        return operand

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """What `result_type` makes of the one type that all operands have."""
        assert self.arity is not None
        require_arity(self, types, self.arity)
        first = types[0]
        for other in types[1:]:
            if other != first:  # asked first, because writing the messages takes longer than all the rest
                require(other.shape == first.shape, "C1", f"shapes differ: {first} and {other}; broadcast one of them")
                require(other.element_type is first.element_type, "C2", f"element types differ: {first} and {other}")
        if not self.accepts(first.element_type) or (first.is_complex and not self.takes_complex):
            raise ConstraintError("C3", f"{self.name} does not take {first.element_type.value} elements")
        return (self.result_type(first),)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """The array-API function on the operands."""
        return getattr(xp, self.function)(*arrays)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """The op on operands that all carry the batch axis."""
        if all(batched):
            return g.apply(self, operands)
        return g.apply(self, [with_batch(g, x, b, size) for x, b in zip(operands, batched, strict=True)])

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """`flops` for each element of the result; every operand and the result pass through memory once."""
        return Cost(work(self.flops * results[0].size, operands[0]), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Vectors, scalars, nothing at all, kinks; integers and truth values where the op takes them."""
        op, columns = cls(), [np.array(column) for column in cls.points]
        yield Sample(op, tuple(columns))
        yield Sample(op, tuple(np.array(column[0]) for column in columns))
        yield Sample(op, tuple(np.zeros((2, 0)) for _ in columns))
        if cls.kinks:
            yield Sample(op, tuple(np.array(column) for column in cls.kinks), differentiable=False)
        if op.accepts(ElementType.INT64):
            yield Sample(op, tuple(np.array(column) for column in cls.integers[: len(columns)]), differentiable=False)
        if op.accepts(ElementType.BOOL):
            truths = ([True, True, False, False], [True, False, True, False])[: len(columns)]
            yield Sample(op, tuple(np.array(column) for column in truths), differentiable=False)


class RealElementwise(Elementwise):
    """Takes real numbers, and complex ones if it says so; others become float64 first, as in NumPy."""

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands promoted to one floating-point type and broadcast to one shape."""
        found = of_one_type(g, operands)
        if found is not None and found[0].type.is_float:
            return found
        return g.align([to_float(g, value) for value in g.promote(operands)])

    def accepts(self, element_type: ElementType) -> bool:
        """Only floating-point numbers."""
        return element_type.is_float


class Unary(RealElementwise):
    """A differentiable function of one variable."""

    @abstractmethod
    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """The tangent dy of y = op(x) for a tangent dx, all of one type; None for zero."""

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The differential."""
        (dx,) = tangents
        return (None if dx is None else self.differential(g, dx, primals[0], outputs[0]),)


class Binary(Elementwise):
    """A function of two operands of one type."""

    arity = 2

    def differential(self, g: Builder, k: int, dx: Value, operands: Sequence[Value], y: Value) -> Value | None:
        """The tangent of the result y if operand `k` alone moves, by dx; None for zero."""
        raise ConstraintError("D1", f"{self.name} has no derivative")

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The sum of the two partial differentials."""
        terms = [
            None if dx is None else self.differential(g, k, dx, primals, outputs[0]) for k, dx in enumerate(tangents)
        ]
        return (total(g, terms),)
