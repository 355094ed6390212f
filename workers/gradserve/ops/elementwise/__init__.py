"""Ops that act element by element."""

from gradserve.ops.elementwise import (
    arithmetic,
    bits,
    comparison,
    differentiate_as,
    entire,
    hypotenuse,
    powers,
    rounding,
    slopes,
    stop_gradient,
    trigonometry,
)
