"""Functions of SciPy's other modules called as their authors do, by the names that SciPy gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import integrate, ndimage, signal, sparse, special
from scipy.spatial import distance
from scipy.spatial import distance_matrix as distances_by_powers

from tests.numpy.scipy_calls.values import (
    DEFINITE,
    IMAGE,
    MANY,
    MANY_B,
    MANY_LU,
    MANY_SOLVED,
    SPARSE,
    SYSTEMS,
    B,
    D,
    P,
    S,
    T,
    V,
    X,
    Y,
    parts_of,
)

CALLS: dict[str, tuple[Any, ...]] = {
    "special": (
        lambda x: [
            special.logsumexp(x),
            special.softmax(x),
            special.log_softmax(x),
            special.polygamma(1, x),
            special.multigammaln(x + 2, 3),
        ],
        P,
    ),
    "special ufuncs": (
        lambda x: [special.exprel(x), special.cosm1(x), special.powm1(x, 0.3), special.exprel(-x / 9)],
        P,
    ),
    "spherical": (
        lambda x: [
            f(n, x, d)
            for f in (special.spherical_jn, special.spherical_yn, special.spherical_in, special.spherical_kn)
            for n in (0, 2)
            for d in (False, True)
        ],
        P,
    ),
    "lambertw": (lambda x: parts_of(special.lambertw(x), special.lambertw(-x / 20, -1)), P),
    "harmonics": (
        lambda x: [
            *(np.real(special.sph_harm_y(2, 1, x, 0.3)), special.sph_legendre_p(2, 1, x)),
            *(special.legendre_p(2, x), special.assoc_legendre_p(2, 1, x / 9)),
        ],
        S,
    ),
    "diric": (lambda x: [special.diric(np.append(x, [0.0, 2 * np.pi, -4 * np.pi]), n) for n in (1, 2, 5, 8)], V),
    "perm, zeta": (lambda x: [special.perm(7, 3 * x), special.zeta(2.5, x), special.zeta([2, 3, 4], x[:3])], S),
    "betaincc, comb, factorial": (
        lambda x: [special.betaincc(1.5, 2.5, x), special.comb(7, 3 * x), special.factorial(x)],
        S,
    ),
    "distance_matrix": (lambda x, y: [distances_by_powers(x, y, p) for p in (1, 2, 3)], X, Y),
    "cdist": (
        lambda x, y: [distance.cdist(x, y, m) for m in ("euclidean", "sqeuclidean", "cityblock", "cosine", "canberra")],
        X,
        Y,
    ),
    "cdist of others": (
        lambda x, y: [
            distance.cdist(x, y, "minkowski", p=3),
            distance.cdist(x, y, "chebyshev"),
            distance.cdist(x, y, "correlation"),
            distance.cdist(x, y, "mahalanobis", VI=D[:3, :3]),
            distance.cdist(x, y, "seuclidean", V=P[:3]),
            distance.cdist(x, y, metric="braycurtis"),
        ],
        X,
        Y,
    ),
    "jensenshannon": (
        lambda x, y: [
            distance.cdist(x**2 + 0.1, y**2 + 0.2, "jensenshannon"),
            distance.jensenshannon(x**2 + 0.1, y[:1] ** 2 + 0.2, 2.0, axis=1),
        ],
        X,
        X[::-1] + 0.3,
    ),
    "pdist": (lambda x: [distance.pdist(x), distance.squareform(distance.pdist(x, "sqeuclidean"))], X),
    "distances": (lambda x, y: distance.euclidean(x, y) + distance.cosine(x, y) + distance.cityblock(x, y), X[0], Y[0]),
    "convolve": (lambda x, y: [signal.convolve(x, y, m) for m in ("full", "same", "valid")], V, P[:3]),
    "fftconvolve": (lambda x, y: signal.fftconvolve(x, y, "same") + signal.oaconvolve(x, y, "same"), IMAGE, Y),
    "convolve2d": (lambda x, y: signal.convolve2d(x, y) + signal.correlate2d(x, y), IMAGE, Y),
    "convolve2d beyond edges": (
        lambda x, y: [
            f(x, z, m, boundary=b, **more)
            for f in (getattr(signal, name) for name in ("convolve2d", "correlate2d"))
            for z in (y, y[:2, :2])
            for m in ("full", "same", "valid")
            for b, more in (("wrap", {}), ("symm", {}), ("fill", {"fillvalue": 1.5}))
        ],
        IMAGE,
        Y,
    ),
    "correlate of complex numbers": (
        lambda x, y: [
            part(f(x * (1 + 2j), z * (2 - 1j), m))
            for part in (np.real, np.imag)
            for f, z in ((signal.correlate, y), (signal.correlate2d, y[:2, :2]))
            for m in ("full", "same", "valid")
        ],
        IMAGE,
        Y,
    ),
    "correlate": (lambda x, y: [signal.correlate(x, y, m) for m in ("full", "same", "valid")], V, P[:3]),
    "lfilter": (lambda b, a, x: signal.lfilter(b, a, x), P[:3], P[:4], V),
    "lfilter of rows": (lambda a, x: signal.lfilter([1.0, 0.5], a, x, axis=0), P[:3], IMAGE),
    "lfilter without feedback": (lambda b, x: signal.lfilter(b, [2.0], x), P[:3], IMAGE),
    "lfilter with a state": (lambda x, z: signal.lfilter([1.0, 0.5], [1.0, -0.3, 0.2], x, zi=z), V, P[:2]),
    "detrend": (lambda x: [signal.detrend(x), signal.detrend(x, axis=0, type="constant")], IMAGE),
    "gaussian_filter": (lambda x: [ndimage.gaussian_filter(x, s) for s in (0.7, (1.5, 0.4), 2.5)], IMAGE),
    "gaussian_filter edges": (
        lambda x: [ndimage.gaussian_filter(x, 0.8, mode=m) for m in ("mirror", "nearest", "wrap", "constant")],
        IMAGE,
    ),
    "gaussian_filter1d": (lambda x: [ndimage.gaussian_filter1d(x, 1.2, axis=0, order=k) for k in (0, 1, 2)], IMAGE),
    "correlate1d": (
        lambda x, w: [ndimage.correlate1d(x, w[:k], axis=0) + ndimage.convolve1d(x, w[:k], axis=0) for k in (3, 4)],
        IMAGE,
        V,
    ),
    "uniform_filter": (
        lambda x: [ndimage.uniform_filter(x, 3), ndimage.uniform_filter(x, (2, 4)), ndimage.uniform_filter1d(x, 3)],
        IMAGE,
    ),
    "map_coordinates beyond edges": (
        lambda x, c: [
            ndimage.map_coordinates(x, 3.0 * c - 4.137, order=1, mode=m, cval=0.3)
            for m in ("reflect", "grid-mirror", "mirror", "wrap", "grid-wrap", "grid-constant")
        ],
        IMAGE,
        np.stack([P * 3, P * 4]),
    ),
    "map_coordinates": (
        lambda x, c: [ndimage.map_coordinates(x, c, order=1, mode=m) for m in ("constant", "nearest")],
        IMAGE,
        np.array([[0.3, 1.2, 3.9, -0.5], [2.2, 5.9, 0.1, 3.3]]),
    ),
    "trapezoid": (
        lambda y, x: integrate.trapezoid(y, x) + integrate.trapezoid(y, dx=0.1) + integrate.cumulative_trapezoid(y, x),
        V,
        T,
    ),
    "cumulative_trapezoid": (lambda y: integrate.cumulative_trapezoid(y, T[:5], axis=0, initial=0), IMAGE),
    "simpson": (lambda y: [integrate.simpson(y, x=T), integrate.simpson(y[:5], dx=0.3), integrate.simpson(y)], V),
    "sparse": (lambda w: [SPARSE @ w, SPARSE.tocsc() @ w, SPARSE.tobsr() @ w, SPARSE.todia().dot(w)], P[:4]),
    "sparse transposed": (lambda w: [SPARSE.T @ w, w @ SPARSE, w @ sparse.coo_array(SPARSE), SPARSE.T * w], P[:5]),
    "sparse and a matrix": (lambda w: [SPARSE @ w, w.T @ SPARSE.T], B),
    "spsolve": (lambda b: sparse.linalg.spsolve(DEFINITE, b), V),
    "spsolve of many": (lambda b: sparse.linalg.spsolve(MANY, b[:, :1]) + sparse.linalg.spsolve(MANY, b[:, 1]), MANY_B),
    "splu": (lambda b: [SYSTEMS.splu(MANY).solve(b, t) for t in ("N", "T", "H")], MANY_B),
    "splu captured": (lambda b: [MANY_LU.solve(b), MANY_LU.solve(b[:, 0], trans="T")], MANY_B),
    "factorized": (lambda b: [MANY_SOLVED(b), sparse.linalg.factorized(MANY)(b[:, 1])], MANY_B),
    "iterated": (
        lambda b: [
            getattr(SYSTEMS, name)(DEFINITE + DEFINITE.T, b, rtol=1e-14)[0]
            for name in ("bicg", "bicgstab", "cg", "cgs", "gcrotmk", "gmres", "lgmres", "minres", "qmr", "tfqmr")
        ],
        V,
    ),
    "spsolve_triangular": (
        lambda b: [
            sparse.linalg.spsolve_triangular(MANY_LU.U, b, lower=False),
            sparse.linalg.spsolve_triangular(MANY_LU.L, b[:, 0], unit_diagonal=True),
        ],
        MANY_B,
    ),
}
