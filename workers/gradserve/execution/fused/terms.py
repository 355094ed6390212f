"""Scalars of an iteration as terms: an op's own mathematics, run once on these, says what is to be computed.

A term is an instruction of the processor, or one call of a ufunc's inner loop, which works on many elements at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from gradserve.execution.fused.ufuncs import InnerLoop, inner_loop
from gradserve.ir.types import ElementType
from gradserve.ops.routines import routine

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
        return _binary("add", self, other)

    def __radd__(self, other: Any) -> Term:
        return _binary("add", other, self)

    def __sub__(self, other: Any) -> Term:
        return _binary("sub", self, other)

    def __rsub__(self, other: Any) -> Term:
        return _binary("sub", other, self)

    def __mul__(self, other: Any) -> Term:
        return _binary("mul", self, other)

    def __rmul__(self, other: Any) -> Term:
        return _binary("mul", other, self)

    def __truediv__(self, other: Any) -> Term:
        return _binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Term:
        return _binary("div", other, self)

    def __pow__(self, other: Any) -> Term:
        return _power(*_aligned(self, other))

    def __neg__(self) -> Term:
        return Term("neg", (self,), self.element_type)

    def __lt__(self, other: Any) -> Term:
        return _compared("lt", self, other)

    def __le__(self, other: Any) -> Term:
        return _compared("le", self, other)

    def __gt__(self, other: Any) -> Term:
        return _compared("gt", self, other)

    def __ge__(self, other: Any) -> Term:
        return _compared("ge", self, other)

    def __eq__(self, other: Any) -> Term:  # type: ignore[override]
        return _compared("eq", self, other)

    def __ne__(self, other: Any) -> Term:  # type: ignore[override]
        return _compared("ne", self, other)

    def __and__(self, other: Any) -> Term:
        return _logical("and", self, other)

    def __or__(self, other: Any) -> Term:
        return _logical("or", self, other)

    def __invert__(self) -> Term:
        return _logical("xor", self, True)

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


def _aligned(*operands: Any) -> list[Term]:
    """The operands as terms of one element type; numbers take that of the others."""
    known = [x.element_type for x in operands if isinstance(x, Term)]
    wanted = known[0]
    if any(t is not wanted for t in known):
        raise NotLowered("operands of several element types")
    if not wanted.is_float and any(isinstance(x, float) for x in operands):
        raise NotLowered("integers with a real number")
    return [x if isinstance(x, Term) else number(x, wanted) for x in operands]


def _binary(operation: str, *operands: Any) -> Term:
    terms = _aligned(*operands)
    element_type = terms[0].element_type
    if element_type is BOOL and operation in _OF_TRUTHS:
        return Term(_OF_TRUTHS[operation], tuple(terms), BOOL)
    if element_type is BOOL or (operation == "div" and not element_type.is_float):
        raise NotLowered(f"{operation} of {element_type.value}")
    return Term(operation, tuple(terms), element_type)


_OF_TRUTHS = {"add": "or", "mul": "and"}


def _compared(operation: str, *operands: Any) -> Term:
    return Term(operation, tuple(_aligned(*operands)), BOOL)


def _logical(operation: str, *operands: Any) -> Term:
    terms = _aligned(*operands)
    if terms[0].element_type is not BOOL:
        raise NotLowered(f"{operation} of {terms[0].element_type.value}")
    return Term(operation, tuple(terms), BOOL)


def _power(base: Term, exponent: Term) -> Term:
    """Squares, cubes and fourth powers by products."""
    if base.element_type.is_float and exponent.number in (1, 2, 3, 4):
        square = base * base
        return {1: base, 2: square, 3: square * base, 4: square * square}[int(exponent.number)]
    return _called(np.power, base, exponent)


def _called(ufunc: Any, *operands: Any) -> Term:
    terms = _aligned(*operands)
    if not isinstance(ufunc, np.ufunc) or len(terms) != ufunc.nin:
        raise NotLowered(f"{ufunc} is no ufunc of {len(terms)} operands")
    found = inner_loop(ufunc, tuple(x.element_type for x in terms))
    if found is None:
        raise NotLowered(f"{ufunc} has no inner loop for these elements")
    return Term("call", tuple(terms), found.result, loop=found)


def _where(condition: Any, x: Any, y: Any) -> Term:
    if not isinstance(condition, Term):
        raise NotLowered("a choice that depends on no operand")
    x, y = _aligned(x, y) if isinstance(x, Term) or isinstance(y, Term) else (number(v, FLOAT64) for v in (x, y))
    return Term("select", (condition, x, y), x.element_type)


def _real(operation: str, ufunc: np.ufunc) -> Callable[[Any], Term]:
    """An instruction for reals; the ufunc for integers."""

    def applied(x: Term) -> Term:
        return Term(operation, (x,), x.element_type) if x.element_type.is_float else _called(ufunc, x)

    return applied


def _extremum(operation: str, ufunc: np.ufunc) -> Callable[[Any, Any], Term]:
    """What NumPy's is: the first operand where it wins or is NaN."""

    def applied(x: Any, y: Any) -> Term:
        x, y = _aligned(x, y)
        if not x.element_type.is_float:
            return _called(ufunc, x, y)
        wins = Term(operation, (x, y), BOOL) | (x != x)
        return Term("select", (wins, x, y), x.element_type)

    return applied


