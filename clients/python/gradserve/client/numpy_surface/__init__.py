"""The NumPy surface: which functions can be traced, and what each becomes in ops."""

from gradserve.client.numpy_surface import (  # noqa: F401  (importing a module enters its functions in the table)
    creation,
    decompositions,
    differences,
    elementwise,
    indexing,
    joining,
    linalg,
    logic,
    nans,
    ordering,
    padding,
    polynomials,
    products,
    reductions,
    shapes,
    special,
    statistics,
    ufuncs,
)
from gradserve.client.numpy_surface.table import supported_names

__all__ = ["supported_names"]
