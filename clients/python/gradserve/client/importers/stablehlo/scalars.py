"""Operations element by element, and functions of them, which reductions and sorts are given for single elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from gradserve.client.importers.lax import bits, casts, elementwise
from gradserve.client.importers.lax.elements import Operand, alike, constant
from gradserve.client.importers.stablehlo.attributes import elements as constant_elements
from gradserve.client.importers.stablehlo.given import Compute, dtype_of
from gradserve.client.importers.stablehlo.syntax import Dense, Module, Operation, Region, numbers
from gradserve.client.importers.stablehlo.tokens import invalid
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported

NAMES = {
    **{"exponential": "exp", "exponential_minus_one": "expm1", "log_plus_one": "log1p", "sine": "sin", "cosine": "cos"},
    **{"multiply": "mul", "divide": "div", "subtract": "sub", "negate": "neg", "maximum": "max", "minimum": "min"},
    **{"power": "pow", "remainder": "rem", "popcnt": "population_count", "count_leading_zeros": "clz"},
    **{name: name for name in ("abs", "add", "and", "or", "xor", "not", "atan2", "cbrt", "ceil", "floor")},
    **{name: name for name in ("log", "logistic", "rsqrt", "sqrt", "sign", "tan", "tanh", "is_finite", "square")},
    **{name: name for name in ("shift_left", "shift_right_logical", "shift_right_arithmetic", "digamma", "lgamma")},
    **{name: name for name in ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cosh", "sinh", "erf", "erfc")},
    **{name: name for name in ("erf_inv", "polygamma", "zeta", "real", "imag", "complex", "conj")},
    "bessel_i1e": "bessel_i1e",
}
"""Those without attributes, by their names in JAX."""


def _named(name: str) -> Compute:
    function = elementwise.ELEMENTWISE[name]
    return lambda g, op, x: function(g, *x)


def _compare(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    words = op.attributes.get("words", [])
    direction = next((str(word).lower() for word in words if str(word) in ("EQ", "NE", "LT", "LE", "GT", "GE")), "")
    if "TOTALORDER" in map(str, words):
        return elementwise.compare_totally(direction)(g, *x)
    return elementwise.compare(direction)(g, *x)


def _select(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    chosen, yes, no = x
    return elementwise.select_n(g, chosen, no, yes)


def _clamp(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    shape = x[1].value.type.shape
    low, value, high = (Operand(g.broadcast(each.value, shape), each.dtype) for each in x)
    return elementwise.clamp(g, low, value, high)


def _precision(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    exponent, _, fraction = str(op.attributes.get("format", "")).removeprefix("e").partition("m")
    if not (exponent.isdecimal() and fraction.isdecimal()):
        raise Unsupported("its format is not told", "give format = e8m23")
    return elementwise.reduce_precision(g, x[0], int(exponent), int(fraction))


SCALARS: Mapping[str, Compute] = {
    **{name: _named(jax) for name, jax in NAMES.items()},
    "clamp": _clamp,
    "compare": _compare,
    "select": _select,
    "convert": lambda g, op, x: casts.cast(g, x[0], dtype_of(op)),
    "bitcast_convert": lambda g, op, x: bits.bitcast(g, x[0], dtype_of(op)),
    "next_after": lambda g, op, x: bits.nextafter(g, *x),
    "reduce_precision": _precision,
    "is_inf": lambda g, op, x: g.eq(g.abs(x[0].value), math.inf),
    "is_pos_inf": lambda g, op, x: g.eq(x[0].value, math.inf),
    "is_neg_inf": lambda g, op, x: g.eq(x[0].value, -math.inf),
    "round_nearest_even": lambda g, op, x: elementwise.round_nearest(g, x[0], to_even=True),
    "round_nearest_afz": lambda g, op, x: elementwise.round_nearest(g, x[0], to_even=False),
}
"""By name, without the dialect."""


def _spread(name: str) -> Compute:
    """An operation of `chlo` whose operands broadcast, by trailing axes or those that it names."""

    def compute(g: Builder, op: Operation, x: Sequence[Operand]) -> Value | Sequence[Value | None]:
        rank, told = max(each.rank for each in x), op.attributes.get("broadcast_dimensions")
        given = []
        for each in x:
            axes = numbers(told, op.line) if told is not None and each.rank < rank else range(rank - each.rank, rank)
            lengths = dict(zip(axes, each.shape, strict=True))
            given.append(g.reshape(each.value, tuple(lengths.get(k, 1) for k in range(rank))))
        alike_ = zip(g.align(given), x, strict=True)
        return SCALARS[name](g, op, [Operand(value, each.dtype) for value, each in alike_])

    return compute


_BROADCASTING = (
    *("add", "and", "atan2", "compare", "complex", "divide", "maximum", "minimum", "multiply", "next_after", "or"),
    *("polygamma", "power", "remainder", "select", "shift_left", "shift_right_arithmetic", "shift_right_logical"),
    *("subtract", "xor", "zeta"),
)
BROADCASTING: Mapping[str, Compute] = {f"broadcast_{name}": _spread(name) for name in _BROADCASTING}
"""Those of `chlo` that broadcast."""


def held_constant(g: Builder, op: Operation) -> Operand:
    """A constant of the program."""
    dense = op.attributes.get("value")
    if not isinstance(dense, Dense):
        raise invalid(op.line, "a constant has no elements")
    found = constant(g, np.asarray(constant_elements(dense, op.line)))
    return Operand(g.broadcast(found.value, dense.type.shape), found.dtype)


MOST_JOINED = 256
"""Operations of a function of single elements, with calls."""
Around: TypeAlias = Callable[[Builder, str, int], Operand]
"""From a builder, a name and the line that reads it to a value around a function."""


def applied(g: Builder, module: Module, region: Region, operands: Sequence[Operand], around: Around) -> list[Operand]:
    """What a function of single elements makes of each element of arrays of one shape.

    Raises:
        Unsupported: it is more than operations element by element.
    """
    shape = operands[0].shape
    scope = dict(zip([name for name, _ in region.arguments], operands, strict=True))
    *body, returned = region.operations

    def look(name: str, line: int) -> Operand:
        found = scope[name] if name in scope else around(g, name, line)
        if found.shape not in ((), shape):
            raise Unsupported(f"its function reads {name}, which is an array (line {line})", "give it single numbers")
        return found

    for op in body:
        given = [look(name, op.line) for name in op.operands]
        if op.name == "constant":
            made = [held_constant(g, op)]
        elif op.name == "call" and str(op.attributes.get("symbol")) in module:
            called = module[str(op.attributes["symbol"])].body
            made = applied(g, module, called, alike(g, given), _nothing)
        elif op.name in SCALARS:
            made = [Operand(_one(SCALARS[op.name](g, op, alike(g, given))), dtype_of(op))]
        else:
            raise Unsupported(f"its function has {op.name} in it", "reduce by a function element by element")
        names = [name for name, _ in op.results]
        scope |= zip(names, made, strict=len(names) == len(made))
        scope |= {f"{names[0]}#{k}": each for k, each in enumerate(made)} if len(names) == 1 else {}
    results = [look(name, returned.line) for name in returned.operands]
    return [Operand(g.broadcast(x.value, shape), x.dtype) for x in results]


def _nothing(g: Builder, name: str, line: int) -> Operand:
    raise invalid(line, f"{name} is not known here")


def _one(made: Value | Sequence[Value | None]) -> Value:
    assert isinstance(made, Value)
    return made
