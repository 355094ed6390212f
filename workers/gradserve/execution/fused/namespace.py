"""The array namespace of terms: what an op's own mathematics finds when it is run on them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.execution.fused.terms import (
    BOOL,
    FLOAT64,
    NotLowered,
    Term,
    aligned,
    binary,
    called,
    compared,
    logical,
    number,
    power,
)
from gradserve.ir.types import ElementType
from gradserve.ops.routines import routine


def _where(condition: Any, x: Any, y: Any) -> Term:
    if not isinstance(condition, Term):
        raise NotLowered("a choice that depends on no operand")
    x, y = aligned(x, y) if isinstance(x, Term) or isinstance(y, Term) else (number(v, FLOAT64) for v in (x, y))
    return Term("select", (condition, x, y), x.element_type)


def _real(operation: str, ufunc: np.ufunc) -> Callable[[Any], Term]:
    """An instruction for reals; the ufunc for integers."""

    def applied(x: Term) -> Term:
        return Term(operation, (x,), x.element_type) if x.element_type.is_float else called(ufunc, x)

    return applied


def _extremum(operation: str, ufunc: np.ufunc) -> Callable[[Any, Any], Term]:
    """What NumPy's is: the first operand where it wins or is NaN."""

    def applied(x: Any, y: Any) -> Term:
        x, y = aligned(x, y)
        if not x.element_type.is_float:
            return called(ufunc, x, y)
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


def _log_sum_exp(x: Any, y: Any) -> Term:
    """NumPy's logaddexp, of functions that there are vectors of."""
    x, y = aligned(x, y)
    if not x.element_type.is_float:
        return called(np.logaddexp, x, y)
    apart = x - y
    larger = _where(apart > 0, x, y) + called(np.log1p, called(np.exp, -Term("fabs", (apart,), apart.element_type)))
    return _where(x == y, x + math.log(2), _where(apart == apart, larger, apart))


_maximum, _minimum = _extremum("ge", np.maximum), _extremum("le", np.minimum)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": functools.partial(binary, "add"),
    "subtract": functools.partial(binary, "sub"),
    "multiply": functools.partial(binary, "mul"),
    "divide": functools.partial(binary, "div"),
    "negative": lambda x: -x,
    "abs": _real("fabs", np.absolute),
    "sqrt": _real("sqrt", np.sqrt),
    "floor": _real("floor", np.floor),
    "ceil": _real("ceil", np.ceil),
    "round": lambda x: Term("rint" if x.element_type.is_float else "same", (x,), x.element_type),
    "square": lambda x: x * x,
    "logaddexp": _log_sum_exp,
    "pow": lambda x, y: power(*aligned(x, y)),
    "maximum": _maximum,
    "minimum": _minimum,
    "clip": lambda x, low, high: _minimum(_maximum(x, low), high),
    "equal": functools.partial(compared, "eq"),
    "not_equal": functools.partial(compared, "ne"),
    "less": functools.partial(compared, "lt"),
    "less_equal": functools.partial(compared, "le"),
    "greater": functools.partial(compared, "gt"),
    "greater_equal": functools.partial(compared, "ge"),
    "logical_and": functools.partial(logical, "and"),
    "logical_or": functools.partial(logical, "or"),
    "logical_xor": functools.partial(logical, "xor"),
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
        return functools.partial(called, found)
    raise AttributeError(f"{name} is no ufunc")


class Namespace:
    """The array namespace whose arrays are terms."""

    __name__ = __name__

    def __getattr__(self, name: str) -> Any:
        found = _FUNCTIONS.get(name) or _TYPES.get(name)
        return __getattr__(name) if found is None else found


NAMESPACE = Namespace()
