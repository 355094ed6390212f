"""Roots of values."""

from __future__ import annotations

import math

from gradserve.autodiff.smooth.forms import Form, Once, Root
from gradserve.autodiff.smooth.signs import is_square
from gradserve.autodiff.smooth.smoother import Smoother
from gradserve.ir.builder import Value


def of_root(s: Smoother, square: Value, order: int) -> Form:
    """The form of a power of the root of a value, NaN below 0 in derivatives as well."""

    def factor() -> Value:
        ones = s.g.full(square.type, 1)
        if is_square(s.g, square):
            return ones
        below = s.g.lt(s.g.stop_gradient(square), 0.0)
        return s.g.select(below, s.g.full(square.type, math.nan), ones)

    return Form(root_of(square), odd=order % 2 == 1, order=order, factor=Once(factor), vanishes=True)


def root_of(square: Value) -> Root:
    """The root of a value."""
    return Root(square, lambda: square)
