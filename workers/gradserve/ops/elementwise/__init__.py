"""Ops that act element by element."""

from gradserve.ops.elementwise import (
    arithmetic,
    bits,
    clipping,
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
