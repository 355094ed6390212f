"""Kernels of the NumPy executor, one module for each package of ops."""

from gradserve.execution.numpy.kernels import factors, indexing, linalg, spectral
