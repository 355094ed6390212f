"""Carlson's symmetric elliptic integrals as scipy.special has them: where there is one, and what there is beyond."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.duplication import degenerate, first_kind, product, second_kind, third_kind, total
from gradserve.numpy.table import SPECIAL, implements_special


def _all(g: Builder, conditions: Sequence[Value]) -> Value:
    found = conditions[0]
    for condition in conditions[1:]:
        found = g.logical_and(found, condition)
    return found


def _any(g: Builder, conditions: Sequence[Value]) -> Value:
    found = conditions[0]
    for condition in conditions[1:]:
        found = g.logical_or(found, condition)
    return found


def _within(g: Builder, x: Value) -> Value:
    """Whether an operand may be one: no negative number, nor the negative axis among complex ones."""
    if x.type.is_complex:
        return g.logical_not(g.logical_and(g.eq(g.imag(x), 0.0), g.lt(g.real(x), 0.0)))
    return g.ge(x, 0.0)


def _outcome(g: Builder, found: Value, taken: Value, cases: Sequence[tuple[Value, float]]) -> Value:
    """What was found where it was to be; elsewhere the first case that holds, or else NaN."""
    other = g.full(found.type, math.nan)
    for condition, value in reversed(cases):
        other = g.select(condition, value, other)
    return g.select(taken, found, other)


def _sorts(g: Builder, operands: Sequence[Value]) -> tuple[Value, Value, Value]:
    """Whether all operands are allowed, all are finite, and more than one of the first three is 0."""
    zeros = [g.eq(x, 0.0) for x in operands[:3]]
    pairs = [g.logical_and(zeros[i], zeros[j]) for i in range(len(zeros)) for j in range(i)]
    finite = _all(g, [g.is_finite(x) for x in operands])
    return _all(g, [_within(g, x) for x in operands]), finite, _any(g, pairs)


@implements_special("elliprf")
def elliprf(g: Builder, x: Value, y: Value, z: Value) -> Value:
    """Carlson's integral of the first kind: of 1 / (2 sqrt((t + x) (t + y) (t + z))) over t from 0 to infinity."""
    operands = g.align([x, y, z])
    within, finite, bare = _sorts(g, operands)
    taken = _all(g, [within, finite, g.logical_not(bare)])
    found = first_kind(g, *[g.select(taken, each, 1.0) for each in operands])
    infinite = g.logical_and(within, g.logical_not(finite))
    return _outcome(g, found, taken, [(infinite, 0.0), (g.logical_and(within, bare), math.inf)])


@implements_special("elliprd")
def elliprd(g: Builder, x: Value, y: Value, z: Value) -> Value:
    """Carlson's integral of the second kind: of 3 / (2 (t + z) sqrt((t + x) (t + y) (t + z))) from 0 to infinity."""
    operands = g.align([x, y, z])
    within, finite, bare = _sorts(g, operands)
    at_zero = g.eq(operands[2], 0.0)
    taken = _all(g, [within, finite, g.logical_not(bare), g.logical_not(at_zero)])
    found = second_kind(g, *[g.select(taken, each, 1.0) for each in operands])
    infinite = g.logical_and(within, g.logical_not(finite))
    cases = [(g.logical_and(within, at_zero), math.inf), (infinite, 0.0), (g.logical_and(within, bare), math.inf)]
    return _outcome(g, found, taken, cases)


@implements_special("elliprc")
def elliprc(g: Builder, x: Value, y: Value) -> Value:
    """Carlson's degenerate integral: of 1 / (2 (t + y) sqrt(t + x)) over t from 0 to infinity; its principal value."""
    x, y = g.align([x, y])
    finite = g.logical_and(g.is_finite(x), g.is_finite(y))
    taken = _all(g, [_within(g, x), finite, g.ne(y, 0.0)])
    first, second = g.select(taken, x, 1.0), g.select(taken, y, 1.0)
    beyond = g.logical_not(_within(g, second))
    moved = g.select(beyond, g.sub(first, second), 1.0)
    size = g.select(beyond, g.div(g.sqrt(g.select(beyond, first, 1.0)), g.sqrt(moved)), 1.0)
    base = degenerate(g, g.select(beyond, moved, first), g.select(beyond, g.neg(second), second))
    upward = _all(g, [_is_infinite(g, x), g.logical_or(_within(g, y), g.ne(y, y)), g.ne(y, 0.0)])
    along = g.logical_and(g.is_finite(x), _is_infinite(g, y))
    infinite = g.logical_and(_within(g, x), g.logical_or(upward, along))
    return _outcome(g, g.mul(size, base), taken, [(infinite, 0.0)])


