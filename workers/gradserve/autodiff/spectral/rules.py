"""What becomes of forms in each op: a rule sees the operands with their forms, and says the form of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from gradserve.autodiff.spectral.expressions import (
    Applied,
    Expression,
    Number,
    Sum,
    Turn,
    converted,
    multiple,
    without_turn,
)
from gradserve.autodiff.spectral.forms import SpectralForm, multiplied
from gradserve.autodiff.spectral.known import Known, number_of
from gradserve.autodiff.spectral.orientations import is_orientation
from gradserve.autodiff.spectral.scalar_rules import SCALAR_RULES
from gradserve.ir.builder import Builder
from gradserve.ir.graph import Literal
from gradserve.ir.op import Op
from gradserve.ir.types import ElementType
from gradserve.ops.elementwise.arithmetic import Add, Div, Maximum, Minimum, Mul, Neg, Sub
from gradserve.ops.elementwise.clipping import Clip
from gradserve.ops.elementwise.conversion import Convert
from gradserve.ops.elementwise.powers import Pow
from gradserve.ops.movement.placement import Concatenate, Reverse, Slice
from gradserve.ops.movement.shapes import BroadcastTo, Permute, Reshape

PRODUCTS = range(1, 33)
"""Exponents of powers that are taken for products."""

Rule: TypeAlias = Callable[[Builder, Any, Sequence[Known]], SpectralForm | None]


def _literal(g: Builder, number: Number) -> float | None:
    """The number behind a constant."""
    value = number.value
    while value is not None and (made := g.producer(value)) is not None:
        if not (made.op.fills or isinstance(made.op, Convert)):
            return None
        value = made.operands[0]
    literal = None if value is None else g.literal(value)
    return float(literal.array.reshape(())) if isinstance(literal, Literal) and literal.array.size == 1 else None


def form_of(g: Builder, op: Op, operands: Sequence[Known]) -> SpectralForm | None:
    """The form of a result, if one of the operands has a form and the op keeps it."""
    if all(known.form is None for known in operands):
        return None
    rule = _applied if op.spectral_function else RULES.get(type(op))
    return None if rule is None else rule(g, op, operands)


def _applied(g: Builder, op: Op, operands: Sequence[Known]) -> SpectralForm | None:
    form = operands[0].form
    if form is None or form.rows:
        return None
    return replace(form, expression=Applied(op.spectral_function, form.expression))


def _neg(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    form = operands[0].form
    return None if form is None else replace(form, expression=_times(g, -1.0, form))


def _times(g: Builder, factor: float, form: SpectralForm) -> Expression:
    return multiple(g, factor, form.expression, form.source.stack, form.source.matrix)


def _other(g: Builder, form: SpectralForm, known: Known) -> Number | None:
    """The number that stands beside a form."""
    return None if known.form is not None else number_of(g, known.value, form.source.stack)


def _mul(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    x, y = operands
    if x.form is not None and y.form is not None:
        return x.form.times(y.form)
    for one, other in ((x, y), (y, x)):
        if one.form is not None:
            form, n = one.form, one.form.source.length
            if (form.start, form.stop) == (n - 1, n) and is_orientation(other, form.source):
                return multiplied(form, Turn())
            number = _other(g, one.form, other)
            return None if number is None else multiplied(one.form, number)
    return None


def _div(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    x, y = operands
    if y.form is not None and not y.form.rows:
        inverse = replace(y.form, expression=Applied("reciprocal", y.form.expression))
        if x.form is not None:
            return x.form.times(inverse)
        number = _other(g, y.form, x)
        return None if number is None else multiplied(inverse, number)
    if x.form is not None and y.form is None:
        number = _other(g, x.form, y)
        if number is not None and number.value is not None:
            return multiplied(x.form, Number(g.emit("div", 1.0, number.value)))
    return None


def _sum(sign: float) -> Rule:
    def rule(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
        x, y = operands
        form = x.form or y.form
        if form is None:
            return None
        terms: list[Expression] = []
        for known, factor in ((x, 1.0), (y, sign)):
            own = known.form.expression if known.form is not None else _other(g, form, known)
            alike = known.form is None or (not known.form.rows and known.form.times(form) is not None)
            if own is None or not alike:
                return None
            like = form.source
            terms.append(own if factor == 1.0 else multiple(g, factor, own, like.stack, like.matrix))
        return replace(form, expression=Sum(*terms))

    return rule


def _pow(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    x, y = operands
    form = x.form
    number = None if form is None else _other(g, form, y)
    exponent = None if number is None else _literal(g, number)
    if form is None or exponent is None:
        return None
    if exponent in PRODUCTS:
        return _product(form, int(exponent))
    if form.rows:
        return None
    function = "reciprocal" if exponent == -1.0 else "power"
    return replace(form, expression=Applied(function, form.expression, exponent))


def _product(form: SpectralForm | None, count: int) -> SpectralForm | None:
    """The form times itself, by squaring: unlike other powers, it has no kink at 0."""
    if form is None or count == 1:
        return form
    half = _product(form, count // 2)
    square = None if half is None else half.times(half)
    return square if square is None or count % 2 == 0 else square.times(form)


def _maximum(sign: float) -> Rule:
    """max(x, c) = c + positive(x - c), and min(x, c) = c - positive(c - x)."""

    def rule(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
        x, y = operands if operands[0].form is not None else operands[::-1]
        form = x.form
        number = None if form is None or form.rows else _other(g, form, y)
        return None if form is None or number is None else _bounded(g, form, number, sign)

    return rule


def _bounded(g: Builder, form: SpectralForm, bound: Number, sign: float) -> SpectralForm:
    own, like = form.expression, form.source

    def scaled(factor: float, of: Expression) -> Expression:
        return multiple(g, factor, of, like.stack, like.matrix)

    beyond = Applied("positive", Sum(scaled(sign, own), scaled(-sign, bound)))
    return replace(form, expression=Sum(bound, scaled(sign, beyond)))


def _clip(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    x, *bounds = operands
    form = x.form
    if form is None or form.rows:
        return None
    for known, sign in zip(bounds, (1.0, -1.0), strict=True):
        number = _other(g, form, known)
        if number is None:
            return None
        form = _bounded(g, form, number, sign)
    return form


def _convert(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    """The form of the matrix in double precision: constants are often more precise than arguments."""
    form, wide = operands[0].form, ElementType.FLOAT64
    if form is None or op.element_type is not wide:
        return None
    source = replace(form.source, matrix=g.convert(form.source.matrix, wide))
    rows = tuple(replace(row, base=None if row.base is None else g.convert(row.base, wide)) for row in form.rows)
    return replace(form, source=source, expression=converted(form.expression, wide), rows=rows)


def _permute(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    form = operands[0].form
    return None if form is None else form.renumbered({axis: k for k, axis in enumerate(op.order)}, form.rank)


def _reshape(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    """Axes of length 1 come and go."""
    x = operands[0]
    if x.form is None:
        return None
    before = [axis for axis, n in enumerate(x.value.shape) if n != 1]
    after = [axis for axis, n in enumerate(op.shape) if n != 1]
    if [x.value.shape[axis] for axis in before] != [op.shape[axis] for axis in after]:
        return None
    return x.form.renumbered(dict(zip(before, after, strict=True)), len(op.shape))


def _broadcast_to(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    x = operands[0]
    if x.form is None:
        return None
    new = len(op.shape) - x.value.type.rank
    same = {axis: axis + new for axis, n in enumerate(x.value.shape) if n == op.shape[axis + new]}
    return x.form.renumbered(same, len(op.shape))


def _slice(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    x = operands[0]
    if x.form is None or any(stride != 1 for stride in op.strides):
        return None
    axis = x.form.axis
    others_kept = all(
        (start, stop) == (0, n)
        for k, (start, stop, n) in enumerate(zip(op.starts, op.stops, x.value.shape, strict=True))
        if k != axis
    )
    return x.form.sliced(op.starts[axis], op.stops[axis]) if others_kept else None


def _reverse(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    form = operands[0].form
    return None if form is None or op.axes != (form.axis,) else replace(form, backwards=not form.backwards)


def _concatenate(g: Builder, op: Any, operands: Sequence[Known]) -> SpectralForm | None:
    """All vectors, of which the last has the orientation for a factor."""
    forms = [known.form for known in operands]
    if len(forms) != 2 or forms[0] is None or forms[1] is None or forms[0].axis != op.axis:
        return None
    first, end = forms[0], forms[1]
    same = (first.source, first.rows, first.axis, first.stop) == (end.source, end.rows, end.axis, end.start)
    if not same or first.backwards or end.backwards or first.start or end.stop != first.source.length:
        return None
    split = without_turn(end.expression)
    return multiplied(replace(first, stop=end.stop), Turn()) if split == (True, first.expression) else None


RULES: Mapping[type[Op], Rule] = {
    Neg: _neg,
    Add: _sum(1.0),
    Sub: _sum(-1.0),
    Mul: _mul,
    Div: _div,
    Pow: _pow,
    Concatenate: _concatenate,
    Maximum: _maximum(1.0),
    Minimum: _maximum(-1.0),
    Clip: _clip,
    Convert: _convert,
    Permute: _permute,
    Reshape: _reshape,
    BroadcastTo: _broadcast_to,
    Slice: _slice,
    Reverse: _reverse,
    **SCALAR_RULES,
}
"""By op: the rules for results with a form."""
