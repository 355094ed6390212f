"""Calls of NumPy functions with keywords in many variants: axes, types, orders, modes, methods."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from tests.numpy.operands import SS, A, C, F, K, S, V

B = A > 0
HOLED = np.where(np.arange(12).reshape(3, 4) % 5 == 1, np.nan, A)
POSITIVE = SS @ np.swapaxes(SS, -1, -2) + np.triu(np.ones((3, 3)), 1)
"""Matrices that are not symmetric, of which either triangle makes a positive definite one."""
AXES = (None, 0, -1, (0, 2), (2, 0), (-1, -3), (), 1)
REDUCTIONS = (
    "sum prod max min mean var std median any all count_nonzero ptp nansum nanprod nanmax nanmin nanmean nanvar"
)
METHODS = (
    "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen weibull linear "
    "median_unbiased normal_unbiased lower higher midpoint nearest"
)
MODES = "constant edge linear_ramp maximum mean median minimum reflect symmetric wrap"


def _calls() -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    for of in (_reductions, _along_axes, _orders, _modes, _types, _matrices):
        for function, named, argument in of():
            yield f"np.{function.__name__} {named}", partial(_called, function, named), (argument,)


def _called(function: Any, named: dict[str, Any], x: Any) -> Any:
    return function(x, **named)


def _reductions() -> Iterator[tuple[Any, dict[str, Any], Any]]:
    for name in REDUCTIONS.split():
        function = getattr(np, name)
        for axis in AXES:
            yield function, {"axis": axis, "keepdims": axis != 0}, C
        for x in (K, B, F, HOLED):
            yield function, {"axis": 0}, x
        yield function, {"where": B}, A
        yield function, {"initial": 2.0}, A
        for x, dtype in itertools.product((F, K), (np.float32, np.float64)):
            yield function, {"dtype": dtype}, x
    for name, ddof in itertools.product(("var", "std", "nanvar", "nanstd"), (0, 1, 3, 5, 0.5)):
        yield getattr(np, name), {"axis": 0, "ddof": ddof}, A
    for name, axis in itertools.product(("argmax", "argmin", "nanargmax", "nanargmin"), (None, 0, -1)):
        yield getattr(np, name), {"axis": axis, "keepdims": axis == 0}, C
    for order, axis in itertools.product((None, "fro", "nuc", np.inf, -np.inf, 0, 1, -1, 2, -2, 3, 0.5), AXES):
        yield np.linalg.norm, {"ord": order, "axis": axis, "keepdims": axis == (2, 0)}, C
    for order in (None, 0, 1, 2, np.inf):
        yield np.linalg.norm, {"ord": order}, K


def _along_axes() -> Iterator[tuple[Any, dict[str, Any], Any]]:
    names = "cumsum cumprod nancumsum nancumprod sort diff unwrap cumulative_sum cumulative_prod trapezoid flip argsort"
    for name, axis in itertools.product(names.split(), (0, 1, -1, -2)):
        yield getattr(np, name), {"axis": axis}, C
        yield getattr(np, name), {"axis": axis % 2}, F
    for axes in ((0, 1), (1, 0), (-1, 0), (2, 1)):
        yield np.rot90, {"k": 3, "axes": axes}, C
        yield np.roll, {"shift": (1, 2), "axis": axes}, C
        yield np.flip, {"axis": axes}, C
        yield np.expand_dims, {"axis": axes}, C
        yield np.fft.fftshift, {"axes": axes}, C
        for offset in (-1, 0, 1):
            yield np.diagonal, {"offset": offset, "axis1": axes[0], "axis2": axes[1]}, C
            yield np.trace, {"offset": offset, "axis1": axes[0], "axis2": axes[1]}, C
    for axis in (0, -1, 1):
        yield np.take, {"indices": [[0, 1], [1, -1]], "axis": axis}, C
        yield np.repeat, {"repeats": 2, "axis": axis}, C
        yield np.delete, {"obj": [0, -1], "axis": axis}, C
        yield np.insert, {"obj": [0, 1, 1], "values": 7.0, "axis": axis}, C
        yield np.append, {"values": C, "axis": axis}, C
        yield np.unstack, {"axis": axis}, C
        yield np.average, {"axis": axis}, C
    yield np.average, {"axis": (2, 0), "weights": np.abs(C[:, 0].T) + 1}, C
    yield np.diff, {"n": 2, "axis": 0, "append": 1.0}, A
    yield np.diff, {"prepend": 5.0}, V
    yield np.median, {"axis": (1, 0), "keepdims": True}, C


def _orders() -> Iterator[tuple[Any, dict[str, Any], Any]]:
    for order, x in itertools.product("CFAK", (C, np.asfortranarray(C), K)):
        yield np.ravel, {"order": order}, x
        yield np.copy, {"order": order}, x
        if order != "K":
            yield np.reshape, {"shape": (-1, 2), "order": order}, x
    for method in METHODS.split():
        yield np.quantile, {"q": np.array([0.0, 0.1, 0.37, 0.5, 1.0]), "axis": -1, "method": method}, A
        yield np.percentile, {"q": [25.0, 50.0], "axis": 0, "method": method}, K
        yield np.quantile, {"q": 0.25, "method": method, "keepdims": True}, F
        yield np.nanquantile, {"q": [0.25, 0.5], "axis": 1, "method": method}, HOLED
    for side in ("left", "right"):
        yield np.searchsorted, {"v": [0.0, 1.0, 1.5, 9.0, -1.0], "side": side}, np.array([0.0, 1.0, 1.0, 2.0])
    for right, bins in itertools.product((False, True), ([0, 1, 2], [2, 1, 0])):
        yield np.digitize, {"bins": bins, "right": right}, np.array([0.0, 1.0, 2.0, 1.5])


def _modes() -> Iterator[tuple[Any, dict[str, Any], Any]]:
    for mode, x in itertools.product(MODES.split(), (A, K)):
        yield np.pad, {"pad_width": 2, "mode": mode}, x
        yield np.pad, {"pad_width": ((1, 3), (0, 6)), "mode": mode}, x
    for mode, (m, n) in itertools.product(("full", "same", "valid"), ((5, 3), (3, 5), (4, 4), (1, 3), (4, 2))):
        yield np.convolve, {"v": np.cos(np.arange(1.0, n + 1)), "mode": mode}, np.arange(1.0, m + 1)
        yield np.correlate, {"v": np.cos(np.arange(1.0, n + 1)), "mode": mode}, np.arange(1.0, m + 1)
    for mode in ("raise", "wrap", "clip"):
        yield np.take, {"indices": [0, 5, -1, -7], "axis": 1, "mode": mode}, A
        yield np.choose, {"choices": [[1.0, 2, 3], [4.0, 5, 6]], "mode": mode}, np.array([0, 3, -1])
    for edge_order in (1, 2):
        yield np.gradient, {"axis": 0, "edge_order": edge_order}, A
    yield np.interp, {"xp": [0, 1, 1, 2], "fp": [3.0, 4, 5, 7]}, np.array([-1.0, 0.5, 1.0, 2.0, 3.0])
    yield np.interp, {"xp": [0, 1, 2], "fp": [3.0, 4, 7], "left": -1, "right": -2}, np.array([-1.0, 0.5, 3.0, np.nan])
    yield np.interp, {"xp": [0, 1, 2], "fp": [3.0, 4, 7], "period": 2.5}, np.array([-1.0, 0.5, 3.0])


def _types() -> Iterator[tuple[Any, dict[str, Any], Any]]:
    for x, dtype in itertools.product((3 * A, K, B, F), (np.float32, np.float64, np.int32, np.int64, np.bool_)):
        yield np.astype, {"dtype": dtype}, x
        yield np.zeros_like, {"dtype": dtype}, x
        for function in (np.sum, np.prod, np.cumsum, np.mean, np.trace):
            yield function, {"dtype": dtype}, x
        yield np.linspace, {"stop": 7.7, "num": 3, "dtype": dtype}, x
    for x in (3 * A, K, F, np.array([0.5], np.float32)):
        for low, high in ((-1, 1), (None, 1), (0.5, None), (np.float32(0.3), 2), (-1, 2.5)):
            yield np.clip, {"a_min": low, "a_max": high}, x
        several: tuple[Any, ...] = (np.cov, np.corrcoef, np.sinc, np.i0, np.unwrap, np.nan_to_num, np.round, np.angle)
        for function in several:
            yield function, {}, x
        yield np.append, {"values": 1}, x
        yield np.append, {"values": 1.5}, x
        yield np.logspace, {"stop": 2, "num": 3}, x
        yield np.linspace, {"stop": 2.0, "num": 3}, x
        yield np.interp, {"xp": [0, 1, 2], "fp": [3, 4, 7]}, x


def _matrices() -> Iterator[tuple[Any, dict[str, Any], Any]]:
    for triangle in "LUlu":
        yield np.linalg.eigh, {"UPLO": triangle}, SS
        yield np.linalg.eigvalsh, {"UPLO": triangle}, SS
    for upper, x in itertools.product((False, True), (POSITIVE, POSITIVE.astype(np.float32), np.round(POSITIVE * 3))):
        yield np.linalg.cholesky, {"upper": upper}, x
    for hermitian, x in itertools.product((False, True), (SS, -POSITIVE, np.triu(np.ones((3, 3)), 1) + np.eye(3))):
        yield np.linalg.svd, {"hermitian": hermitian}, x
        yield np.linalg.svd, {"compute_uv": False, "hermitian": hermitian}, x
        yield np.linalg.pinv, {"hermitian": hermitian}, x
        yield np.linalg.pinv, {"rcond": 0.3, "hermitian": hermitian}, x
        yield np.linalg.matrix_rank, {"hermitian": hermitian}, x
        yield np.linalg.matrix_rank, {"tol": 0.5, "hermitian": hermitian}, x
    for order in (None, 2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc"):
        yield np.linalg.cond, {"p": order}, SS
    for mode, x in itertools.product(("reduced", "complete", "r"), (A, A.T, S, SS)):
        yield np.linalg.qr, {"mode": mode}, x
    for k in (-2, 0, 1, 9):
        yield np.tril, {"k": k}, C
        yield np.triu, {"k": k}, K
        yield np.diag, {"k": k}, V
    for axes in (0, 1, ((0,), (0,)), ((-1,), (-1,))):
        yield np.tensordot, {"b": S, "axes": axes}, S


KEYWORD_CALLS = list(_calls())