def _is_finite(x: Term) -> Term:
    if not x.element_type.is_float:
        return number(True, BOOL)
    return Term("lt", (Term("fabs", (x,), x.element_type), number(np.inf, x.element_type)), BOOL)


def _as_type(x: Term, element_type: ElementType) -> Term:
    if x.element_type is element_type:
        return x
    if element_type is BOOL:
        return x != number(0, x.element_type)
    if x.element_type.is_float and element_type.is_integer:
        return _whole(x, element_type)
    return Term("convert", (x,), element_type)


def _whole(x: Term, element_type: ElementType) -> Term:
    """A real as an integer: without its fraction, and the least of all where it is out of range or NaN."""
    least = int(np.iinfo(element_type.dtype).min)
    inside = (x >= float(least)) & (x < -float(least))
    return _where(inside, Term("convert", (_where(inside, x, 0.0),), element_type), number(least, element_type))


def _copied(x: Term, copy: bool) -> Term:
    del copy
    return Term("same", (x,), x.element_type)


_maximum, _minimum = _extremum("ge", np.maximum), _extremum("le", np.minimum)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": functools.partial(_binary, "add"),
    "subtract": functools.partial(_binary, "sub"),
    "multiply": functools.partial(_binary, "mul"),
    "divide": functools.partial(_binary, "div"),
    "negative": lambda x: -x,
    "abs": _real("fabs", np.absolute),
    "sqrt": _real("sqrt", np.sqrt),
    "floor": _real("floor", np.floor),
    "ceil": _real("ceil", np.ceil),
    "round": lambda x: Term("rint" if x.element_type.is_float else "same", (x,), x.element_type),
    "square": lambda x: x * x,
    "pow": lambda x, y: _power(*_aligned(x, y)),
    "maximum": _maximum,
    "minimum": _minimum,
    "clip": lambda x, low, high: _minimum(_maximum(x, low), high),
    "equal": functools.partial(_compared, "eq"),
    "not_equal": functools.partial(_compared, "ne"),
    "less": functools.partial(_compared, "lt"),
    "less_equal": functools.partial(_compared, "le"),
    "greater": functools.partial(_compared, "gt"),
    "greater_equal": functools.partial(_compared, "ge"),
    "logical_and": functools.partial(_logical, "and"),
    "logical_or": functools.partial(_logical, "or"),
    "logical_xor": functools.partial(_logical, "xor"),
    "logical_not": lambda x: ~x,
    "isfinite": _is_finite,
    "where": _where,
    "astype": _as_type,
    "asarray": _copied,
    "zeros_like": lambda x: number(0, x.element_type),
    "ones_like": lambda x: number(1, x.element_type),
}
_TYPES = {t.dtype.name: t for t in ElementType}


def __getattr__(name: str) -> Callable[..., Term]:
    """What `ops.routines` finds here: the inner loop of the ufunc that NumPy's arrays would be given to."""
    found = getattr(np, name, None) or routine(np, name)
    if isinstance(found, np.ufunc):
        return functools.partial(_called, found)
    raise AttributeError(f"{name} is no ufunc")


class Namespace:
    """The array namespace whose arrays are terms."""

    __name__ = __name__

    def __getattr__(self, name: str) -> Any:
        found = _FUNCTIONS.get(name) or _TYPES.get(name)
        return __getattr__(name) if found is None else found


NAMESPACE = Namespace()


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
