"""Scalars of an iteration as terms: an op's own mathematics, run once on these, says what is to be computed.

A term is an instruction of the processor, or one call of a ufunc's inner loop, which works on many elements at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any, TypeAlias

import numpy as np

from gradserve.execution.fused.ufuncs import InnerLoop, inner_loop
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType

Number: TypeAlias = bool | int | float
BOOL, FLOAT64 = ElementType.BOOL, ElementType.FLOAT64


class NotLowered(Exception):
    """What is asked for has no machine code of ours."""


@dataclass(frozen=True, eq=False)
class Term:
    """One scalar of each pass."""

    operation: str
    """The name of an instruction, `number`, `leaf`, or `call`."""
    operands: tuple[Term, ...]
    element_type: ElementType
    number: Number | None = None
    """What it is, if it is known."""
    loop: InnerLoop | None = field(default=None, repr=False)
    """What is called."""
    place: int = 0
    """Which leaf it is."""

    def __add__(self, other: Any) -> Term:
        return binary("add", self, other)

    def __radd__(self, other: Any) -> Term:
        return binary("add", other, self)

    def __sub__(self, other: Any) -> Term:
        return binary("sub", self, other)

    def __rsub__(self, other: Any) -> Term:
        return binary("sub", other, self)

    def __mul__(self, other: Any) -> Term:
        return binary("mul", self, other)

    def __rmul__(self, other: Any) -> Term:
        return binary("mul", other, self)

    def __truediv__(self, other: Any) -> Term:
        return binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Term:
        return binary("div", other, self)

    def __pow__(self, other: Any) -> Term:
        return power(*aligned(self, other))

    def __neg__(self) -> Term:
        return Term("neg", (self,), self.element_type)

    def __lt__(self, other: Any) -> Term:
        return compared("lt", self, other)

    def __le__(self, other: Any) -> Term:
        return compared("le", self, other)

    def __gt__(self, other: Any) -> Term:
        return compared("gt", self, other)

    def __ge__(self, other: Any) -> Term:
        return compared("ge", self, other)

    def __eq__(self, other: Any) -> Term:  # type: ignore[override]
        return compared("eq", self, other)

    def __ne__(self, other: Any) -> Term:  # type: ignore[override]
        return compared("ne", self, other)

    def __and__(self, other: Any) -> Term:
        return logical("and", self, other)

    def __or__(self, other: Any) -> Term:
        return logical("or", self, other)

    def __invert__(self) -> Term:
        return logical("xor", self, True)

    __hash__ = object.__hash__

    @property
    def dtype(self) -> ElementType:
        """Its element type, which is what the namespace takes for a dtype."""
        return self.element_type


def number(value: Number, element_type: ElementType) -> Term:
    """A number as a term."""
    return Term("number", (), element_type, number=element_type.dtype.type(value).item())


def leaf(place: int, element_type: ElementType) -> Term:
    """What the iteration reads."""
    return Term("leaf", (), element_type, place=place)


def aligned(*operands: Any) -> list[Term]:
    """The operands as terms of one element type; numbers take that of the others."""
    known = [x.element_type for x in operands if isinstance(x, Term)]
    wanted = known[0]
    if any(t is not wanted for t in known):
        raise NotLowered("operands of several element types")
    if not wanted.is_float and any(isinstance(x, float) for x in operands):
        raise NotLowered("integers with a real number")
    return [x if isinstance(x, Term) else number(x, wanted) for x in operands]


def binary(operation: str, *operands: Any) -> Term:
    """An instruction on two operands: of truth values a logical one."""
    terms = aligned(*operands)
    element_type = terms[0].element_type
    if element_type is BOOL and operation in _OF_TRUTHS:
        return Term(_OF_TRUTHS[operation], tuple(terms), BOOL)
    if element_type is BOOL or (operation == "div" and not element_type.is_float):
        raise NotLowered(f"{operation} of {element_type.value}")
    return Term(operation, tuple(terms), element_type)


_OF_TRUTHS = {"add": "or", "mul": "and"}


def compared(operation: str, *operands: Any) -> Term:
    """The truth value of a comparison."""
    return Term(operation, tuple(aligned(*operands)), BOOL)


def logical(operation: str, *operands: Any) -> Term:
    """An instruction on truth values."""
    terms = aligned(*operands)
    if terms[0].element_type is not BOOL:
        raise NotLowered(f"{operation} of {terms[0].element_type.value}")
    return Term(operation, tuple(terms), BOOL)


def power(base: Term, exponent: Term) -> Term:
    """Squares, cubes and fourth powers by products."""
    if base.element_type.is_float and exponent.number in (1, 2, 3, 4):
        square = base * base
        return {1: base, 2: square, 3: square * base, 4: square * square}[int(exponent.number)]
    return called(np.power, base, exponent)


def called(ufunc: Any, *operands: Any) -> Term:
    """A call of a ufunc's inner loop."""
    terms = aligned(*operands)
    if not isinstance(ufunc, np.ufunc) or len(terms) != ufunc.nin:
        raise NotLowered(f"{ufunc} is no ufunc of {len(terms)} operands")
    found = inner_loop(ufunc, tuple(x.element_type for x in terms))
    if found is None:
        raise NotLowered(f"{ufunc} has no inner loop for these elements")
    return Term("call", tuple(terms), found.result, loop=found)


def in_order(wanted: Sequence[Term], known: Sequence[Term] = ()) -> list[Term]:
    """The terms and all that they need but what is known, each after its operands."""
    found: dict[Term, None] = dict.fromkeys(known)
    stack = [(term, False) for term in reversed(wanted)]
    while stack:
        term, ready = stack.pop()
        if term in found:
            continue
        if ready:
            found[term] = None
            continue
        stack.append((term, True))
        stack += [(operand, False) for operand in reversed(term.operands)]
    return list(found)[len(set(known)) :]
