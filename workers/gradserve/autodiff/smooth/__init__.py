"""Expressions with kinks that algebra knows to be smooth, such as sqrt(x)^2, given the derivatives that they have."""

from gradserve.autodiff.smooth.graphs import smoothed

__all__ = ["smoothed"]
