"""Functions of scipy.sparse.linalg called as their authors do: SciPy's own are asked for all the digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse.linalg
from scipy import sparse

SYSTEMS: Any = scipy.sparse.linalg
_RNG = np.random.default_rng(5)
A = _RNG.normal(size=(6, 6))
D = A @ A.T + 3 * np.eye(6)
TALL = _RNG.normal(size=(6, 4))
V = _RNG.normal(size=6)
W = _RNG.normal(size=4)
HELD: Any = sparse.csr_matrix(np.where(np.abs(TALL) > 0.3, TALL, 0.0))
SQUARE: Any = sparse.csc_array(np.where(np.abs(A) > 0.5, A, 0.0))
DEFINITE = ("cg", "bicg", "bicgstab", "cgs", "gmres", "lgmres", "minres", "qmr", "gcrotmk", "tfqmr")
EXACT = {"atol": 1e-15, "btol": 1e-15}


def _solved(a: Any, b: Any) -> list[Any]:
    whole = a @ a.T + 3 * np.eye(6)
    found = [getattr(SYSTEMS, name)(whole, b, rtol=1e-14)[0] for name in DEFINITE]
    shifted = SYSTEMS.minres(a + a.T, b, shift=0.3, rtol=1e-15, maxiter=500)[0]
    return [*found, SYSTEMS.cg(whole, b[:, None], np.ones(6), rtol=1e-14, maxiter=99)[0], shifted]


def _nearest(a: Any, b: Any) -> list[Any]:
    solved = SYSTEMS.lsqr(a, b, **EXACT), SYSTEMS.lsqr(a, b, 0.7, x0=W, **EXACT), SYSTEMS.lsqr(HELD, b, **EXACT)
    others = SYSTEMS.lsmr(a, b, **EXACT), SYSTEMS.lsmr(a, b, 0.7, **EXACT), SYSTEMS.lsmr(a.T, W * b[:4], **EXACT)
    return [
        *(part for x in solved[:2] for part in (x[0], x[3], x[4], x[8])),
        *(solved[2][0], solved[1][7] * b[0]),
        *(part for x in others[:2] for part in (x[0], x[3], x[7])),
        others[2][0],
    ]


def _values(a: Any) -> list[Any]:
    symmetric = a + a.T
    alone = [
        SYSTEMS.eigsh(symmetric, k, which=which, return_eigenvectors=False)
        for which in ("LM", "SM", "LA", "SA", "BE")
        for k in (2, 3)
    ]
    pairs = [SYSTEMS.eigsh(symmetric, 3, which=which) for which in ("LM", "SM", "LA", "SA", "BE")]
    pairs += [SYSTEMS.eigsh(symmetric, 2, D), SYSTEMS.eigsh(symmetric, 2, sigma=0.3)]
    return [*alone, *(part for w, v in pairs for part in (w, v**2))]


CALLS: dict[str, tuple[Any, ...]] = {
    "solved by iterations": (_solved, A, V),
    "nearest by iterations": (_nearest, TALL, V),
    "some eigenvalues": (_values, A),
    "expm_multiply": (
        lambda a, b: [
            *(SYSTEMS.expm_multiply(a, b[:, 0]), SYSTEMS.expm_multiply(0.3 * a, b), SYSTEMS.expm_multiply(SQUARE, b)),
            SYSTEMS.expm_multiply(a, b, 0.2, 1.1, 4),
            SYSTEMS.expm_multiply(SQUARE, b[:, 1], start=0.0, stop=1.0, num=3, endpoint=False),
        ],
        0.5 * A,
        TALL,
    ),
}
