"""Functions of scipy.linalg called as their authors do, by the names that SciPy gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg

from tests.numpy.scipy_calls.values import ARE, LU, A, B, D, P, T, V, parts_of

CALLS: dict[str, tuple[Any, ...]] = {
    "solve": (lambda a, b: linalg.solve(a, b), A, B),
    "solve of a definite one": (lambda a, b: linalg.solve(a, b, assume_a="pos"), D, B),
    "solve transposed": (lambda a, b: linalg.solve(a, b, transposed=True), A, B[:, 0]),
    "inv, det, pinv": (lambda a: [linalg.inv(a), linalg.det(a), linalg.pinv(a)], A),
    "norm": (lambda a: [linalg.norm(a), linalg.norm(a, 2), linalg.norm(a[0], 1)], A),
    "cholesky": (lambda a: [linalg.cholesky(a), linalg.cholesky(a, lower=True)], D),
    "cho_solve": (lambda a, b: linalg.cho_solve(linalg.cho_factor(a), b, check_finite=False), D, B),
    "cho_solve lower": (lambda a, b: linalg.cho_solve(linalg.cho_factor(a, lower=True), b), D, B[:, 1]),
    "lu_solve": (lambda b: [linalg.lu_solve(LU, b), linalg.lu_solve(LU, b, trans=1)], B),
    "solve_triangular": (lambda a, b: linalg.solve_triangular(a, b, lower=True), D, B),
    "rq": (lambda a: [*linalg.rq(a), *linalg.rq(a[:2], mode="economic"), linalg.rq(a, mode="r")], A),
    "expm, polar": (lambda a: [linalg.expm(a), *linalg.polar(a)], A),
    "eigh": (lambda a: linalg.eigh(a, eigvals_only=True) + linalg.eigvalsh(a, lower=False), D),
    "eigh of a pair": (
        lambda a, b: linalg.eigh(a, b @ b.T + a)[0] + linalg.eigvalsh(a, np.diag(P[:4]), lower=False),
        D,
        A,
    ),
    "vectors of a pair": (lambda a: np.abs(linalg.eigh(A + A.T, a, subset_by_index=[1, 2])[1]), D),
    "eigvalsh_tridiagonal": (lambda d, e: linalg.eigvalsh_tridiagonal(d, e), P, V[:5]),
    "eig_banded": (lambda b: [linalg.eigvals_banded(b), np.abs(linalg.eig_banded(b, lower=True)[1])], B.T),
    "a unit diagonal": (lambda a, b: linalg.solve_triangular(a, b, trans=1, unit_diagonal=True), A, B),
    "svdvals": (lambda a: linalg.svdvals(a), B),
    "qr": (lambda a: linalg.qr(a, mode="economic"), A),
    "lstsq": (lambda a, b: linalg.lstsq(a, b)[0], B, V[:4]),
    "block_diag": (lambda a, b: linalg.block_diag(a, b, [[1.0]]), A, B),
    "toeplitz": (lambda c: [linalg.toeplitz(c), linalg.toeplitz(c, c[:3] * 2)], V),
    "hankel": (lambda c: [linalg.hankel(c), linalg.hankel(c, c[:3] * 2)], V),
    "circulant, companion": (lambda c: [linalg.circulant(c), linalg.companion(c)], V),
    "toeplitz solved": (lambda c, b: linalg.solve_toeplitz(c, b) + linalg.matmul_toeplitz(c, b), P + 9 * (T == 0), V),
    "solve_banded": (lambda r, b: linalg.solve_banded((1, 2), r, b), A + 9 * (np.arange(4) == 2)[:, None], B),
    "solveh_banded": (lambda r, b: linalg.solveh_banded(r, b), np.abs(A[:2]) + np.array([[0], [9]]), B),
    "solveh_banded lower": (
        lambda r, b: linalg.solveh_banded(r, b[:, 0], lower=True),
        np.abs(A[:3]) + np.array([[9], [0], [0]]),
        B,
    ),
    "solve_banded of three": (
        lambda r, b: linalg.solve_banded((1, 1), r, b[:, 1]),
        A[:3] + 9 * (np.arange(3) == 1)[:, None],
        B,
    ),
    "eigh_tridiagonal": (lambda d, e: linalg.eigh_tridiagonal(d, e, eigvals_only=True), P, V[:5]),
    "expm_frechet": (lambda a, e: linalg.expm_frechet(a, e)[1] + linalg.expm_frechet(a, e, compute_expm=False), A, D),
    "cosm, sinm, tanm": (lambda a: [linalg.cosm(a), linalg.sinm(a), linalg.tanm(0.3 * a)], A),
    "coshm, sinhm, tanhm": (lambda a: [linalg.coshm(a), linalg.sinhm(a), linalg.tanhm(a)], A),
    "solve_discrete_lyapunov": (
        lambda a, q: [linalg.solve_discrete_lyapunov(0.2 * a, q, method=m) for m in (None, "bilinear")],
        A,
        D,
    ),
    "pinvh": (lambda a: [linalg.pinvh(a), linalg.pinvh(a, lower=False)], D),
    "orthogonal_procrustes": (lambda a, b: linalg.orthogonal_procrustes(a, b), A, D),
    "khatri_rao": (lambda a, b: linalg.khatri_rao(a, b[:2]), A, D),
    "leslie, fiedler": (lambda f: [linalg.leslie(f, f[1:]), linalg.fiedler(f)], V),
    "convolution_matrix": (lambda a: [linalg.convolution_matrix(a, 4, m) for m in ("full", "same", "valid")], V),
    "solve_circulant": (lambda c, b: linalg.solve_circulant(c, b), P + 9 * (T == 0), V),
    "cholesky_banded": (
        lambda r, b: [
            linalg.cho_solve_banded((linalg.cholesky_banded(r), False), b),
            linalg.cholesky_banded(r[::-1], lower=True)[0],
        ],
        np.abs(A[:2]) + np.array([[0], [9]]),
        B,
    ),
    "cho_solve_banded": (
        lambda c, b: [linalg.cho_solve_banded((c, False), b), linalg.cho_solve_banded((c[::-1], True), b[:, 0])],
        np.abs(A[:2]) + np.array([[0], [9]]),
        B,
    ),
    "eig": (lambda a: parts_of(linalg.eig(a)[0], linalg.eig(a)[1], linalg.eigvals(a, D)), A),
    "eig right": (lambda a: parts_of(linalg.eig(a, right=False)), A),
    "sqrtm": (lambda a: linalg.sqrtm(a @ D), D),
    "logm": (lambda a: [linalg.logm(a @ D), linalg.fractional_matrix_power(a @ D, 0.3)], D),
    "a whole power": (lambda a: linalg.fractional_matrix_power(a, 3), A),
    "lu": (lambda a: [*linalg.lu(a)[1:], *linalg.lu(a, permute_l=True), linalg.lu(a, p_indices=True)[1]], A),
    "lu_factor": (lambda a: linalg.lu_factor(a)[0], A),
    "lu_solve of traced factors": (
        lambda a, b: [linalg.lu_solve(linalg.lu_factor(a), b, trans=k) for k in (0, 1)] + [linalg.lu_factor(a)[0]],
        A,
        B,
    ),
    "solve_continuous_are": (lambda a, b, q, r: linalg.solve_continuous_are(a, b, q @ q.T, r @ r.T + D[:3, :3]), *ARE),
    "solve_discrete_are": (lambda a, b, q, r: linalg.solve_discrete_are(a, b, q @ q.T, r @ r.T + D[:3, :3]), *ARE),
    "sylvester": (lambda a, q: linalg.solve_sylvester(a, a, q) + linalg.solve_continuous_lyapunov(a, q), D, A),
}
