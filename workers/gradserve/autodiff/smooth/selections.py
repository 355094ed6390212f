"""Forms of what is chosen by a condition: guards against the root being 0, and series near it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradserve.autodiff.smooth.forms import Form, Guard, Later, Once
from gradserve.autodiff.smooth.pairs import plain
from gradserve.autodiff.smooth.smoother import Smoother
from gradserve.autodiff.smooth.squares import of_root, root_of
from gradserve.ir.builder import Value
from gradserve.ir.op import Op
from gradserve.ir.splat import is_splat, splat
from gradserve.ops.elementwise.comparison import Select
from gradserve.ops.elementwise.powers import Sqrt


def select(s: Smoother, op: Op, operands: Sequence[Value]) -> Form | None:
    """The form of a choice.

    What is chosen where the root is 0, and only there, is nothing but the limit of the other branch, or a number that
    keeps another choice from dividing by 0.
    """
    condition, *branches = operands
    if not branches[0].type.is_float:
        return None
    for truth, (other, number) in ((False, branches[::-1]), (True, branches)):
        found = _guarded_root(s, condition, truth, other, number)
        if found is not None:
            return found
    forms = [s.form(branch) for branch in branches]
    if all(form is None for form in forms):
        return None
    for truth, (form, other) in ((True, (forms[0], branches[1])), (False, (forms[1], branches[0]))):
        if form is not None and s.form(other) is None:
            return _beside_number(s, condition, truth, form, other) or _both(s, condition, forms, branches)
    return _both(s, condition, forms, branches)


def _guarded_root(s: Smoother, condition: Value, truth: bool, root: Value, number: Value) -> Form | None:
    """The root that is chosen where its square is not 0: `where(q == 0, 0, sqrt(where(q == 0, 1, q)))`."""
    made = s.g.producer(root)
    if made is None or not isinstance(made.op, Sqrt) or not is_splat(s.g, number, 0):
        return None
    inside = s.g.producer(made.operands[0])
    if inside is None or not isinstance(inside.op, Select) or inside.operands[0] is not condition:
        return None
    square = inside.operands[1 if truth else 2]
    if s.is_zero_test(condition, root_of(square)) is not (not truth):
        return None
    return of_root(s, square, 1)


def _beside_number(s: Smoother, condition: Value, truth: bool, form: Form, number: Value) -> Form | None:
    """The form where the condition is `truth`, and a number elsewhere."""
    guard = Guard(condition, truth)
    if form.guard is not None and not form.guard.same(guard):
        return None
    at_zero = s.is_zero_test(condition, form.root)
    if at_zero is (not truth) and s.agrees_at_zero(number, form):
        return replace(form, guard=None, right=None, series=None)
    if form.odd is False and at_zero is None and form.factor is not None and form.order == 0:
        return None  # a choice between two smooth values
    if splat(s.g, number) is None:
        return None
    return replace(form, guard=guard, right=None)


def _both(s: Smoother, condition: Value, forms: Sequence[Form | None], branches: Sequence[Value]) -> Form | None:
    """A choice between two values that are odd, or even, in the same root."""
    known = forms[0] or forms[1]
    assert known is not None
    x, y = (form or plain(known.root, branch) for form, branch in zip(forms, branches, strict=True))
    if not x.root.same(y.root) or x.odd is None or x.odd != y.odd:
        return None
    for form, truth in ((x, True), (y, False)):
        if form.guard is not None and not form.guard.same(Guard(condition, truth)):
            return None
    order = min(x.order, y.order)
    factors = [s.beside(form, order) for form in (x, y)]
    return Form(
        x.root,
        x.odd,
        order,
        _chosen(s, condition, factors),
        _chosen(s, condition, [x.signed, y.signed]),
        vanishes=x.vanishes and y.vanishes,
    )


def _chosen(s: Smoother, condition: Value, values: Sequence[Later | None]) -> Later | None:
    x, y = values
    return None if x is None or y is None else Once(lambda: s.apply(Select(), [condition, x(), y()])[0])
