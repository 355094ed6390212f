"""What functions of SciPy are called with, and parts of what they return."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import interpolate, linalg, sparse, stats

_RNG = np.random.default_rng(7)
V = _RNG.normal(size=6)
P = np.array([0.3, 1.7, 2.2, 0.9, 4.1, 1.2])
K = np.array([0.0, 1.0, 2.0, 5.0, 3.0, 1.0])
S = np.array([0.1, 0.25, 0.9, 0.6, 0.4, 0.33])
A = _RNG.normal(size=(4, 4))
D = A @ A.T + 4 * np.eye(4)
B = _RNG.normal(size=(4, 3))
X = _RNG.normal(size=(5, 3))
Y = _RNG.normal(size=(4, 3))
T = np.array([0.0, 0.7, 1.1, 2.0, 2.6, 3.3])
AT = np.array([-0.4, 0.05, 0.8, 1.5, 2.3, 3.6])
IMAGE = _RNG.normal(size=(5, 7))
BEYOND: list[Any] = [(2, "constant"), (3, "nearest"), (3, "mirror"), (4, "wrap"), (5, "grid-wrap")]
SPARSE: Any = sparse.random(5, 4, 0.5, format="csr", random_state=3)
DEFINITE = sparse.csc_matrix(sparse.random(6, 6, 0.4, random_state=4) + 6 * sparse.eye(6))
MANY = sparse.csc_matrix(sparse.random(150, 150, 0.03, random_state=4) + 6 * sparse.eye(150))
SYSTEMS: Any = sparse.linalg
ARE = (A, B, D, B[:3])
LONG = _RNG.normal(size=30)
SECTIONS = np.array([[0.2, 0.3, 0.1, 1.0, -0.5, 0.2], [1.0, 0.4, 0.0, 1.0, 0.3, 0.0]])
MANY_B = _RNG.normal(size=(150, 2))
MANY_LU: Any = sparse.linalg.splu(MANY)
MANY_SOLVED: Any = sparse.linalg.factorized(MANY)
LU = linalg.lu_factor(A)
FROZEN: Any = stats.multivariate_normal(V[:4], D)
KERNELS: Any = stats.gaussian_kde(P)
PLANE: Any = stats.gaussian_kde(IMAGE[:2])
CURVE = interpolate.CubicSpline(T, V)
LINE = interpolate.interp1d(T, V, fill_value="extrapolate")
PLACES = (T[:5], np.arange(7.0) ** 1.5)
GRID: Any = interpolate.RegularGridInterpolator(PLACES, IMAGE)
GRID_AT = np.array([[0.1, 3.3], [1.7, 0.2], [2.5, 14.0]])
SPLINE = interpolate.make_interp_spline(T, V)


def parts_of(*arrays: Any) -> list[Any]:
    """Real and imaginary parts of arrays."""
    return [part for array in arrays for part in (array.real, array.imag)]