@implements_special("elliprg")
def elliprg(g: Builder, x: Value, y: Value, z: Value) -> Value:
    """Carlson's integral of the second kind that is symmetric in all: the mean root of a form of x, y and z."""
    operands = g.align([x, y, z])
    within, finite, bare = _sorts(g, operands)
    taken = _all(g, [within, finite, g.logical_not(bare)])
    first, second, third = (g.select(taken, each, 1.0) for each in operands)
    # With the one between the others at the last place no terms cancel.
    sizes = [g.abs(each) if each.type.is_complex else each for each in (first, second, third)]

    def between(k: int, i: int, j: int) -> Value:
        low, high = g.minimum(sizes[i], sizes[j]), g.maximum(sizes[i], sizes[j])
        return g.logical_and(g.le(low, sizes[k]), g.le(sizes[k], high))

    is_first, is_second = between(0, 1, 2), between(1, 0, 2)
    middle = g.select(is_first, first, g.select(is_second, second, third))
    a = g.select(is_first, second, first)
    b = g.select(is_first, third, g.select(is_second, third, second))
    product = g.mul(g.sub(a, middle), g.sub(b, middle))
    parts = [g.mul(middle, first_kind(g, a, b, middle)), g.mul(g.mul(product, second_kind(g, a, b, middle)), -1 / 3)]
    parts.append(g.div(g.mul(g.sqrt(a), g.sqrt(b)), g.sqrt(middle)))
    found = g.mul(total(g, parts), 0.5)
    infinite = g.logical_and(within, g.logical_not(finite))
    alone = g.mul(g.sqrt(g.select(g.logical_and(within, bare), total(g, operands), 1.0)), 0.5)
    return g.select(g.logical_and(within, bare), alone, _outcome(g, found, taken, [(infinite, math.inf)]))


@implements_special("elliprj")
def elliprj(g: Builder, x: Value, y: Value, z: Value, p: Value) -> Value:
    """Carlson's integral of the third kind: of 3 / (2 (t + p) sqrt((t + x) (t + y) (t + z))); its principal value."""
    operands = g.align([x, y, z, p])
    within, finite, bare = _sorts(g, operands[:3])
    finite = g.logical_and(finite, g.is_finite(operands[3]))
    taken = _all(g, [within, finite, g.logical_not(bare), g.ne(operands[3], 0.0)])
    if operands[3].type.is_complex:  # beyond, the principal branch is another one
        taken = _all(g, [taken, *(g.ge(g.real(each), 0.0) for each in operands)])
    x, y, z, p = (g.select(taken, each, 1.0) for each in operands)
    # It scales as a power of its operands, so that nothing depends on the size by which they are divided.
    size = g.emit("stop_gradient", total(g, [g.abs(each) for each in (x, y, z, p)]))
    x, y, z, p = (g.div(each, size) for each in (x, y, z, p))
    scale = g.div(1.0, g.mul(size, g.sqrt(size)))
    found = third_kind(g, x, y, z, p) if p.type.is_complex else _principal(g, x, y, z, p)
    endless = _any(g, [_is_infinite(g, each) for each in operands[:3]])
    at_zero, beyond = g.eq(operands[3], 0.0), g.logical_or(endless, _is_infinite(g, operands[3]))
    cases = [(_all(g, [within, endless, at_zero]), 0.0), (at_zero, math.nan)]
    cases += [(g.logical_and(within, bare), math.inf), (g.logical_and(within, beyond), 0.0)]
    return _outcome(g, g.mul(found, scale), taken, cases)


def _is_infinite(g: Builder, x: Value) -> Value:
    return g.eq(g.abs(x), math.inf)


def _principal(g: Builder, x: Value, y: Value, z: Value, p: Value) -> Value:
    """RJ of real numbers; where p is negative by that of a positive one (NIST Digital Library, 19.20.14)."""
    beyond, is_first, is_second = g.lt(p, 0.0), g.logical_and(g.ge(x, y), g.ge(x, z)), g.ge(y, z)
    last = g.select(is_first, x, g.select(is_second, y, z))
    a = g.select(is_first, y, x)
    b = g.select(is_first, z, g.select(is_second, z, y))
    q = g.select(beyond, g.neg(p), 1.0)
    whole = g.add(last, q)
    other = g.div(g.sub(g.mul(last, total(g, [a, b, q])), g.mul(a, b)), whole)
    found = third_kind(g, x, y, z, g.select(beyond, other, p))
    square = g.mul(q, other)
    long = g.add(g.mul(a, b), square)
    plain = g.mul(g.sqrt(g.div(product(g, a, b, last), long)), degenerate(g, long, square))
    moved = g.add(g.mul(g.sub(other, last), found), g.mul(g.sub(plain, first_kind(g, x, y, z)), 3.0))
    return g.select(beyond, g.div(moved, whole), found)


@implements_special("ellipkm1")
def ellipkm1(g: Builder, p: Value) -> Value:
    """The complete elliptic integral of the first kind, K(1 - p), with all digits where p is small."""
    kind = p.type.element_type
    return SPECIAL["elliprf"](g, g.constant(0.0, kind), p, g.constant(1.0, kind))  # type: ignore[no-any-return]
