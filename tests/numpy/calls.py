"""Calls of NumPy functions on elements and along axes: the function of the traced arguments, and these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.numpy import calls_in_order, calls_of_complex, calls_of_matrices, calls_on_axes
from tests.numpy.operands import HOLES, SS, A, B, C, Call, F, K, M, P, U, V

CALLS: dict[str, list[Call]] = {
    # creation and types
    "np.array": [
        (lambda x: np.array([x, x * 2]), A),
        (lambda x: np.array([[x[0], 1.0], [2, x[1]]], dtype=np.float32, ndmin=3), V),
    ],
    "np.asarray": [(lambda x: np.asarray(x), A), (lambda x: np.asarray([x[0, 0], 2]), K)],
    "np.asanyarray": [(lambda x: np.asanyarray(x, dtype=np.float64), K)],
    "np.asarray_chkfinite": [(lambda x: np.asarray_chkfinite(x), A)],
    "np.ascontiguousarray": [(lambda x: np.ascontiguousarray(x[0]), V)],
    "np.asfortranarray": [(lambda x: np.asfortranarray(x), A)],
    "np.full": [(lambda x: np.full((2, 3), x[0]), V), (lambda x: np.full((2, x.size), x, np.float32), V)],
    "np.zeros_like": [(np.zeros_like, A), (lambda x: np.zeros_like(x, dtype=np.int32, shape=(2, 2)), A)],
    "np.empty_like": [
        (lambda x: np.empty_like(x).shape and np.zeros_like(x), A),
        (lambda x: np.empty_like(x) * 0 == 0, K),
    ],
    "np.ones_like": [(np.ones_like, K), (lambda x: np.ones_like(x, np.float32), A)],
    "np.full_like": [
        (lambda x: np.full_like(x, 2.5), A),
        (lambda x: np.full_like(x, 2.5), K),
        (lambda x: np.full_like(x, V[:4]), A),
    ],
    "np.polyfit": [
        (lambda x, y: np.polyfit(x, y, 1), A[0], A[1]),
        (lambda y: np.polyfit(np.arange(4.0), y, 2, w=[1.0, 2.0, 0.5, 1.0]), A[1]),
        (lambda y: np.polyfit(np.arange(4.0), y, 1, rcond=1e-3, full=False), A.T),
    ],
    "np.vander": [
        (np.vander, V),
        (lambda x: np.vander(x, 3), V),
        (lambda x: np.vander(x, 4, increasing=True), K[0]),
        (np.vander, F[0]),
        (lambda x: np.vander(x, 0), V),
    ],
    "np.linspace": [
        (lambda x, y: np.linspace(x, y, 7), 0.5, 3.0),
        (lambda x: np.linspace(x, 2, 5, endpoint=False), np.array([0.0, 1.0])),
        (lambda x: np.linspace(0, x, 1), 2.0),
        (lambda x: np.linspace(x, 3.0, 4, retstep=True), V),
        (lambda x: np.linspace(x, 9.5, 4, dtype=np.int64, axis=-1), V),
    ],
    "np.logspace": [
        (lambda x, y: np.logspace(x, y, 5), 0.5, 2.0),
        (lambda x: np.logspace(x, 2, 4, base=2.0, axis=-1), V),
    ],
    "np.geomspace": [
        (lambda x, y: np.geomspace(x, y, 5), 0.5, 8.0),
        (lambda x: np.geomspace(x, -4.0, 6, endpoint=False), np.array([-1.0, -3.0])),
        (lambda x: np.geomspace(1, x, 3, axis=1), P[0]),
    ],
    "np.astype": [(lambda x: np.astype(x, np.float32), A)],
    "np.common_type": [(lambda x: x.astype(np.common_type(x, F)), A)],
    "np.ix_": [(lambda i: np.ix_(i, [0, 2], i + 1), np.array([2, 0]))],
    "np.tril_indices_from": [(lambda x: x[np.tril_indices_from(x)], A), (lambda x: x[np.tril_indices_from(x, -1)], A)],
    "np.triu_indices_from": [(lambda x: x[np.triu_indices_from(x, 1)], A)],
    "np.diag_indices_from": [(lambda x: x[np.diag_indices_from(x)], A[:, :3])],
    "np.result_type": [(lambda x: x.astype(np.result_type(x, np.float64)), F)],
    "np.can_cast": [(lambda x: x * np.can_cast(x, np.float32), A)],
    "np.iscomplexobj": [(lambda x: x * np.iscomplexobj(x), A)],
    "np.isrealobj": [(lambda x: x * np.isrealobj(x), A)],
    # element by element
    "np.round": [
        (np.round, 10 * A),
        (lambda x: np.round(x, 2), A),
        (lambda x: np.round(x, -1), 100 * A),
        (np.round, K),
    ],
    "np.around": [(np.around, 10 * A)],
    "np.fix": [(np.fix, 3 * A)],
    "np.clip": [
        (lambda x: np.clip(x, -0.5, 0.5), A),
        (lambda x: np.clip(x, None, 0), F),
        (lambda x: np.clip(x, min=2), K),
        (np.clip, A, B - 1, B + 1),
        (lambda x: np.clip(x, -2, None), K),
        (lambda x: np.clip(x, None, None), K),
        (lambda x: np.clip(x, 0.5, None), K),
    ],
    "np.nan_to_num": [
        (np.nan_to_num, HOLES),
        (lambda x: np.nan_to_num(x, nan=7.0, posinf=8.0, neginf=9.0), HOLES.astype(np.float32)),
        (lambda x: np.nan_to_num(x, nan=-np.inf, posinf=-np.inf, neginf=np.inf), HOLES),
        (np.nan_to_num, K),
    ],
    "np.sinc": [(np.sinc, A), (np.sinc, np.array([0.0, 1e-9, 0.1, 0.159, 0.16, 1.0, 7.3])), (np.sinc, F), (np.sinc, K)],
    "np.real": [(np.real, A)],
    "np.imag": [(np.imag, A)],
    "np.angle": [(np.angle, A), (lambda x: np.angle(x, deg=True), F), (np.angle, K)],
    "np.real_if_close": [(np.real_if_close, A)],
    "np.iscomplex": [(lambda x: x * 2 if np.iscomplex(x) else x, 1.5), (lambda x: x * np.iscomplex(x), A)],
    "np.isreal": [(lambda x: x * 2 if np.isreal(x) else x, 1.5), (lambda x: x * np.isreal(x), A)],
    "np.i0": [(np.i0, A)],
    # logic
    "np.where": [
        (lambda c, x, y: np.where(c > 0, x, y), A, B, P),
        (lambda x: np.where(x > 0, x, 0), F),
        (lambda x: np.where(x, 1.5, x), K),
        (lambda x: np.where(x > 0, [1.0, 2.0, 3.0, 4.0], x), A),
    ],
    "np.select": [(lambda x: np.select([x > 1, x > 0], [x, 2 * x], -1.0), A), (lambda x: np.select([x > 1], [x]), K)],
    "np.isclose": [
        (np.isclose, A, A + 1e-9 * B),
        (lambda x, y: np.isclose(x, y, rtol=0.5, atol=0.1), A, B),
        (np.isclose, HOLES, HOLES),
        (lambda x, y: np.isclose(x, y, equal_nan=True), HOLES, HOLES),
    ],
    "np.allclose": [(np.allclose, A, A + 1e-9), (np.allclose, A, B)],
    "np.array_equal": [(np.array_equal, A, A), (np.array_equal, A, A[:2])],
    "np.array_equiv": [(np.array_equiv, A, A[:1]), (np.array_equiv, K, K[:1].repeat(2, 0)), (np.array_equiv, A, V)],
    "np.isin": [(np.isin, K, np.array([[1, 3], [5, 7]])), (lambda x: np.isin(x, [4, -9], invert=True), K)],
    "np.isposinf": [(np.isposinf, HOLES)],
    "np.isneginf": [(np.isneginf, HOLES)],
    # reductions
    "np.sum": [
        (lambda x: np.sum(x, axis=0, initial=2.5), A),
        (lambda x: np.sum(x, axis=1, keepdims=True, where=x > 0), A),
        (lambda x: np.sum(x, where=[True, False, True, True], initial=1), A),
        (lambda x: np.add.reduce(x, axis=1, initial=2.0), A),
        (lambda x: [np.prod(x, where=x > 0.2, initial=3.0), np.prod(x, axis=0, initial=2)], A),
        (lambda x: [np.min(x, axis=0, initial=0.1), np.amin(x, initial=9, where=x > 0)], A),
        (lambda x: [np.mean(x, where=x > 0), np.mean(x, axis=1, where=[True, False, True, True], keepdims=True)], A),
        (lambda x: [np.any(x > 1, axis=1, where=x < 2), np.all(x > 0, where=x > 0.1), x.sum(where=x > 0)], A),
        (np.sum, A),
        (lambda x: np.sum(x, 1, keepdims=True), A),
        (lambda x: np.sum(x, (0, -1)), C),
        (np.sum, K.astype(np.int32)),
        (np.sum, M),
        (lambda x: np.sum(x, dtype=np.float32), K),
        (lambda x: np.sum(x, 0, None, None, True), F),
        (np.sum, A[:0]),
        (np.sum, 2.5),
    ],
    "np.prod": [(np.prod, A), (lambda x: np.prod(x, axis=0), K), (lambda x: np.prod(x, dtype=np.float64), K)],
    "np.max": [
        (lambda x: np.max(x, initial=0.3), A),
        (lambda x: np.max(x, axis=1, initial=-1, where=x < 0.5), A),
        (np.max, A),
        (lambda x: np.max(x, axis=(0, 2), keepdims=True), C),
        (np.max, M),
    ],
    "np.amax": [(lambda x: np.amax(x, -1), K)],
    "np.min": [(np.min, A), (lambda x: np.min(x, axis=1), F)],
    "np.amin": [(lambda x: np.amin(x, 0), K)],
    "np.ptp": [(np.ptp, A), (lambda x: np.ptp(x, axis=1, keepdims=True), K)],
    "np.any": [(np.any, M), (lambda x: np.any(x, axis=0), K)],
    "np.all": [(np.all, M), (lambda x: np.all(x, axis=1, keepdims=True), A)],
    "np.count_nonzero": [(np.count_nonzero, K), (lambda x: np.count_nonzero(x, axis=0), M)],
    "np.argmax": [(np.argmax, A), (lambda x: np.argmax(x, axis=1), A), (lambda x: np.argmax(x, 0, keepdims=True), K)],
    "np.argmin": [(np.argmin, A), (lambda x: np.argmin(x, axis=-1), C)],
    "np.cumsum": [
        (np.cumsum, A),
        (lambda x: np.cumsum(x, axis=0), K.astype(np.int32)),
        (lambda x: np.cumsum(x, 1, "f"), A),
    ],
    # statistics
    "np.mean": [
        (np.mean, A),
        (lambda x: np.mean(x, axis=(0, 1), keepdims=True), C),
        (np.mean, K),
        (np.mean, F),
        (lambda x: np.mean(x, dtype=np.float32), K),
    ],
    "np.var": [
        (np.var, A),
        (lambda x: np.var(x, axis=0, ddof=1), C),
        (np.var, K),
        (lambda x: np.var(x, correction=1), F),
    ],
    "np.std": [(np.std, A), (lambda x: np.std(x, axis=1, keepdims=True), A)],
    "np.average": [
        (np.average, A),
        (lambda x, w: np.average(x, axis=1, weights=w), A, P[0]),
        (lambda x, w: np.average(x, weights=w), A, P),
        (lambda x, w: np.average(x, axis=(1, 0), weights=w), SS, P[:, :2]),
        (lambda x, w: np.average(x, axis=(2, 1), weights=w), SS, P[:, :3]),
        (np.average, K),
    ],
    "np.cov": [
        (np.cov, A),
        (lambda x: np.cov(x, rowvar=False, ddof=0), A),
        (np.cov, V),
        (np.cov, A, B),
        (lambda x: np.cov(x, bias=True), K),
    ],
    "np.corrcoef": [(np.corrcoef, A), (np.corrcoef, V, U)],
}
"""By name; a call is the function and its traced arguments."""


def flat_calls() -> list[tuple[str, Callable[..., Any], tuple[Any, ...]]]:
    """All calls with their names."""
    everything = CALLS | calls_in_order.CALLS | calls_of_matrices.CALLS | calls_on_axes.CALLS | calls_of_complex.FOURIER
    named = [*everything.items(), *calls_of_complex.COMPLEX.items()]
    return [(name, call[0], call[1:]) for name, calls in named for call in calls]
