"""What ops that are there for their digits make of forms: they stand for functions that are made of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from gradserve.autodiff.spectral.expressions import ONE, Applied, Expression, Number, Product, Sum, multiple
from gradserve.autodiff.spectral.forms import SpectralForm
from gradserve.autodiff.spectral.known import Known
from gradserve.ir.builder import Builder
from gradserve.ir.op import Op
from gradserve.ops.elementwise.hypotenuse import RootSumSquare
from gradserve.ops.elementwise.powers import Cbrt
from gradserve.ops.elementwise.slopes import LogisticSlope, TanhSlope

Of: TypeAlias = Callable[[Builder, Any, SpectralForm], Expression]
"""The expression of a result, from the op and the form of its last operand."""


def _negative(g: Builder, form: SpectralForm) -> Expression:
    return multiple(g, -1.0, form.expression, form.source.stack, form.source.matrix)


def _cbrt(g: Builder, op: Any, form: SpectralForm) -> Expression:
    size = Applied("power", Applied("abs", form.expression), 1 / 3)
    return Product(Applied("sign", form.expression), size)


def _tanh_slope(g: Builder, op: Any, form: SpectralForm) -> Expression:
    """1 - y^2."""
    return Sum(ONE, Product(_negative(g, form), form.expression))


def _logistic_slope(g: Builder, op: Any, form: SpectralForm) -> Expression:
    return Product(Applied("logistic", form.expression), Applied("logistic", _negative(g, form)))


def _root_sum_square(g: Builder, op: Any, form: SpectralForm) -> Expression:
    offset = g.broadcast(g.constant(op.offset, form.source.matrix.type.element_type), form.source.stack)
    return Applied("sqrt", Sum(Product(form.expression, form.expression), Number(offset)))


def _rule(of: Of) -> Callable[[Builder, Any, Sequence[Known]], SpectralForm | None]:
    def rule(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
        form = operands[-1].form
        return None if form is None or form.rows else replace(form, expression=of(g, op, form))

    return rule


SCALAR_RULES: Mapping[type[Op], Callable[[Builder, Any, Sequence[Known]], SpectralForm | None]] = {
    Cbrt: _rule(_cbrt),
    LogisticSlope: _rule(_logistic_slope),
    RootSumSquare: _rule(_root_sum_square),
    TanhSlope: _rule(_tanh_slope),
}
