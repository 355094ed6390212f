"""Special functions."""

from gradserve.ops.special import bessel, erf, gammas
