"""What is nowhere negative, and the root of it."""

from __future__ import annotations

import math

from gradserve.autodiff.smooth.forms import Form, Root
from gradserve.autodiff.smooth.smoother import Smoother
from gradserve.ir.builder import Value
from gradserve.ir.splat import splat
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.elementwise.arithmetic import Abs, Add, Div, Mul
from gradserve.ops.elementwise.comparison import Select
from gradserve.ops.elementwise.differentiate_as import DifferentiateAs
from gradserve.ops.elementwise.powers import Exp, Pow
from gradserve.ops.reduction.reductions import ReduceSum


def of_root(s: Smoother, square: Value, order: int) -> Form:
    """The form of a power of the root of a value, NaN below 0 in derivatives as well."""
    ones = s.g.full(square.type, 1)
    if not is_square(s, square):
        below = s.g.lt(s.g.stop_gradient(square), 0.0)
        ones = s.g.select(below, s.g.full(square.type, math.nan), ones)
    return Form(Root(square), odd=order % 2 == 1, order=order, factor=ones, vanishes=True)


def is_square(s: Smoother, value: Value) -> bool:
    """Whether the value is known to be nowhere negative: a sum of squares."""
    made = s.g.producer(value)
    if made is None:
        known = splat(s.g, value)
        return known is not None and float(known) >= 0
    x = made.operands[0]
    match made.op:
        case Mul() | Contract() if made.operands[0] is made.operands[1]:
            return isinstance(made.op, Mul) or not value.type.rank
        case Abs() | Exp():
            return True
        case Pow():
            exponent = splat(s.g, made.operands[1])
            return exponent is not None and float(exponent) % 2 == 0
        case ReduceSum() | DifferentiateAs() | Add() | Mul() | Div() | Select():
            return all(is_square(s, each) for each in made.operands[isinstance(made.op, Select) :])
        case _:
            return made.op.view and is_square(s, x)
