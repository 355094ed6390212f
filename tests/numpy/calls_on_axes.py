"""Calls of NumPy functions that move elements and multiply matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.numpy.calls_of_matrices import NORMS
from tests.numpy.operands import R3, SS, T3, A, B, C, Call, D, F, K, P, S, U, V

linalg: Any = np.linalg  # the stubs of vecdot know no axis
sliding_window_view = np.lib.stride_tricks.sliding_window_view

CALLS: dict[str, list[Call]] = {
    # shapes
    "np.reshape": [
        (lambda x: np.reshape(x, (2, -1)), A),
        (lambda x: np.reshape(x, 12), A),
        (lambda x: np.reshape(x, ()), 1.5),
    ],
    "np.ravel": [(np.ravel, C), (np.ravel, 2.5)],
    "np.transpose": [(np.transpose, C), (lambda x: np.transpose(x, (1, -1, 0)), C), (np.transpose, V)],
    "np.permute_dims": [(lambda x: np.permute_dims(x, (2, 0, 1)), C)],
    "np.matrix_transpose": [(np.matrix_transpose, C)],
    "np.linalg.matrix_transpose": [(np.linalg.matrix_transpose, C)],
    "np.swapaxes": [(lambda x: np.swapaxes(x, 0, -1), C)],
    "np.moveaxis": [(lambda x: np.moveaxis(x, 0, -1), C), (lambda x: np.moveaxis(x, (0, 1), (2, 0)), C)],
    "np.rollaxis": [(lambda x: np.rollaxis(x, 2), C), (lambda x: np.rollaxis(x, 0, 3), C)]
    + [(lambda x, k=k: np.rollaxis(x, 1, k), C) for k in range(-3, 4)],
    "np.squeeze": [(np.squeeze, C[:1, :, :1]), (lambda x: np.squeeze(x, axis=-1), C[:1, :, :1])],
    "np.expand_dims": [(lambda x: np.expand_dims(x, 1), A), (lambda x: np.expand_dims(x, (0, -1)), A)],
    "np.broadcast_to": [(lambda x: np.broadcast_to(x, (2, 3, 4)), A), (lambda x: np.broadcast_to(x, 3), 1.5)],
    "np.broadcast_arrays": [(np.broadcast_arrays, A, V[:4], np.float64(2.0))],
    "np.atleast_1d": [(np.atleast_1d, 2.5), (np.atleast_1d, A, 1.0)],
    "np.atleast_2d": [(np.atleast_2d, 2.5), (np.atleast_2d, V), (np.atleast_2d, C)],
    "np.atleast_3d": [(np.atleast_3d, 2.5), (np.atleast_3d, V), (np.atleast_3d, A), (np.atleast_3d, C)],
    "np.flip": [(np.flip, A), (lambda x: np.flip(x, 1), A), (lambda x: np.flip(x, (0, -1)), C)],
    "np.flipud": [(np.flipud, A)],
    "np.fliplr": [(np.fliplr, A)],
    "np.rot90": [(lambda x, k=k: np.rot90(x, k), A) for k in range(-1, 5)] + [(lambda x: np.rot90(x, axes=(2, 1)), C)],
    "np.roll": [
        (lambda x: np.roll(x, 2), A),
        (lambda x: np.roll(x, -1, axis=1), A),
        (lambda x: np.roll(x, (1, 2), (0, 1)), A),
        (lambda x: np.roll(x, 1, (0, 1)), A),
    ],
    "np.tile": [(lambda x: np.tile(x, 3), V), (lambda x: np.tile(x, (2, 1, 3)), A)],
    "np.repeat": [
        (lambda x: np.repeat(x, 2), A),
        (lambda x: np.repeat(x, 3, axis=1), A),
        (lambda x: np.repeat(x, [1, 0, 2], axis=0), A),
        (lambda x: np.repeat(x, np.arange(5)), V),
    ],
    "np.meshgrid": [
        (np.meshgrid, V, U[:3]),
        (lambda x, y, z: np.meshgrid(x, y, z, indexing="ij"), V, U[:3], V[:2]),
        (lambda x, y: np.meshgrid(x, y, sparse=True), V, U[:3]),
    ],
    "np.copy": [(np.copy, A)],
    "np.shape": [(lambda x: x * np.shape(x)[1], A)],
    "np.ndim": [(lambda x: x * np.ndim(x), A)],
    "np.size": [(lambda x: x * np.size(x) + np.size(x, 1), A)],
    "np.lib.stride_tricks.sliding_window_view": [
        (lambda x: sliding_window_view(x, 3), V),
        (lambda x: sliding_window_view(x, (2, 2)), A),
        (lambda x: sliding_window_view(x, 2, axis=0), A),
    ],
    # joining and cutting
    "np.concatenate": [
        (lambda x, y: np.concatenate([x, y]), A, B),
        (lambda x, y: np.concatenate((x, y), axis=1), A, K[:1].repeat(3, 0)),
        (lambda x, y: np.concatenate([x, y], axis=None), A, V),
        (lambda x: np.concatenate(x), C),
        (lambda x, y: np.concatenate([x, y], dtype=np.float32), A, B),
    ],
    "np.concat": [(lambda x, y: np.concat([x, y]), V, U)],
    "np.stack": [
        (lambda x, y: np.stack([x, y]), A, B),
        (lambda x, y: np.stack([x, y], axis=-1), A, F),
        (lambda x: np.stack([x, 1.0, x * x]), 2.5),
    ],
    "np.vstack": [(lambda x, y: np.vstack([x, y]), A, V[:4]), (lambda x, y: np.vstack([x, y]), V, U)],
    "np.hstack": [
        (lambda x, y: np.hstack([x, y]), V, U),
        (lambda x, y: np.hstack([x, y]), A, B),
        (lambda x: np.hstack([x, x]), 1.5),
    ],
    "np.dstack": [(lambda x, y: np.dstack([x, y]), A, B), (lambda x, y: np.dstack([x, y]), V, U)],
    "np.column_stack": [(lambda x, y: np.column_stack([x, y]), V[:3], A), (lambda x, y: np.column_stack([x, y]), V, U)],
    "np.append": [(np.append, A, V), (lambda x, y: np.append(x, y, axis=0), A, B), (lambda x: np.append(x, 1), V)],
    "np.block": [
        (lambda x, y: np.block([[x, y], [y, x]]), A, B),
        (lambda x, y: np.block([x, y]), V, U),
        (lambda x: np.block([[x, np.zeros((3, 2))], [np.ones((1, 6))]]), A),
    ],
    "np.split": [(lambda x: np.split(x, 2, axis=1), A), (lambda x: np.split(x, [1, 3, 9]), V)],
    "np.array_split": [(lambda x: np.array_split(x, 3), V), (lambda x: np.array_split(x, [2], axis=1), A)],
    "np.hsplit": [(lambda x: np.hsplit(x, 2), A), (lambda x: np.hsplit(x, [2]), V)],
    "np.vsplit": [(lambda x: np.vsplit(x, 3), A)],
    "np.dsplit": [(lambda x: np.dsplit(x, 2), C)],
    "np.unstack": [(np.unstack, A), (lambda x: np.unstack(x, axis=1), A)],
    "np.delete": [(lambda x: np.delete(x, 1, axis=0), A), (lambda x: np.delete(x, [0, -1]), V)],
    "np.insert": [
        (lambda x: np.insert(x, 2, 7.0), V),
        (lambda x, y: np.insert(x, [0, 3, 3], y), V, U[:3]),
        (lambda x, y: np.insert(x, 1, y, axis=1), A, V[:3]),
        (lambda x, y: np.insert(x, [1], y, axis=1), A, A[:, :1]),
        (lambda x: np.insert(x, slice(0, 4, 2), 1.5), V),
        (lambda x: np.insert(x, -1, 9, axis=0), K),
    ],
    "np.resize": [
        (lambda x: np.resize(x, (3, 5)), A),
        (lambda x: np.resize(x, 3), A),
        (lambda x: np.resize(x, (2, 0)), V),
    ],
    # indexing
    "np.take": [
        (lambda x: np.take(x, np.array([[0, 5], [11, -1]])), A),
        (lambda x: np.take(x, [3, 0, -2], axis=1), A),
        (lambda x: np.take(x, 1, axis=0), A),
        *[(lambda x, m=m: np.take(x, [-7, 2, 9], mode=m), V) for m in ("clip", "wrap")],
        (lambda x: np.take(x, np.argsort(V).tolist()), V),
        (lambda x: np.take(x, np.argmax(x, axis=1) - 3, axis=1), A),
        *[(lambda x, m=m: np.take(x, x[0] * 5, mode=m), K) for m in ("clip", "wrap")],
    ],
    "np.take_along_axis": [
        (lambda x, i: np.take_along_axis(x, i, axis=1), A, np.array([[0, 3], [-1, 1], [2, 2]])),
        (lambda x, i: np.take_along_axis(x, i, axis=0), A, np.array([[2, 0, -1, 1]])),
        (lambda x: np.take_along_axis(x, np.argmax(x, axis=1, keepdims=True), axis=1), A),
    ],
    "np.compress": [
        (lambda x: np.compress([True, False, True], x, axis=0), A),
        (lambda x: np.compress([False, True, True], x), A),
    ],
    "np.choose": [
        (lambda i, x, y: np.choose(i, [x, y]), np.array([1, 0, 1, 1]), A, B),
        *[(lambda i, x, m=m: np.choose(i, [x, 0.5], mode=m), np.array([-1, 0, 1, 5]), V[:4]) for m in ("clip", "wrap")],
    ],
    "np.histogram": [
        (lambda w: np.histogram(V, 3, weights=w), V),
        (lambda w: np.histogram(V, [-1.0, 0.0, 0.5], weights=w, density=True), V),
        (lambda w: np.histogram(P, 4, (0.6, 1.5), weights=w)[0], A),
    ],
    "np.bincount": [
        (lambda w: np.bincount([0, 3, 3, 1, 0], weights=w), V),
        (lambda w: np.bincount([0, 1], weights=w, minlength=4), K[0, :2]),
    ],
    "np.fft.fftshift": [(np.fft.fftshift, A), (lambda x: np.fft.fftshift(x, axes=1), A), (np.fft.fftshift, V)],
    "np.fft.ifftshift": [(np.fft.ifftshift, V), (lambda x: np.fft.ifftshift(x, axes=(0,)), A)],
    # products
    "np.dot": [
        (np.dot, A, D),
        (np.dot, V, U),
        (np.dot, C, D),
        (np.dot, A, 2.0),
        (np.dot, F, V[:4]),
        (np.dot, D.T, C.swapaxes(1, 2)),
    ],
    "np.vdot": [(np.vdot, A, B), (np.vdot, K, K)],
    "np.inner": [(np.inner, A, B), (np.inner, V, U), (np.inner, C, A), (np.inner, V, 2.0)],
    "np.outer": [(np.outer, V, U), (np.outer, A, V)],
    "np.linalg.outer": [(np.linalg.outer, V, U)],
    "np.kron": [(np.kron, A, D), (np.kron, V, A)],
    "np.tensordot": [
        (lambda x, y: np.tensordot(x, y, 1), A, D),
        (np.tensordot, A, B),
        (lambda x, y: np.tensordot(x, y, ([1, 2], [0, 1])), C, A),
        (lambda x, y: np.tensordot(x, y, axes=(1, 0)), A, D),
        (lambda x, y: np.tensordot(x, y, 0), A, D),
    ],
    "np.linalg.tensordot": [(lambda x, y: np.linalg.tensordot(x, y, axes=1), A, D)],
    "np.linalg.matmul": [(np.linalg.matmul, C, D)],
    "np.linalg.vecdot": [(np.linalg.vecdot, A, B), (lambda x, y: linalg.vecdot(x, y, axis=0), A, B)],
    "np.einsum": [
        (lambda x, y: np.einsum("ij,jk->ik", x, y), A, D),
        (lambda x: np.einsum("ii", x), S),
        (lambda x: np.einsum("ij->ji", x), A),
        (lambda x, y, z: np.einsum("aij,jk,i->ak", x, y, z, optimize=True), C, D, V[:3]),
        (lambda x, y: np.einsum("...i,...i", x, y), C, A),
        (lambda x, y: np.einsum("i,j", x, y), V, U),
        (lambda x: np.einsum("ij->", x), A),
        (lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [0, 2]), A, D),
        (lambda x, y: np.einsum(x, [Ellipsis, 0], y, [0]), C, V[:4]),
    ],
    "np.einsum_path": [
        (lambda x, y: np.einsum("ij,jk", x, y, optimize=np.einsum_path("ij,jk", x, y, optimize="optimal")[0]), A, D),
    ],
    "np.linalg.multi_dot": [
        (lambda x, y, z: np.linalg.multi_dot([x, y, z]), A, D, D.T),
        (lambda x, y, z: np.linalg.multi_dot([x, y, z]), V[:3], A, U[:4]),
    ],
    "np.linalg.matrix_power": [(lambda x, n=n: np.linalg.matrix_power(x, n), S) for n in (-2, 0, 1, 2, 5)],
    "np.cross": [
        (np.cross, T3, R3),
        (np.cross, T3[0], R3),
        (lambda x, y: np.cross(x, y, axisa=0, axisb=1, axisc=0), T3.T, R3),
    ],
    "np.linalg.cross": [(np.linalg.cross, T3, R3)],
    "np.convolve": [
        (lambda x, y, m=m: np.convolve(x, y, m), x, y)
        for m in ("full", "same", "valid")
        for x, y in ((V, U[:3]), (U[:2], V), (V, U))
    ],
    "np.correlate": [
        (lambda x, y, m=m: np.correlate(x, y, m), x, y)
        for m in ("full", "same", "valid")
        for x, y in ((V, U[:3]), (U[:2], V), (V, U))
    ],
    # linear algebra
    "np.diag": [(np.diag, V), (lambda x: np.diag(x, -2), V), (np.diag, A), (lambda x: np.diag(x, 1), A)],
    "np.diagflat": [(np.diagflat, A), (lambda x: np.diagflat(x, 1), V)],
    "np.diagonal": [(np.diagonal, A), (lambda x: np.diagonal(x, 1, 0, 2), C), (lambda x: np.diagonal(x, -1, -1, 1), C)],
    "np.linalg.diagonal": [(np.linalg.diagonal, C), (lambda x: np.linalg.diagonal(x, offset=1), C)],
    "np.trace": [(np.trace, A), (lambda x: np.trace(x, 1, 1, 2), C), (lambda x: np.trace(x, dtype=np.float32), K)],
    "np.linalg.trace": [(np.linalg.trace, C), (lambda x: np.linalg.trace(x, offset=-1), C)],
    "np.tril": [(np.tril, A), (lambda x: np.tril(x, -1), C), (lambda x: np.tril(x > 0), A)],
    "np.triu": [(np.triu, A), (lambda x: np.triu(x, 1), K), (lambda x: np.triu(x > 0), A)],
    "np.linalg.solve": [
        (np.linalg.solve, S, V[:3]),
        (np.linalg.solve, S, A),
        (np.linalg.solve, SS, A),
        (np.linalg.solve, S, C),
        (np.linalg.solve, np.array([[2, 1], [1, 3]]), np.array([1, 2])),
    ],
    "np.linalg.inv": [(np.linalg.inv, S), (np.linalg.inv, SS), (np.linalg.inv, S.astype(np.float32))],
    "np.linalg.det": [(np.linalg.det, S), (np.linalg.det, SS)],
    "np.linalg.slogdet": [
        (np.linalg.slogdet, S),
        (np.linalg.slogdet, SS),
        (lambda x: np.linalg.slogdet(x).logabsdet, S),
    ],
    "np.linalg.cholesky": [
        (lambda x: np.linalg.cholesky(x @ x.T), S),
        (lambda x: np.linalg.cholesky(x @ x.mT, upper=True), SS),
    ],
    "np.linalg.norm": [
        (np.linalg.norm, V),
        (np.linalg.norm, A),
        (np.linalg.norm, C),
        (lambda x: np.linalg.norm(x, axis=1, keepdims=True), A),
        (lambda x: np.linalg.norm(x, ord=1), A),
        (lambda x: np.linalg.norm(x, ord=np.inf), A),
        (lambda x: np.linalg.norm(x, ord=-1, axis=(1, 0)), A),
        (lambda x: np.linalg.norm(x, "fro", axis=(0, 2)), C),
        (lambda x: np.linalg.norm(x, 3, axis=0), A),
        (lambda x: np.linalg.norm(x, 1), V),
        (lambda x: np.linalg.norm(x, -np.inf), V),
        (lambda x: np.linalg.norm(x, 0), V),
        (np.linalg.norm, K),
        *NORMS,
    ],
    "np.linalg.vector_norm": [
        (np.linalg.vector_norm, A),
        (lambda x: np.linalg.vector_norm(x, axis=(0, 2), keepdims=True, ord=1), C),
        (lambda x: np.linalg.vector_norm(x, axis=0, ord=np.inf), A),
    ],
    "np.linalg.matrix_norm": [
        (np.linalg.matrix_norm, C),
        (lambda x: np.linalg.matrix_norm(x, ord=1, keepdims=True), C),
    ],
}
