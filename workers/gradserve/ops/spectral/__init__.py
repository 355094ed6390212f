"""Ops on eigenvalues and singular values, and functions of matrices."""

from gradserve.ops.spectral import (
    eigen,
    general,
    hermitian,
    matrix_functions,
    nearest_rotation,
    rotation,
    singular,
    spectra,
    unitary,
)
