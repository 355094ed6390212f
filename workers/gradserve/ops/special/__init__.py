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
    inverses,
    parabolic,
    plane,
    rare,
    scaled_airy,
    struve,
    students,
    tails,
    wright,
)
