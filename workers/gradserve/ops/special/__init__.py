"""Special functions."""

from gradserve.ops.special import (
    bessel,
    complexes,
    elliptic,
    erf,
    gammas,
    incomplete,
    rare,
    students,
    tails,
)
