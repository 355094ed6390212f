"""Kernels of the NumPy executor, one module for each package of ops; importing this enters all of them."""

from gradserve.execution.numpy.kernels import (
    contraction,
    elementwise,
    factors,
    fourier,
    indexing,
    linalg,
    movement,
    reduction,
    special,
    spectral,
    structured,
    windows,
)
