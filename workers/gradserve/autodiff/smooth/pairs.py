"""The forms of two operands in one root."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.autodiff.smooth.forms import Form, Guard, Later, Once, Root
from gradserve.autodiff.smooth.smoother import Smoother
from gradserve.ir.builder import Value
from gradserve.ir.op import Op


def together(s: Smoother, operands: Sequence[Value]) -> tuple[Form, Form, Guard | None] | None:
    """The forms of two values in the same root, and where both hold; None if neither has any, or that is nowhere.

    What is no function of the root, or has a form in another, is a factor beside it.
    """
    x, y = (s.form(value) for value in operands)
    known = y if x is None or (x.odd is False and y is not None) else x
    if known is None:
        return None
    first, second = (
        form if form is not None and form.root.same(known.root) else plain(known.root, value)
        for form, value in zip((x, y), operands, strict=True)
    )
    if first.guard is None or second.guard is None or first.guard.same(second.guard):
        return first, second, first.guard or second.guard
    return None


def plain(root: Root, value: Value) -> Form:
    """The form of what is no function of a root."""

    def itself() -> Value:
        return value

    return Form(root, odd=False, factor=itself, signed=itself, right=itself)


def applied(s: Smoother, op: Op, x: Later | None, y: Later | None) -> Later | None:
    """The result of an op, if its operands are known."""
    return None if x is None or y is None else Once(lambda: s.apply(op, [x(), y()])[0])


def multiplied(s: Smoother, x: Later | None, y: Later | None) -> Later | None:
    """The product, if its operands are known."""
    return None if x is None or y is None else Once(lambda: s.times(x(), y()))
