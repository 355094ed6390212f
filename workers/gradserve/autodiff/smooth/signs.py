"""What is nowhere negative."""

from __future__ import annotations

from gradserve.ir.builder import Builder, Value
from gradserve.ir.splat import splat
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.elementwise.arithmetic import Abs, Add, Div, Mul
from gradserve.ops.elementwise.comparison import Select
from gradserve.ops.elementwise.differentiate_as import DifferentiateAs
from gradserve.ops.elementwise.powers import Exp, Pow
from gradserve.ops.reduction.reductions import ReduceSum


def is_square(g: Builder, value: Value) -> bool:
    """Whether the value is known to be nowhere negative: a sum of squares."""
    made = g.producer(value)
    if made is None:
        known = splat(g, value)
        return known is not None and float(known) >= 0
    x = made.operands[0]
    match made.op:
        case Mul() | Contract() if made.operands[0] is made.operands[1]:
            return isinstance(made.op, Mul) or not value.type.rank
        case Abs() | Exp():
            return True
        case Pow():
            exponent = splat(g, made.operands[1])
            return exponent is not None and float(exponent) % 2 == 0
        case ReduceSum() | DifferentiateAs() | Add() | Mul() | Div() | Select():
            return all(is_square(g, each) for each in made.operands[isinstance(made.op, Select) :])
        case _:
            return made.op.view and is_square(g, x)
