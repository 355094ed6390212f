"""Which forms ops give to their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.autodiff.smooth.forms import Form, Later, Once, Root, Series
from gradserve.autodiff.smooth.pairs import applied, multiplied, together
from gradserve.autodiff.smooth.selections import select
from gradserve.autodiff.smooth.smoother import Rule, Smoother
from gradserve.autodiff.smooth.squares import of_root
from gradserve.autodiff.smooth.sums import add, sub
from gradserve.ir.builder import Value
from gradserve.ir.op import Op
from gradserve.ir.splat import splat
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.elementwise.arithmetic import Abs, Add, Div, Mul, Neg, Sub
from gradserve.ops.elementwise.comparison import Select
from gradserve.ops.elementwise.entire import Stumpff
from gradserve.ops.elementwise.hypotenuse import Hypot
from gradserve.ops.elementwise.powers import Pow, Sqrt
from gradserve.ops.elementwise.rounding import Sign
from gradserve.ops.elementwise.trigonometry import Cos, Cosh, Sin, Sinh


def _absolute(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    (x,) = operands
    if not x.type.is_float:
        return None
    known = s.form(x)
    if known is not None and known.factor is not None and _is_positive(s, known.factor()):
        return known
    right = Once(lambda: s.g.mul(_side(s, x), x)) if s.with_signs else None
    return Form(_size_of(s, x), True, 1, Once(lambda: s.g.full(x.type, 1)), lambda: x, right, vanishes=True)


def _size_of(s: Smoother, x: Value) -> Root:
    return Root(x, Once(lambda: s.times(x, x)), absolute=True)


def _sign(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    (x,) = operands
    if not x.type.is_float:
        return None
    ones = Once(lambda: s.g.full(x.type, 1))
    return Form(_size_of(s, x), True, signed=ones, right=Once(lambda: _side(s, x)), is_sign=True)


def _side(s: Smoother, x: Value) -> Value:
    """1 where x is at least 0, and -1 elsewhere."""
    return s.g.select(s.g.lt(x, 0.0), s.g.full(x.type, -1), s.g.full(x.type, 1))


def _root(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    return of_root(s, operands[0], 1)


def _hypotenuse(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    x, y = operands
    return of_root(s, s.g.add(s.times(x, x), s.times(y, y)), 1)


def _is_positive(s: Smoother, factor: Value) -> bool:
    found = splat(s.g, factor)
    return found is not None and float(found) > 0


def _negative(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    known = s.form(operands[0])
    return known and _mapped(s, op, known)


def _mapped(s: Smoother, op: Op, known: Form) -> Form:
    """The form of a linear op of one operand."""
    factor, signed, right = (_of_one(s, op, x) for x in (known.factor, known.signed, known.right))
    return replace(known, factor=factor, signed=signed, right=right, is_sign=False, series=None)


def _of_one(s: Smoother, op: Op, x: Later | None) -> Later | None:
    """The result of an op, if its operand is known."""
    return None if x is None else Once(lambda: s.apply(op, [x()])[0])


def other(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    """Views of a root are roots of a view; odd and even functions of odd values are odd and even."""
    known = s.form(operands[0])
    if known is None or len(operands) != 1:
        return None
    if op.view:
        guard = known.guard and replace(known.guard, condition=s.apply(op, [known.guard.condition])[0])
        return replace(_mapped(s, op, known), root=known.root.through(s.g, op), guard=guard)
    if not op.elementwise or op.infer(operands[0].type) != (operands[0].type,):
        return None
    right = _of_one(s, op, known.right)
    with np.errstate(all="ignore"):
        keeps_zero = right is not None and bool(op.impl(np, np.zeros(())) == 0)
    has_parity = op.parity == "odd" or (op.parity == "even" and known.vanishes)
    signed = _of_one(s, op, known.signed) if has_parity and known.odd else None
    if right is None and signed is None:
        return None
    odd = None if signed is None else op.parity == "odd"
    return Form(
        known.root,
        odd,
        signed=signed,
        right=right,
        vanishes=known.vanishes and (odd is True or keeps_zero),
        guard=known.guard,
    )


def _series(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    """cos u = c_0(u^2) and sin u = u c_1(u^2); of -u^2 the hyperbolic ones."""
    known, plain = s.form(operands[0]), other(s, op, operands)
    if known is None or not known.odd or known.factor is None:
        return plain
    lead, hyperbolic, is_odd = known.factor, isinstance(op, Sinh | Cosh), isinstance(op, Sin | Sinh)
    squared = s.beside(replace(known, order=2 * known.order, factor=multiplied(s, lead, lead)), 0)
    assert squared is not None
    z = Once(lambda: s.g.neg(squared()) if hyperbolic else squared())
    factor: Later | None = Once(lambda: s.g.apply(Stumpff(int(is_odd)), [z()])[0])
    if is_odd:
        factor = multiplied(s, lead, factor)
    form = plain or Form(known.root, is_odd, vanishes=is_odd, guard=known.guard)
    series = Series(int(is_odd), z, known, hyperbolic)
    return replace(form, odd=is_odd, order=known.order if is_odd else 0, factor=factor, series=series)


def _power(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    x, exponent = operands
    filled = splat(s.g, exponent)
    if filled is None or not x.type.is_float:
        return None
    power, known = float(filled), s.form(x)
    if known is None:
        return of_root(s, x, int(2 * power)) if power > 0 and (2 * power) % 2 == 1 else None
    right = _raised(s, known.right, power)
    form = Form(known.root, None, right=right, vanishes=known.vanishes and power > 0, guard=known.guard)
    if power < 1 or power != int(power) or known.odd is None or not known.vanishes:
        return form if right is not None else None
    factor, signed = (_raised(s, v, power) for v in (known.factor, known.signed))
    odd = known.odd and int(power) % 2 == 1
    return replace(form, odd=odd, order=known.order * int(power), factor=factor, signed=signed)


def _raised(s: Smoother, x: Later | None, power: float) -> Later | None:
    if x is None or power == 2:
        return multiplied(s, x, x)
    return Once(lambda: s.g.pow(x(), power))


def _product(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | Value | None:
    found = together(s, operands)
    if found is None:
        return None
    x, y, guard = found
    right = applied(s, op, x.right, y.right)
    for sign, other in ((x, y), (y, x)):
        if sign.is_sign and other.vanishes and right is not None and not (other.odd and other.signed is not None):
            return right()  # once differentiable: sign(x) h(|x|) with h(0) = 0
    odd = None if x.odd is None or y.odd is None else x.odd != y.odd
    if x.odd and y.odd and not (x.vanishes or y.vanishes):
        return None  # of two that jump where the root is 0, as sign(x) does
    factor, signed = multiplied(s, x.factor, y.factor), multiplied(s, x.signed, y.signed)
    return Form(x.root, odd, x.order + y.order, factor, signed, right, x.vanishes or y.vanishes, guard=guard)


def _quotient(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    found = together(s, operands)
    if found is None:
        return None
    x, y, guard = found
    factor = applied(s, op, x.factor, y.factor) if x.order >= y.order else None
    whole = not y.order and not y.is_sign  # otherwise 0 / 0 where the root is 0, which only the factors know
    signed = applied(s, op, x.signed, y.signed) if whole else None
    right = applied(s, op, x.right, y.right) if whole else None
    odd = None if x.odd is None or y.odd is None or (factor is None and signed is None) else x.odd != y.odd
    if odd is None and right is None:
        return None
    return Form(
        x.root,
        odd,
        x.order - y.order if factor is not None else 0,
        factor,
        signed,
        right,
        x.vanishes and not y.vanishes,
        guard=guard,
    )


def _contraction(s: Smoother, op: Any, operands: Sequence[Value]) -> Value | None:
    """The square of a vector's length, as the sum of its squares."""
    x, y = operands
    known = s.form(x)
    if x is not y or x.type.rank != 1 or op.lhs_batch or known is None or not known.odd or known.guard is not None:
        return None
    squares = s.apply(Mul(), [x, y])[0]
    return None if squares is s.g.mul(x, y) else s.g.reduce_sum(squares, axes=(0,))


RULES: Mapping[type[Op], Rule] = {
    Abs: _absolute,
    Sign: _sign,
    Sqrt: _root,
    Hypot: _hypotenuse,
    Pow: _power,
    Neg: _negative,
    Mul: _product,
    Div: _quotient,
    Add: add,
    Sub: sub,
    Select: select,
    Contract: _contraction,
    **dict.fromkeys((Sin, Cos, Sinh, Cosh), _series),
}
"""By op."""
