"""Calls of NumPy functions of complex numbers, and of Fourier transforms: the function of the arguments, and these."""

from __future__ import annotations

import numpy as np

from tests.numpy.operands import SS, A, C, Call, F, S, U, V

Z = V + 1j * np.cos(np.arange(float(V.size)))
W = A * (1.0 + 0.5j) + 1j * np.sin(A)
T = SS + 0.25j * np.cos(SS)
"""Matrices that can be inverted."""
NORMS = (None, "ortho", "forward")


def _each(function, *operands) -> list[Call]:
    """Plainly, cut off, filled up, along another axis, and with each norm."""
    return [
        *((function, x) for x in operands),
        *((lambda x, n=n: function(x, n), operands[0]) for n in (3, 9)),
        *((lambda x, n=n: function(x, 4, axis=0, norm=n), operands[-1]) for n in NORMS),
    ]


def _grid(function, *operands) -> list[Call]:
    """Plainly, in another size, along other axes, and with each norm."""
    return [
        *((function, x) for x in operands),
        *((lambda x, n=n: function(x, s=(3, 4), axes=(-1, 0), norm=n), operands[0]) for n in NORMS),
        (lambda x: function(x, axes=(0, 1)), operands[0]),
    ]


FOURIER: dict[str, list[Call]] = {
    "np.fft.fft": _each(np.fft.fft, V, Z, W),
    "np.fft.ifft": _each(np.fft.ifft, Z, V, W),
    "np.fft.rfft": _each(np.fft.rfft, V, V.astype(np.float32), A),
    "np.fft.irfft": _each(np.fft.irfft, Z, Z.astype(np.complex64), W),
    "np.fft.hfft": _each(np.fft.hfft, Z, V, W),
    "np.fft.ihfft": _each(np.fft.ihfft, V, U, A),
    "np.fft.fft2": _grid(np.fft.fft2, W, C),
    "np.fft.ifft2": _grid(np.fft.ifft2, W, C),
    "np.fft.rfft2": _grid(np.fft.rfft2, A, C),
    "np.fft.irfft2": _grid(np.fft.irfft2, W, C),
    "np.fft.fftn": [*_grid(np.fft.fftn, W, C), (lambda x: np.fft.fftn(x, s=(2, -1), axes=(0, 1)), C)],
    "np.fft.ifftn": _grid(np.fft.ifftn, W, C),
    "np.fft.rfftn": _grid(np.fft.rfftn, A, C),
    "np.fft.irfftn": _grid(np.fft.irfftn, W, C),
}

