"""Ops that act element by element."""

from gradserve.ops.elementwise import (
    arithmetic,
    comparison,
    hypotenuse,
    powers,
    rounding,
    slopes,
    stop_gradient,
    trigonometry,
)
