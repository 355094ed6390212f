"""Functions of one eigenvalue or singular value, as expressions, and what they become for all values or for the matrix.

The expression of v = exp(-w / 2) is taken of the vector w element by element, or of the matrix A = Q diag(w) Q^T: there
sums are sums and products are products of matrices. Both agree: the matrix is Q diag(v) Q^T.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.ops.spectral.scalar_functions import FUNCTIONS

Expression: TypeAlias = "Variable | Number | Sum | Product | Applied | Turn"


@dataclass(frozen=True, eq=False)
class Variable:
    """The eigenvalue or singular value itself."""


@dataclass(frozen=True, eq=False)
class Number:
    """A number for each matrix of the stack; None stands for 1."""

    value: Value | None


@dataclass(frozen=True, eq=False)
class Sum:
    """The sum of two."""

    left: Expression
    right: Expression


@dataclass(frozen=True, eq=False)
class Product:
    """The product of two."""

    left: Expression
    right: Expression


@dataclass(frozen=True, eq=False)
class Applied:
    """A function of one real variable, by its name in `scalar_functions`."""

    function: str
    of: Expression
    parameter: float = 0.0


@dataclass(frozen=True, eq=False)
class Turn:
    """1 for all singular values but the last, and for that the orientation det U det V of the singular vectors."""


ONE = Number(None)


def times(left: Expression, right: Expression) -> Expression:
    """The product, without factors of 1."""
    if isinstance(left, Number) and left.value is None:
        return right
    if isinstance(right, Number) and right.value is None:
        return left
    return Product(left, right)


def multiple(g: Builder, factor: float, of: Expression, stack: tuple[int, ...], like: Value) -> Expression:
    """The expression times a number."""
    return times(Number(g.broadcast(g.constant(factor, like.type.element_type), stack)), of)


def converted(expression: Expression, element_type: ElementType) -> Expression:
    """The expression with its numbers in another precision."""
    match expression:
        case Number(value) if value is not None:
            return Number(value.builder.convert(value, element_type))
        case Sum(left, right):
            return Sum(converted(left, element_type), converted(right, element_type))
        case Product(left, right):
            return Product(converted(left, element_type), converted(right, element_type))
        case Applied(function, of, parameter):
            return Applied(function, converted(of, element_type), parameter)
        case _:
            return expression


def without_turn(expression: Expression) -> tuple[bool, Expression] | None:
    """Whether a turn is a factor of the expression, and the other factors; None if it stands within a function."""
    if not has_turn(expression):
        return False, expression
    match expression:
        case Turn():
            return True, ONE
        case Product(left, right):
            one, other = without_turn(left), without_turn(right)
            if one is None or other is None:
                return None
            return one[0] != other[0], times(one[1], other[1])
        case _:
            return None


class Algebra(ABC):
    """What an expression may be taken of."""

    @abstractmethod
    def variable(self) -> Element:
        """The variable."""

    @abstractmethod
    def apply(self, function: str, parameter: float, of: Element) -> Element:
        """A function of one real variable."""

    @abstractmethod
    def add(self, left: Element, right: Element) -> Element:
        """The sum."""

    @abstractmethod
    def multiply(self, left: Element, right: Element) -> Element:
        """The product, numbers aside."""


@dataclass(frozen=True, eq=False)
class Element:
    """A number times a matrix, or times the identity where there is none."""

    number: Value | None = None
    matrix: Value | None = None
    odd: bool = False
    """Whether the matrix changes its sign where that of every singular value is changed."""


def taken(expression: Expression, algebra: Algebra) -> Element:
    """The expression in an algebra."""
    match expression:
        case Variable():
            return algebra.variable()
        case Number(value):
            return Element(number=value)
        case Sum(left, right):
            return algebra.add(taken(left, algebra), taken(right, algebra))
        case Product(left, right):
            return product(taken(left, algebra), taken(right, algebra), algebra)
        case Applied(function, of, parameter):
            return algebra.apply(function, parameter, taken(of, algebra))
        case Turn():
            raise AssertionError("turns are taken out before")


def product(left: Element, right: Element, algebra: Algebra) -> Element:
    """The product, with numbers kept apart from matrices."""
    found = algebra.multiply(left, right) if left.matrix and right.matrix else left if left.matrix else right
    number = left.number if right.number is None else right.number
    if left.number is not None and right.number is not None:
        number = left.number * right.number
    return Element(number, found.matrix, found.odd)


def vector(expression: Expression, x: Value) -> Value:
    """The expression of every element along the last axis of x."""
    g = x.builder
    match expression:
        case Variable():
            return x
        case Number(value):
            one = g.constant(1.0, x.type.element_type) if value is None else value
            return g.broadcast(g.reshape(one, (*one.shape, 1)), x.type.shape)
        case Sum(left, right):
            return vector(left, x) + vector(right, x)
        case Product(left, right):
            return vector(left, x) * vector(right, x)
        case Applied(function, of, parameter):
            return _element_by_element(function, parameter, vector(of, x))
        case Turn():
            raise AssertionError("turns are taken out before")


def _element_by_element(function: str, parameter: float, x: Value) -> Value:
    g = x.builder
    match function:
        case "power":
            return g.emit("pow", x, parameter)
        case "reciprocal":
            return g.emit("div", 1.0, x)
        case "positive":
            return g.emit("maximum", x, 0.0)
        case _:
            return g.emit(function, x)


def has_turn(expression: Expression) -> bool:
    """Whether a turn is part of the expression."""
    match expression:
        case Turn():
            return True
        case Sum(left, right) | Product(left, right):
            return has_turn(left) or has_turn(right)
        case Applied(_, of):
            return has_turn(of)
        case _:
            return False


def has_kink(expression: Expression) -> bool:
    """Whether a function that is not smooth at 0 is part of the expression."""
    match expression:
        case Sum(left, right) | Product(left, right):
            return has_kink(left) or has_kink(right)
        case Applied(function, of):
            return FUNCTIONS[function].kink_at_zero or has_kink(of)
        case _:
            return False


def is_linear(expression: Expression) -> bool:
    """Whether the expression is the variable times numbers."""
    match expression:
        case Variable():
            return True
        case Product(left, right):
            return (isinstance(left, Number) and is_linear(right)) or (isinstance(right, Number) and is_linear(left))
        case _:
            return False
