"""SciPy's functions that are no ufuncs, on values of a graph in the making, with their names and arguments.

Importing it enters them in the table: who traces nothing of SciPy need not wait for it.
"""

from gradserve.numpy.scipy import (  # noqa: F401  (importing a module enters its functions in the table)
    continuous,
    coordinates,
    cosines,
    curves,
    derived_images,
    discrete,
    extremes,
    families,
    filters,
    fourier,
    general_matrices,
    images,
    integrate,
    interpolate,
    lifetimes,
    linalg,
    matrices_of_few,
    matrix_equations,
    multivariate,
    of_normals,
    rank_filters,
    short_time,
    smoothing,
    sparse,
    spatial,
    special,
    spectra,
    spherical,
    spline_images,
    splines,
    summaries,
    symmetric,
)
