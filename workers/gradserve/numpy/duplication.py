"""Carlson's symmetric elliptic integrals, by duplication: steps that keep the integral and bring operands together.

All is algebra, with a series where operands are near each other, so derivatives of every order follow. B. C. Carlson,
Numerical computation of real or complex elliptic integrals, Numerical Algorithms 10 (1995).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.ops.control.scan import Scan
from gradserve.ops.registry import builder

_STEPS = 15
"""From 0, 1e-300 and 1 to a spread of 1e-2."""
_LONGER = 43
"""Up to which an operand that is far above the others comes near them by quarters: from 1e20 times as much."""
_NEAR = 0.03
"""How far operands may be from their mean at last; where they are further the integral is not known, and NaN."""


def total(g: Builder, terms: Sequence[Value]) -> Value:
    """The sum of values."""
    found = terms[0]
    for term in terms[1:]:
        found = g.add(found, term)
    return found


def product(g: Builder, *factors: Value) -> Value:
    """The product of values."""
    found = factors[0]
    for factor in factors[1:]:
        found = g.mul(found, factor)
    return found


def _series(g: Builder, terms: Sequence[tuple[float, Sequence[Value]]]) -> Value:
    """1 and multiples of products."""
    return g.add(total(g, [g.mul(product(g, *factors), size) for size, factors in terms]), 1.0)


def _stepped(g: Builder, operands: Sequence[Value]) -> tuple[list[Value], Value, list[Value]]:
    """The operands after a step, what was added to each before it was quartered, and their roots before."""
    roots = [g.sqrt(each) for each in operands]
    x, y, z = roots[:3]
    shift = g.add(g.mul(x, g.add(y, z)), g.mul(y, z))
    return [g.mul(g.add(each, shift), 0.25) for each in operands], shift, roots


def _repeated(
    g: Builder,
    count: int,
    operands: Sequence[Value],
    step: Callable[[Builder, list[Value]], tuple[list[Value], list[Value]]],
) -> tuple[list[Value], list[Value]]:
    """The operands after `count` steps and one before them, and what each step gives besides, on a leading axis.

    That one is not in the loop, where all operands are taken to move: the root of a known 0 has no derivative.
    """
    operands, before = step(g, list(operands))
    body = builder()
    given = [body.input(f"x{k}", each.type) for k, each in enumerate(operands)]
    moved, passed = step(body, given)
    results = {f"y{k}": each for k, each in enumerate([*moved, *passed])}
    op = Scan(body.build(results), count, len(operands), 0, False, False)
    found = g.apply(op, [g.constant(count, ElementType.INT64), *operands])
    later = zip(before, found[len(operands) :], strict=True)
    stacked = [g.emit("concatenate", g.reshape(one, (1, *one.shape)), rest, axis=0) for one, rest in later]
    return list(found[: len(operands)]), stacked


def _weighed(g: Builder, count: int, terms: Value) -> Value:
    """Three times the sum over all steps, each term with a quarter of the weight of the one before."""
    shares = (3.0 * 0.25 ** np.arange(count + 1)).reshape(count + 1, *(1,) * (terms.type.rank - 1))
    return g.reduce_sum(g.mul(terms, g.constant(shares, terms.type.element_type)), axes=(0,))


def _mean(g: Builder, operands: Sequence[Value], often: int) -> tuple[Value, list[Value]]:
    """The mean, in which the last operand counts so often, and how far below operands are; NaN if that is too far."""
    mean = g.mul(total(g, [*operands[:-1], *[operands[-1]] * often]), 1 / (len(operands) - 1 + often))
    below = [g.sub(1.0, g.div(each, mean)) for each in operands]
    for each in below:
        mean = g.select(g.lt(g.abs(each), _NEAR), mean, math.nan)
    return mean, below


def first_kind(g: Builder, x: Value, y: Value, z: Value) -> Value:
    """RF."""
    operands, _ = _repeated(g, _STEPS, [x, y, z], lambda b, each: (_stepped(b, each)[0], []))
    mean, (a, b, _) = _mean(g, operands, 1)
    c = g.neg(g.add(a, b))
    e2, e3 = g.sub(g.mul(a, b), g.mul(c, c)), product(g, a, b, c)
    terms = [(-1 / 10, (e2,)), (1 / 14, (e3,)), (1 / 24, (e2, e2)), (-3 / 44, (e2, e3))]
    terms += [(-5 / 208, (e2, e2, e2)), (3 / 104, (e3, e3)), (1 / 16, (e2, e2, e3))]
    return g.div(_series(g, terms), g.sqrt(mean))


def _of_fifths(g: Builder, mean: Value, e: tuple[Value, Value, Value, Value]) -> Value:
    """The series that RD and RJ share, over the mean to the power of 3/2."""
    e2, e3, e4, e5 = e
    terms = [(-3 / 14, (e2,)), (1 / 6, (e3,)), (9 / 88, (e2, e2)), (-3 / 22, (e4,)), (-9 / 52, (e2, e3))]
    terms += [(3 / 26, (e5,)), (-1 / 16, (e2, e2, e2)), (3 / 40, (e3, e3)), (3 / 20, (e2, e4))]
    terms += [(45 / 272, (e2, e2, e3)), (-9 / 68, (e3, e4)), (-9 / 68, (e2, e5))]
    return g.div(_series(g, terms), g.mul(mean, g.sqrt(mean)))


def second_kind(g: Builder, x: Value, y: Value, z: Value) -> Value:
    """RD."""

    def step(b: Builder, given: list[Value]) -> tuple[list[Value], list[Value]]:
        moved, shift, roots = _stepped(b, given)
        return moved, [b.div(1.0, b.mul(roots[2], b.add(given[2], shift)))]

    operands, (terms,) = _repeated(g, _STEPS, [x, y, z], step)
    passed = _weighed(g, _STEPS, terms)
    mean, (a, b, _) = _mean(g, operands, 3)
    c = g.mul(g.add(a, b), -1 / 3)
    ab, cc = g.mul(a, b), g.mul(c, c)
    e2, e3 = g.sub(ab, g.mul(cc, 6.0)), g.mul(g.sub(g.mul(ab, 3.0), g.mul(cc, 8.0)), c)
    e4, e5 = g.mul(g.mul(g.sub(ab, cc), 3.0), cc), product(g, ab, cc, c)
    return g.add(passed, g.mul(_of_fifths(g, mean, (e2, e3, e4, e5)), 0.25 ** (_STEPS + 1)))


def degenerate(g: Builder, x: Value, y: Value) -> Value:
    """RC, where y is not on the negative axis."""

    def step(b: Builder, given: list[Value]) -> tuple[list[Value], list[Value]]:
        first, second = given
        shift = b.add(b.mul(b.mul(b.sqrt(first), b.sqrt(second)), 2.0), second)
        return [b.mul(b.add(each, shift), 0.25) for each in given], []

    operands, _ = _repeated(g, _STEPS, [x, y], step)
    mean, (_, below) = _mean(g, operands, 2)
    s = g.neg(below)
    series = g.zeros(s.type)
    for size in (9 / 8, 159 / 208, 9 / 22, 3 / 8, 1 / 7, 3 / 10):
        series = g.add(g.mul(series, s), size)
    return g.div(g.add(g.mul(series, g.mul(s, s)), 1.0), g.sqrt(mean))


def third_kind(g: Builder, x: Value, y: Value, z: Value, p: Value) -> Value:
    """RJ, where p is not on the negative axis, of operands near 1 in size."""

    def step(g: Builder, given: list[Value]) -> tuple[list[Value], list[Value]]:
        moved, shift, (a, b, c, _) = _stepped(g, given)
        root = g.add(g.mul(given[3], total(g, [a, b, c])), product(g, a, b, c))
        far = g.add(given[3], shift)
        return moved, [g.mul(root, root), product(g, given[3], far, far)]

    operands, sides = _repeated(g, _LONGER, [x, y, z, p], step)
    passed = _weighed(g, _LONGER, degenerate(g, *sides))
    mean, (a, b, c, _) = _mean(g, operands, 2)
    d = g.mul(total(g, [a, b, c]), -1 / 2)
    dd, abc = g.mul(d, d), product(g, a, b, c)
    e2 = g.sub(total(g, [g.mul(a, b), g.mul(a, c), g.mul(b, c)]), g.mul(dd, 3.0))
    e3 = total(g, [abc, g.mul(product(g, e2, d), 2.0), g.mul(g.mul(dd, d), 4.0)])
    e4 = g.mul(total(g, [g.mul(abc, 2.0), g.mul(e2, d), g.mul(g.mul(dd, d), 3.0)]), d)
    rest = _of_fifths(g, mean, (e2, e3, e4, g.mul(abc, dd)))
    return g.add(passed, g.mul(rest, 0.25 ** (_LONGER + 1)))
