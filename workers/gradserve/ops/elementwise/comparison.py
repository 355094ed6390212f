"""Truth values: comparisons, logic, and what is chosen by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.op import Absorbed, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops.elementwise.pieces import Ordered
from gradserve.ops.family import Binary, Discrete, Elementwise, only, require, require_arity
from gradserve.ops.registry import register


class Comparison(Discrete, Binary):
    """Whether two operands stand in a relation. NaN stands in none but `ne`."""

    pieces = Ordered()
    sign: ClassVar[str]
    """As it is written between them."""
    points = ((1.5, -2.0, 0.0), (0.25, 3.0, 1.0))
    kinks = ((1.5, 0.0, np.nan, np.inf), (1.5, -0.0, np.nan, np.inf))

    def accepts(self, element_type: ElementType) -> bool:
        return True

    def result_type(self, operand: TensorType) -> TensorType:
        return operand.with_element_type(ElementType.BOOL)

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where the operands are equal: it jumps. What it chooses has its own derivative, whatever the rest has."""
        x, y = operands
        return None if x is y else g.eq(x, y)  # x = x asks for NaN, and that does not change near a number

    def margin(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """The distance between the operands."""
        return g.abs(g.sub(*operands)) if operands[0].type.is_float else None


@register
@dataclass(frozen=True)
class Eq(Comparison):
    """x = y."""

    name = "eq"
    takes_complex = True
    sign = "=="
    commutative = True
    function = "equal"


@register
@dataclass(frozen=True)
class Ne(Comparison):
    """x differs from y."""

    name = "ne"
    takes_complex = True
    sign = "!="
    commutative = True
    function = "not_equal"


@register
@dataclass(frozen=True)
class Lt(Comparison):
    """x < y."""

    name = "lt"
    sign = "<"
    function = "less"


@register
@dataclass(frozen=True)
class Le(Comparison):
    """x <= y."""

    name = "le"
    sign = "<="
    function = "less_equal"


@register
@dataclass(frozen=True)
class Gt(Comparison):
    """x > y."""

    name = "gt"
    sign = ">"
    function = "greater"


@register
@dataclass(frozen=True)
class Ge(Comparison):
    """x >= y."""

    name = "ge"
    sign = ">="
    function = "greater_equal"


class Logic(Discrete, Elementwise):
    """A function of truth values; numbers are true unless zero."""

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands as truth values of one shape."""
        return g.align([g.convert(g.lift(operand), ElementType.BOOL) for operand in operands])

    def accepts(self, element_type: ElementType) -> bool:
        """Only truth values."""
        return element_type is ElementType.BOOL

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """The truth table, one application to scalars, one to nothing."""
        arity = cls.arity or 0
        table = np.array([[True, True, False, False], [True, False, True, False]])[:arity]
        yield Sample(cls(), tuple(table), differentiable=False)
        yield Sample(cls(), tuple(np.array(column[0]) for column in table), differentiable=False)
        yield Sample(cls(), tuple(column[:0] for column in table), differentiable=False)


@register
@dataclass(frozen=True)
class LogicalAnd(Logic):
    """Whether both are true."""

    name = "logical_and"
    joint = "and"
    commutative = True
    function = "logical_and"
    arity = 2


@register
@dataclass(frozen=True)
class LogicalOr(Logic):
    """Whether one is true."""

    name = "logical_or"
    joint = "or"
    commutative = True
    function = "logical_or"
    arity = 2


@register
@dataclass(frozen=True)
class LogicalXor(Logic):
    """Whether just one is true."""

    name = "logical_xor"
    commutative = True
    function = "logical_xor"
    arity = 2


@register
@dataclass(frozen=True)
class LogicalNot(Logic):
    """Whether x is false."""

    name = "logical_not"
    function = "logical_not"


@register
@dataclass(frozen=True)
class IsFinite(Discrete, Elementwise):
    """Whether x is neither infinite nor NaN."""

    name = "is_finite"
    takes_complex = True
    function = "isfinite"
    points = ((1.5, -2.0, 0.0),)
    kinks = ((np.inf, -np.inf, np.nan),)

    def accepts(self, element_type: ElementType) -> bool:
        return True

    def result_type(self, operand: TensorType) -> TensorType:
        return operand.with_element_type(ElementType.BOOL)


@register
@dataclass(frozen=True)
class Select(Elementwise):
    """x where the condition holds, y elsewhere. Only the branch chosen counts, in the derivative as well."""

    name = "select"
    analytic = True
    function = "where"
    arity = 3
    linear_in = (1, 2)
    constraints = {
        "C0": "three operands: condition, x, y",
        "C1": "operands have equal shapes",
        "C2": "x and y have equal element types",
        "C3": "the condition is a truth value",
    }

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The condition as truth values, the branches promoted to one element type; all of one shape."""
        condition, *branches = operands
        return g.align([g.convert(g.lift(condition), ElementType.BOOL), *g.promote(branches)])

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 3)
        condition, x, y = types
        same = condition.shape == x.shape == y.shape
        require(same, "C1", f"shapes differ: {condition}, {x} and {y}; broadcast some of them")
        require(x.element_type is y.element_type, "C2", f"element types differ: {x} and {y}")
        chosen = condition.element_type is ElementType.BOOL
        require(chosen, "C3", f"the condition is {condition}; compare it with something")
        return (x,)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """The tangent of the branch chosen."""
        dx, dy = tangents[1:]
        if dx is None and dy is None:
            return (None,)
        zeros = g.zeros(outputs[0].type)
        return (g.select(primals[0], zeros if dx is None else dx, zeros if dy is None else dy),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent where a branch was chosen, zero elsewhere."""
        ct = only(cotangents)
        condition, x, y = operands
        zeros = g.zeros(ct.type)
        return (
            None,
            g.select(condition, ct, zeros) if isinstance(x, Unknown) else None,
            g.select(condition, zeros, ct) if isinstance(y, Unknown) else None,
        )

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """The op itself: where it chooses a branch that is zero, or that does not move, nothing is reached."""
        condition, *branches = operands
        own = [g.zeros(x.type) if r is None else r for x, r in zip(branches, reach[1:], strict=True)]
        return Absorbed(g.apply(self, operands), g.apply(self, [condition, *own]))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Both branches; a scalar, nothing, integers; a branch not chosen that is not finite."""
        condition = np.array([True, False, False])
        yield Sample(cls(), (condition, np.array([1.5, -2.0, 0.0]), np.array([0.25, 3.0, 1.0])))
        yield Sample(cls(), (np.array(False), np.array(1.5), np.array(0.25)))
        yield Sample(cls(), (np.zeros((0, 2), bool), np.zeros((0, 2)), np.zeros((0, 2))))
        yield Sample(cls(), (condition, np.array([1.5, np.nan, np.inf]), np.array([np.nan, 3.0, 1.0])))
        yield Sample(cls(), (condition, np.array([1, 2, 3]), np.array([4, 5, 6])), differentiable=False)
