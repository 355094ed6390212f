"""Ops that act element by element."""

from gradserve.ops.elementwise import (
    arithmetic,
    bits,
    comparison,
    conversion,
    differentiate_as,
    entire,
    hypotenuse,
    parts,
    powers,
    rounding,
    slopes,
    stop_gradient,
    trigonometry,
)
