"""What the distributions of scipy.stats have in common: parameters, where they lie, and what holds outside.

A density is 0 outside of the support, and NaN for parameters that no distribution has. What is computed inside is
computed of a number inside everywhere, so that nothing outside contributes to a derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.ir.records import dataclass
from gradserve.numpy.arguments import Unsupported, to_real
from gradserve.numpy.table import SCIPY, NumpyFunction

Formula = Callable[..., Value]
"""Takes the builder, a number and the shape parameters."""


def _always(g: Builder, *_: Value) -> Value:
    return g.constant(True)


def between(low: float, high: float) -> Callable[..., tuple[float, float]]:
    """The support from one number to another, whatever the shape parameters are."""
    return lambda *_: (low, high)


def at(number: float) -> Callable[..., float]:
    """A number inside, whatever the shape parameters are."""
    return lambda *_: number


_EVERYWHERE = between(-math.inf, math.inf)
_AT_0 = at(0.0)


@dataclass(frozen=True)
class Distribution:
    """A distribution of numbers, in its standard form."""

    name: str
    summary: str
    log_density: Formula
    """Of numbers in the support."""
    shapes: tuple[str, ...] = ()
    """The names of the shape parameters."""
    lies: tuple[float, ...] = ()
    """Shape parameters that there may be."""
    exists: Callable[..., Value] = _always
    """Whether there are such shape parameters."""
    support: Callable[..., tuple[Any, Any]] = _EVERYWHERE
    """The first and the last number, by the shape parameters; both belong to it."""
    middle: Callable[..., Any] = _AT_0
    """A number inside, by the shape parameters."""
    cdf: Formula | None = None
    """The probability to be below a number inside."""
    sf: Formula | None = None
    """The probability to be above it; by default what the other leaves."""
    logcdf: Formula | None = None
    logsf: Formula | None = None
    whole: bool = False
    """Whether it is one of whole numbers."""
    ppf: Formula | None = None
    """The number that it is below with a probability strictly between 0 and 1."""
    isf: Formula | None = None
    """The number that it is above with it."""
    known: tuple[str, ...] = ()
    """The names of shape parameters that must be known while tracing; they are given to formulas as they are."""


@dataclass(frozen=True)
class _Point:
    """A number and parameters as a distribution takes them."""

    number: Value
    """As it is given."""
    y: Value
    """In standard form."""
    shapes: list[Value]
    loc: Value
    scale: Value
    """1 where there is none such."""
    exists: Value
    """Whether there are such parameters, and the number is one."""
    low: Value
    high: Value


LAWS: dict[str, Distribution] = {}
"""All distributions of numbers, by name."""


def enter(law: Distribution) -> Distribution:
    """Enters the distribution's methods in the table."""
    LAWS[law.name] = law
    density = ("pmf", "logpmf") if law.whole else ("pdf", "logpdf")
    methods: Mapping[str, Formula] = {density[0]: _density, density[1]: _log_density}
    if law.cdf is not None or law.logcdf is not None:
        methods = {**methods, "cdf": _cdf, "sf": _sf, "logcdf": _logcdf, "logsf": _logsf}
    if law.ppf is not None:
        methods = {**methods, "ppf": _ppf, "isf": _isf}
    for method, formula in methods.items():
        SCIPY[f"scipy.stats.{law.name}.{method}"] = NumpyFunction(_method(law, method, formula))
    return law


_SAID = {
    "pdf": "The density of",
    "pmf": "The probability of",
    "logpdf": "The logarithm of the density of",
    "logpmf": "The logarithm of the probability of",
    "cdf": "The probability to be at most x, of",
    "sf": "The probability to be above x, of",
    "logcdf": "The logarithm of cdf, of",
    "logsf": "The logarithm of sf, of",
    "ppf": "The number to be at most with a probability, of",
    "isf": "The number to be above with a probability, of",
}


def _method(law: Distribution, name: str, formula: Formula) -> Callable[..., Value]:
    def method(g: Builder, x: Any, *args: Any, **named: Any) -> Value:
        return formula(g, law, _placed(g, law, x, args, named))

    method.__name__ = name
    method.__doc__ = f"{_SAID[name]} {law.summary}."
    return method


def _placed(g: Builder, law: Distribution, x: Any, args: Sequence[Any], named: Mapping[str, Any]) -> _Point:
    """The arguments as SciPy takes them: shape parameters by position or name, then loc and scale.

    Raises:
        TypeError: one is missing, or given twice, or unknown.
    """
    names = (*law.shapes, "loc") if law.whole else (*law.shapes, "loc", "scale")
    given = dict(zip(names, args, strict=False))
    twice = given.keys() & named.keys()
    given |= named
    missing = [name for name in law.shapes if name not in given]
    if missing or twice or given.keys() - set(names) or len(args) > len(names):
        raise TypeError(f"{law.name} takes x and {', '.join(names)}, each once; x alone stands before them")
    values = [to_real(g, v, law.name) for v in (x, *(given[name] for name in law.shapes), given.get("loc", 0.0))]
    number, *shapes, loc, scale = g.align(g.promote([*values, to_real(g, given.get("scale", 1.0), law.name)]))
    exists = g.logical_and(g.gt(scale, 0), law.exists(g, *shapes))
    shapes = [
        _literal(g, law, name, value) if name in law.known else g.select(exists, s, inside)
        for name, value, s, inside in zip(law.shapes, values[1:-1], shapes, law.lies, strict=True)
    ]
    scale = g.select(exists, scale, 1)
    y = g.div(g.sub(number, loc), scale)
    low, high = (g.convert(g.lift(end), y.type.element_type) for end in law.support(g, *shapes))
    return _Point(number, y, shapes, loc, scale, g.logical_and(exists, g.eq(y, y)), low, high)


