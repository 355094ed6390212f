"""Applies ops, and follows roots through them until what is computed is smooth again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.autodiff.smooth.forms import Form, Root
from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Op
from gradserve.ir.splat import is_splat, splat
from gradserve.ops.elementwise.arithmetic import Mul
from gradserve.ops.elementwise.comparison import Comparison, Eq, Ge, Gt, Le, Lt, Ne
from gradserve.ops.elementwise.differentiate_as import DifferentiateAs

Rule: TypeAlias = Callable[["Smoother", Any, Sequence[Value]], "Form | Value | None"]
"""The form of a result; or the value as which it is to be differentiated; None if nothing is known of it."""

_HOLDS_AT_ZERO: Mapping[type[Op], bool] = {Eq: True, Le: True, Ge: True, Ne: False, Lt: False, Gt: False}
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
        self._compared: dict[int, tuple[Value, bool]] = {}
        self._settled: dict[int, Value] = {}

    def apply(self, op: Op, operands: Sequence[Value]) -> tuple[Value, ...]:
        """The results of an op, each differentiated as the smoothest expression that is known for it."""
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

    def form(self, value: Value) -> Form | None:
        """What is known of a value; None if no root is behind it, or none that matters."""
        return self._forms.get(value.index)

    def even(self, form: Form) -> Value | None:
        """The value of a form that is the same for both signs of the root, without the root; None if not known."""
        if form.signed is not None:
            return form.signed
        if form.factor is None:
            return None
        value = form.factor
        for _ in range(form.order // 2):
            value = self.times(form.root.square, value)
        return value

    def times(self, x: Value, y: Value) -> Value:
        """x y, without factors of 1."""
        if is_splat(self.g, x, 1):
            return y
        return x if is_splat(self.g, y, 1) else self.apply(Mul(), [x, y])[0]

    def beside(self, form: Form, order: int) -> Value | None:
        """The factor beside a lower power of the root."""
        factor = form.factor
        for _ in range((form.order - order) // 2):
            factor = None if factor is None else self.times(form.root.square, factor)
        return factor

    def is_zero_test(self, condition: Value, root: Root) -> bool | None:
        """The truth value that the condition has only where the root is 0; None if it asks for something else."""
        found = self._compared.get(condition.index)
        if found is None:
            return None
        compared, truth = found
        form = self.form(compared)
        power = form is not None and form.root.same(root) and form.order > 0 and self._never_zero(form.factor)
        return truth if compared is root.square or compared is root.of or power else None

    def at_zero(self, value: Value | None, root: Root) -> float | None:
        """The number that the value is where the root is 0; None if that depends on something else."""
        found = None if value is None else self._number(value, root)
        return None if found is None else float(found)

    def agrees_at_zero(self, number: Value, form: Form) -> bool:
        """Whether a number is the limit of the form where the root is 0."""
        given = splat(self.g, number)
        limit = 0.0 if form.order else self.at_zero(form.factor, form.root)
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
        if form is None or not form.odd or form.root.square.type != value.type:
            return value
        return self._differentiated_as(value, form.root.square)

    def _note_comparison(self, op: Op, operands: Sequence[Value], value: Value) -> None:
        """Remembers what is compared with 0, through views as well."""
        if isinstance(op, Comparison) and type(op) in _HOLDS_AT_ZERO:
            compared, zero = operands
            if is_splat(self.g, zero, 0):
                self._compared[value.index] = (compared, _HOLDS_AT_ZERO[type(op)])
        elif op.view and operands[0].index in self._compared:
            compared, truth = self._compared[operands[0].index]
            self._compared[value.index] = (self.apply(op, [compared])[0], truth)

    def _never_zero(self, factor: Value | None) -> bool:
        found = None if factor is None else splat(self.g, factor)
        return found is not None and bool(found != 0)

    def _number(self, value: Value, root: Root) -> Any:
        if value is root.square or value is root.of:
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
