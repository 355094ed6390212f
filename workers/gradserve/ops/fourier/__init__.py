"""Discrete Fourier transforms."""

from gradserve.ops.fourier import transforms
