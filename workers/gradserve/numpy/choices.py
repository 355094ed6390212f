"""Choices between elements, and questions about them, with NumPy's arguments."""

from __future__ import annotations

from gradserve.ir.builder import Operand, Value
from gradserve.numpy.arguments import builder_of


def where(condition: Operand, x: Operand, y: Operand) -> Value:
    """x where the condition holds, y elsewhere, as np.where; only the branch chosen counts in the derivative."""
    return builder_of(condition, x, y).emit("select", condition, x, y)


def isnan(x: Operand) -> Value:
    """Whether each element is not a number: it differs from itself."""
    return builder_of(x).emit("ne", x, x)


def isinf(x: Operand) -> Value:
    """Whether each element is inf or -inf."""
    g = builder_of(x)
    return g.emit("logical_not", g.emit("logical_or", g.emit("is_finite", x), isnan(x)))


def isclose(x: Operand, y: Operand, rtol: float = 1e-05, atol: float = 1e-08) -> Value:
    """Whether |x - y| <= atol + rtol |y|, or x = y, as np.isclose."""
    g = builder_of(x, y)
    bound = g.emit("abs", y) * rtol + atol
    near = g.emit("le", g.emit("abs", g.emit("sub", x, y)), bound)
    return g.emit("logical_or", g.emit("eq", x, y), g.emit("logical_and", near, g.emit("is_finite", bound)))
