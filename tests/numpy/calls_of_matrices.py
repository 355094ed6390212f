"""Calls of np.linalg beyond square systems: factors, eigenvalues, singular values, least squares."""

from __future__ import annotations

import numpy as np

from tests.numpy.operands import SS, A, C, Call, D, F, K, S, U, V

SYMMETRIC, TALL, WIDE = S + S.T, A.T, A
TENSOR = np.cos(np.arange(36.0)).reshape(2, 3, 6) + np.eye(6).reshape(2, 3, 6)

CALLS: dict[str, list[Call]] = {
    "np.linalg.eigh": [
        (lambda x: np.linalg.eigh(x + x.T), S),
        (lambda x: np.linalg.eigh(x + x.mT).eigenvectors, SS),
        (lambda x: np.linalg.eigh(x + x.T, "U")[0], S),
        (lambda x: np.linalg.eigh(x @ x.T).eigenvalues, K),
    ],
    "np.linalg.eigvalsh": [
        (lambda x: np.linalg.eigvalsh(x + x.T), S),
        (lambda x: np.linalg.eigvalsh(x + x.mT), SS),
        (lambda x: np.linalg.eigvalsh(x @ x.T), F),
    ],
    "np.linalg.eig": [
        (lambda x: np.linalg.eig(x + 0j), S),
        (lambda x: np.linalg.eig(x + 1j * x.mT).eigenvectors, SS),
        (lambda x: np.linalg.eig(x)[0].real, F[:, :3]),
    ],
    "np.linalg.eigvals": [(lambda x: np.linalg.eigvals(x + 0j), S), (lambda x: np.abs(np.linalg.eigvals(x)), K[:, :2])],
    "np.roots": [
        (lambda p: np.roots(p + (2.0 + 0j)), V),
        (lambda p: np.roots(p[:2] + 2.0).real, V),
        (lambda p: np.roots(p[:1]).shape[0] * p, V),
    ],
    "np.poly": [(np.poly, V), (lambda x: np.poly(x * (1 + 0.3j)), U), (lambda x: np.poly(x).real, S)],
    "np.linalg.svd": [
        (np.linalg.svd, S),
        (lambda x: np.linalg.svd(x, full_matrices=False), TALL),
        (lambda x: np.linalg.svd(x, False).U, WIDE),
        (lambda x: np.linalg.svd(x, full_matrices=False)[2], C),
        (lambda x: np.linalg.svd(x, compute_uv=False), C),
        (lambda x: np.linalg.svd(x + x.T, compute_uv=False, hermitian=True), S),
        (lambda x: np.linalg.svd(x, full_matrices=False).S, F),
    ],
    "np.linalg.svdvals": [(np.linalg.svdvals, A), (np.linalg.svdvals, C), (np.linalg.svdvals, F)],
    "np.linalg.qr": [
        (np.linalg.qr, S),
        (np.linalg.qr, TALL),
        (lambda x: np.linalg.qr(x).Q, WIDE),
        (lambda x: np.linalg.qr(x).R, C),
        (lambda x: np.linalg.qr(x, mode="r"), TALL),
        (lambda x: np.linalg.qr(x, mode="complete"), WIDE),
    ],
    "np.linalg.pinv": [
        (np.linalg.pinv, TALL),
        (np.linalg.pinv, C),
        (np.linalg.pinv, F),
        (lambda x: np.linalg.pinv(x + x.T, hermitian=True), S),
        (lambda x: np.linalg.pinv(x, rtol=1e-3), WIDE),
    ],
    "np.linalg.lstsq": [
        (np.linalg.lstsq, TALL, V[:4]),
        (np.linalg.lstsq, TALL, D),
        (np.linalg.lstsq, WIDE, U[:3]),
        (lambda a, b: np.linalg.lstsq(a, b, rcond=1e-3), S, A),
        (lambda a, b: np.linalg.lstsq(a, b, rcond=None), F.T, F[:2].T),
    ],
    "np.linalg.matrix_rank": [
        (np.linalg.matrix_rank, A),
        (np.linalg.matrix_rank, C),
        (lambda x: np.linalg.matrix_rank(x @ x.T), TALL),
        (lambda x: np.linalg.matrix_rank(x, tol=1.0), A),
        (lambda x: np.linalg.matrix_rank(x, rtol=0.5), C),
    ],
    "np.linalg.cond": [
        *((lambda x, p=p: np.linalg.cond(x, p), S) for p in (None, 1, -1, 2, -2, np.inf, -np.inf, "fro")),
        (np.linalg.cond, TALL),
        (np.linalg.cond, SS),
        (lambda x: np.linalg.cond(x, 1), SS),
        (lambda x: np.linalg.cond(x, "nuc"), S),
    ],
    "np.linalg.tensorsolve": [
        (np.linalg.tensorsolve, TENSOR, A[:2, :3]),
        (lambda a, b: np.linalg.tensorsolve(a, b, axes=(0,)), np.moveaxis(TENSOR, 2, 0), A[:2, :3]),
        (np.linalg.tensorsolve, S, V[:3]),
    ],
    "np.linalg.tensorinv": [
        (np.linalg.tensorinv, TENSOR),
        (lambda x: np.linalg.tensorinv(x, ind=1), np.moveaxis(TENSOR, 2, 0)),
    ],
}
"""By name; a call is the function and its traced arguments."""
NORMS: list[Call] = [
    *((lambda x, p=p: np.linalg.norm(x, p), WIDE) for p in ("nuc", 2, -2)),
    (lambda x: np.linalg.norm(x, "nuc", axis=(2, 0)), C),
    (lambda x: np.linalg.norm(x, 2, axis=(0, 1), keepdims=True), C),
    (lambda x: np.linalg.matrix_norm(x, ord=2), C),
    (lambda x: np.linalg.matrix_norm(x, ord="nuc", keepdims=True), SS),
]
"""Norms by singular values."""
