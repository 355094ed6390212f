"""Special functions."""

from gradserve.ops.special import (
    bessel,
    complexes,
    elliptic,
    erf,
    gammas,
    hypergeometric,
    incomplete,
    integrals,
    parabolic,
    rare,
    struve,
    students,
    tails,
)