COMPLEX: dict[str, list[Call]] = {
    "np.real": [(np.real, Z), (lambda x: x.real, W)],
    "np.imag": [(np.imag, Z), (lambda x: x.imag, W), (lambda x: x.imag, A)],
    "np.angle": [(np.angle, Z), (lambda x: np.angle(x, deg=True), W)],
    "np.iscomplex": [(np.iscomplex, np.array([1.0, 2.0j]))],
    "np.isreal": [(np.isreal, np.array([1.0, 2.0j]))],
    "np.nan_to_num": [(np.nan_to_num, np.array([complex(np.nan, 1.0), complex(2.0, -np.inf)]))],
    "np.sum": [(np.sum, W), (lambda x: np.sum(x * 1j), V), (lambda x: np.sum(x, dtype=complex), V)],
    "np.prod": [(lambda x: np.prod(x, axis=0), W)],
    "np.mean": [(np.mean, W)],
    "np.var": [(np.var, W), (lambda x: np.var(x, axis=0, ddof=1), W)],
    "np.std": [(np.std, W)],
    "np.nanvar": [(np.nanvar, W)],
    "np.cov": [(np.cov, W)],
    "np.average": [(np.average, W)],
    "np.cumsum": [(np.cumsum, W)],
    "np.cumprod": [(np.cumprod, Z)],
    "np.dot": [(np.dot, Z, V), (np.dot, W, W.T)],
    "np.vdot": [(np.vdot, Z, V), (np.vdot, V, Z), (np.vdot, W, W[::-1])],
    "np.linalg.vecdot": [(np.linalg.vecdot, W, W[::-1]), (np.linalg.vecdot, A, W)],
    "np.inner": [(np.inner, Z, Z)],
    "np.outer": [(np.outer, Z, V)],
    "np.kron": [(np.kron, W, W[0])],
    "np.einsum": [(lambda x, y: np.einsum("ij,kj->ik", x, y), W, W.conj())],
    "np.tensordot": [(lambda x, y: np.tensordot(x, y, 1), W, W.T)],
    "np.convolve": [(np.convolve, Z, U * 1j)],
    "np.correlate": [(lambda x, y, m=m: np.correlate(x, y, m), Z, U * (1 + 2j)) for m in ("full", "same", "valid")]
    + [(np.correlate, Z[:2], Z)],
    "np.linalg.solve": [(np.linalg.solve, T, T[..., :2]), (np.linalg.solve, S, T[0])],
    "np.linalg.inv": [(np.linalg.inv, T), (np.linalg.inv, T.astype(np.complex64))],
    "np.linalg.det": [(np.linalg.det, T)],
    "np.linalg.slogdet": [(np.linalg.slogdet, T)],
    "np.linalg.cholesky": [
        (lambda x: np.linalg.cholesky(x @ x.conj().mT), T),
        (lambda x: np.linalg.cholesky(x @ x.conj().mT, upper=True), T),
    ],
    "np.linalg.qr": [(np.linalg.qr, T), (np.linalg.qr, W), (lambda x: np.linalg.qr(x, mode="r"), W.T)],
    "np.linalg.pinv": [
        (np.linalg.pinv, T),
        (np.linalg.pinv, T.astype(np.complex64)),
        (lambda x: np.linalg.pinv(x + x.conj().mT, hermitian=True), T),
    ],
    "np.linalg.lstsq": [
        (lambda a, b: np.linalg.lstsq(a, b, rcond=None), T[0][:, :2], T[1]),
        (lambda a, b: np.linalg.lstsq(a, b, rcond=None), T[0][:2], T[1][:2, 0]),
        (lambda a, b: np.linalg.lstsq(a, b, rcond=None), T[0], S[0]),
    ],
    "np.linalg.eigh": [(lambda x: np.linalg.eigh(x + x.conj().mT), T)],
    "np.linalg.eigvalsh": [(lambda x, u=u: np.linalg.eigvalsh(x, UPLO=u), T) for u in "LU"],
    "np.linalg.svdvals": [(np.linalg.svdvals, T), (np.linalg.svdvals, W)],
    "np.linalg.svd": [(lambda x: np.linalg.svd(x, compute_uv=False), W)],
    "np.linalg.cond": [(np.linalg.cond, T), (lambda x: np.linalg.cond(x, 1), T)],
    "np.linalg.matrix_rank": [(np.linalg.matrix_rank, W)],
    "np.linalg.matrix_power": [
        (lambda x: np.linalg.matrix_power(x, 3), T[0]),
        (lambda x: np.linalg.matrix_power(x, -2), T),
    ],
    "np.linalg.norm": [
        (np.linalg.norm, Z),
        (np.linalg.norm, W),
        (lambda x: np.linalg.norm(x, 1, axis=0), W),
        (lambda x: np.linalg.norm(x, 2), W),
        (lambda x: np.linalg.norm(x, "nuc"), W),
        (lambda x: np.linalg.norm(x, 0), Z),
        (lambda x: np.linalg.norm(x, 3), Z),
        (lambda x: np.linalg.norm(x, np.inf), W),
    ],
    "np.where": [(lambda x: np.where(np.abs(x) > 1, x, 0), W)],
    "np.concatenate": [(lambda x: np.concatenate([x, x.real]), W)],
    "np.isclose": [(lambda x: np.isclose(x, x + 1e-9j), W)],
    "np.linspace": [(lambda x: np.linspace(x[0], x[1], 4), Z)],
    "np.iscomplexobj": [(lambda x: x * np.iscomplexobj(x), Z)],
    "np.isrealobj": [(lambda x: x * np.isrealobj(x), V)],
    "np.linalg.tensorsolve": [(np.linalg.tensorsolve, T[0], T[0][0])],
    "np.vander": [(np.vander, Z)],
    "np.polyval": [(np.polyval, Z, F)],
    "np.trace": [(np.trace, T[0])],
    "np.diff": [(np.diff, Z)],
    "np.gradient": [(np.gradient, Z)],
    "np.pad": [(lambda x: np.pad(x, 2), Z), (lambda x: np.pad(x, 1, mode="wrap"), W)],
    "np.take": [(lambda x: np.take(x, [0, -1], axis=1), W)],
    "np.flip": [(np.flip, W)],
}
