"""Ops that act element by element."""

from gradserve.ops.elementwise import (
    arithmetic,
    comparison,
    differentiate_as,
    entire,
    powers,
    rounding,
    stop_gradient,
    trigonometry,
)