def _literal(g: Builder, law: Distribution, name: str, value: Value) -> Value:
    """A shape parameter that is known while tracing.

    Raises:
        Unsupported: it is traced.
    """
    if not isinstance(g.literal(value), Literal):
        raise Unsupported(f"{name} of scipy.stats.{law.name} is traced", f"use a number {name} known while tracing")
    return value


def known_numbers(g: Builder, value: Value) -> NDArray[Any]:
    """The numbers of a shape parameter that is known while tracing."""
    literal = g.literal(value)
    assert isinstance(literal, Literal)
    return np.asarray(literal.array)


def _inside(g: Builder, law: Distribution, at: _Point, inside: Value, formula: Formula) -> Value:
    """A formula where the number is inside, and of one inside elsewhere."""
    return formula(g, g.select(inside, at.y, law.middle(g, *at.shapes)), *at.shapes)


def _or_nan(g: Builder, at: _Point, result: Value) -> Value:
    return g.select(at.exists, result, math.nan)


def _log_density(g: Builder, law: Distribution, at: _Point) -> Value:
    inside = g.logical_and(g.ge(at.y, at.low), g.le(at.y, at.high))
    if law.whole:
        inside = g.logical_and(inside, g.eq(g.floor(at.y), at.y))
    inside = g.logical_and(inside, g.logical_and(at.exists, g.is_finite(at.y)))
    found = g.sub(_inside(g, law, at, inside, law.log_density), g.log(at.scale))
    return _or_nan(g, at, g.select(inside, found, -math.inf))


def _density(g: Builder, law: Distribution, at: _Point) -> Value:
    return g.exp(_log_density(g, law, at))


def _probability(g: Builder, law: Distribution, at: _Point, formula: Formula, ends: tuple[float, float]) -> Value:
    """A formula strictly inside, and what it is below and above."""
    if law.whole:
        at = replace(at, y=g.floor(at.y))
        below = g.lt(at.y, at.low)
    else:
        below = g.le(at.y, at.low)
    above = g.ge(at.y, at.high)
    inside = g.logical_and(at.exists, g.logical_not(g.logical_or(below, above)))
    outside = g.select(above, ends[1], g.full(at.y.type, ends[0]))
    return _or_nan(g, at, g.select(inside, _inside(g, law, at, inside, formula), outside))


def _cdf(g: Builder, law: Distribution, at: _Point) -> Value:
    found = law.cdf or (lambda g, *point: g.exp(_known(law.logcdf)(g, *point)))
    return _probability(g, law, at, found, (0.0, 1.0))


def _sf(g: Builder, law: Distribution, at: _Point) -> Value:
    found = law.sf or (lambda g, *point: g.sub(1.0, _known(law.cdf)(g, *point)))
    return _probability(g, law, at, found, (1.0, 0.0))


def _logcdf(g: Builder, law: Distribution, at: _Point) -> Value:
    found = law.logcdf or (lambda g, *point: g.log(_known(law.cdf)(g, *point)))
    return _probability(g, law, at, found, (-math.inf, 0.0))


def _logsf(g: Builder, law: Distribution, at: _Point) -> Value:
    if law.logsf is None and law.sf is None:
        found: Formula = lambda g, *point: g.log1p(g.neg(_known(law.cdf)(g, *point)))  # noqa: E731
    else:
        found = law.logsf or (lambda g, *point: g.log(_known(law.sf)(g, *point)))
    return _probability(g, law, at, found, (0.0, -math.inf))


def _quantile(g: Builder, at: _Point, formula: Formula, ends: tuple[Value, Value]) -> Value:
    """A formula of probabilities strictly between 0 and 1, and what it is at both ends; NaN beyond."""
    q = at.number
    inside = g.logical_and(at.exists, g.logical_and(g.gt(q, 0), g.lt(q, 1)))
    ended = g.select(g.eq(q, 0), ends[0], g.select(g.eq(q, 1), ends[1], math.nan))
    found = g.select(inside, formula(g, g.select(inside, q, 0.5), *at.shapes), ended)
    return _or_nan(g, at, g.add(g.mul(found, at.scale), at.loc))


def _ppf(g: Builder, law: Distribution, at: _Point) -> Value:
    return _quantile(g, at, _known(law.ppf), (at.low, at.high))


def _isf(g: Builder, law: Distribution, at: _Point) -> Value:
    found = law.isf or (lambda g, q, *shapes: _known(law.ppf)(g, g.sub(1.0, q), *shapes))
    return _quantile(g, at, found, (at.high, at.low))


def _known(formula: Formula | None) -> Formula:
    assert formula is not None
    return formula
