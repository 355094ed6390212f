"""Discrete Fourier transforms: NumPy's own, its results in row-major order."""

from gradserve.execution.numpy.kernels.lapack import plain_rows
from gradserve.execution.numpy.kernels.table import kernel
from gradserve.ops.fourier.transforms import Transform

kernel(Transform)(plain_rows)
