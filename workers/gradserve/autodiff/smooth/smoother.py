"""Applies ops, and follows roots through them until what is computed is smooth again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.autodiff.smooth.forms import Form, Later, Once, Root
from gradserve.autodiff.smooth.signs import is_square
from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Op
from gradserve.ir.splat import is_splat, splat
from gradserve.ops.elementwise.arithmetic import Mul
from gradserve.ops.elementwise.comparison import Comparison, Eq, Ge, Gt, Le, Lt, Ne
from gradserve.ops.elementwise.differentiate_as import DifferentiateAs

Rule: TypeAlias = Callable[["Smoother", Any, Sequence[Value]], "Form | Value | None"]
"""The form of a result; or the value as which it is to be differentiated; None if nothing is known of it."""

_AT_ZERO: Mapping[type[Op], bool] = {Eq: True, Le: True, Ne: False, Gt: False}
"""What comparisons of a value with 0 say where it is 0, and of what is nowhere negative only there."""
_TURNED: Mapping[type[Op], type[Op]] = {Eq: Eq, Ge: Le, Ne: Ne, Lt: Gt}
"""The same with the operands exchanged."""
_ULPS = 4.0


class Smoother:
    """A builder's ops, with the forms of what they give."""

    def __init__(self, g: Builder, rules: Mapping[type[Op], Rule], other: Rule, with_signs: bool) -> None:
        """By op the rules, and that of all others; `with_signs` says that sign(x) is to be expected beside |x|."""
        self.g = g
        self.with_signs = with_signs
        self.changed = False
        """Whether anything is differentiated as something else."""
        self._rules, self._other = rules, other
        self._forms: dict[int, Form] = {}
        self._compared: dict[int, tuple[Value, type[Op]]] = {}
        self._settled: dict[int, Value] = {}

    def apply(self, op: Op, operands: Sequence[Value]) -> tuple[Value, ...]:
        """The results of an op, each differentiated as the smoothest expression that is known for it."""
        if any(x.type.is_complex for x in operands):  # roots are followed among real numbers alone
            return self.g.apply(op, operands)
        compared = operands
        if isinstance(op, Comparison):
            operands = [self._without_kink(x) for x in operands]
        results = self.g.apply(op, operands)
        if len(results) != 1:
            return results
        (value,) = results
        known = self._settled.get(value.index)
        if known is None:
            rule = self._rules.get(type(op)) or (self._other if self._followed(operands) else None)
            found = rule(self, op, operands) if rule else None
            known = self._settled[value.index] = self._settle(value, found)
            self._note_comparison(op, compared, value)
        return (known,)

    def release(self) -> None:
        """Ends its use: forms, which ask it for what they are made of, are freed without the collector."""
        self._forms.clear()

    def form(self, value: Value) -> Form | None:
        """What is known of a value; None if no root is behind it, or none that matters."""
        return self._forms.get(value.index)

    def even(self, form: Form) -> Value | None:
        """The value of a form that is the same for both signs of the root, without the root; None if not known."""
        if form.signed is not None:
            return form.signed()
        whole = self.beside(form, 0)
        return whole and whole()

    def times(self, x: Value, y: Value) -> Value:
        """x y, without factors of 1."""
        if is_splat(self.g, x, 1):
            return y
        return x if is_splat(self.g, y, 1) else self.apply(Mul(), [x, y])[0]

    def beside(self, form: Form, order: int) -> Later | None:
        """The factor beside a lower power of the root."""
        factor, more = form.factor, (form.order - order) // 2
        if factor is None or not more:
            return factor

        def made() -> Value:
            value = factor()
            for _ in range(more):
                value = self.times(form.root.square(), value)
            return value

        return Once(made)

    def is_zero_test(self, condition: Value, root: Root) -> bool | None:
        """The truth value that the condition has only where the root is 0; None if it asks for something else."""
        found = self._compared.get(condition.index)
        if found is None:
            return None
        compared, op = found
        form = self.form(compared)
        if compared is root.own(self.g):
            positive = not root.absolute and is_square(self.g, compared)
        elif form is not None and form.root.same(root) and form.order > 0 and form.factor is not None:
            factor = splat(self.g, form.factor())
            if factor is None or not factor:
                return None
            positive = float(factor) > 0
        else:
            return None
        return _AT_ZERO[op] if positive or op in (Eq, Ne) else None

    def at_zero(self, value: Value | None, root: Root) -> float | None:
        """The number that the value is where the root is 0; None if that depends on something else."""
        found = None if value is None else self._number(value, root)
        return None if found is None else float(found)

    def agrees_at_zero(self, number: Value, form: Form) -> bool:
        """Whether a number is the limit of the form where the root is 0."""
        given = splat(self.g, number)
        limit = 0.0 if form.order else self.at_zero(form.factor and form.factor(), form.root)
        if given is None or limit is None:
            return False
        return abs(float(given) - limit) <= _ULPS * float(np.finfo(np.dtype(given.dtype).name).eps) * abs(limit)

    def _followed(self, operands: Sequence[Value]) -> bool:
        return any(x.index in self._forms or x.index in self._compared for x in operands)

    def _settle(self, value: Value, found: Form | Value | None) -> Value:
        """The value itself, or differentiated as what it is without the root."""
        if found is None:
            return value
        if isinstance(found, Value):
            return self._differentiated_as(value, found)
        smooth = self.even(found) if found.odd is False and found.guard is None else None
        if smooth is None:
            self._forms[value.index] = found
            return value
        settled = self._differentiated_as(value, smooth)
        if found.order or found.series:
            self._forms[settled.index] = found
        return settled

    def _differentiated_as(self, value: Value, smooth: Value) -> Value:
        if smooth is value:
            return value
        self.changed = True
        return self.g.apply(DifferentiateAs(), [value, smooth])[0]

    def _without_kink(self, value: Value) -> Value:
        """A root that is only compared: where the comparison turns has to do with it, its kink has not."""
        form = self.form(value)
        if form is None or not form.odd:
            return value
        square = form.root.square()
        return self._differentiated_as(value, square) if square.type == value.type else value

    def _note_comparison(self, op: Op, operands: Sequence[Value], value: Value) -> None:
        """Remembers what is compared with 0, through views as well."""
        if isinstance(op, Comparison):
            first, second = operands
            if type(op) in _AT_ZERO and is_splat(self.g, second, 0):
                self._compared[value.index] = (first, type(op))
            elif type(op) in _TURNED and is_splat(self.g, first, 0):
                self._compared[value.index] = (second, _TURNED[type(op)])
        elif op.view and operands[0].index in self._compared:
            compared, kind = self._compared[operands[0].index]
            self._compared[value.index] = (self.apply(op, [compared])[0], kind)

    def _number(self, value: Value, root: Root) -> Any:
        if value is root.square() or value is root.own(self.g):
            return value.type.element_type.dtype.type(0)
        known = splat(self.g, value)
        made = self.g.producer(value)
        if known is not None or made is None or not (made.op.elementwise or made.op.fills):
            return known
        operands = [self._number(x, root) for x in made.operands]
        if any(x is None for x in operands):
            return None
        if made.op.fills and not made.op.elementwise:
            return operands[0]
        with np.errstate(all="ignore"):
            return np.asarray(made.op.impl(np, *map(np.asarray, operands)))[()]
