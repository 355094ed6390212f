"""Calls of NumPy functions that sort, accumulate, leave out NaN, pad, and look at neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.numpy.operands import HOLES, A, B, C, Call, F, K, M, P, U, V

PADS: dict[str, dict[str, Any]] = {
    **{mode: {} for mode in ("edge", "reflect", "symmetric", "wrap", "maximum", "mean", "median", "minimum")},
    "linear_ramp": {"end_values": ((1.5, -2.0), (0.0, 3.0))},
}
METHODS = ("linear", "lower", "higher", "nearest", "midpoint", "hazen", "weibull", "median_unbiased", "inverted_cdf")
GAPS = np.where(np.abs(A) > 1.0, np.nan, A)
SHIFTED = np.cumsum(P, axis=1)
TURNS = np.array([0.0, 3.0, 6.5, -6.0, -2.5, 4.0, 10.0])

CALLS: dict[str, list[Call]] = {
    "np.sort": [
        (np.sort, A),
        (lambda x: np.sort(x, axis=0, kind="stable"), A),
        (lambda x: np.sort(x, axis=None), C),
        (lambda x: np.sort(x, -2), C),
        (np.sort, K),
        (np.sort, HOLES),
        (np.sort, M),
        (np.sort, A[:0]),
    ],
    "np.argsort": [
        (np.argsort, A),
        (lambda x: np.argsort(x, axis=0), K),
        (lambda x: np.argsort(x, None), A),
        (lambda x: x[x[:, 0].argsort()], A),
    ],
    "np.partition": [
        (lambda x: np.partition(x, 2)[..., 2], A),
        (lambda x: np.partition(x, (0, -1), axis=0)[[0, -1]], A),
        (lambda x: np.partition(x, 3, axis=None)[3], K),
    ],
    "np.argpartition": [(lambda x: np.take_along_axis(x, np.argpartition(x, 1), -1)[:, 1], A)],
    "np.median": [
        (np.median, A),
        (lambda x: np.median(x, axis=1, keepdims=True), A[:, :3]),
        (lambda x: np.median(x, axis=(0, -1)), C),
        (np.median, K),
        (np.median, F),
        (lambda x: np.median(x, axis=0), GAPS),
    ],
    "np.quantile": [
        (lambda x: np.quantile(x, 0.3), A),
        (lambda x: np.quantile(x, [0.1, 0.5, 1.0], axis=0, keepdims=True), C),
        (lambda x: np.quantile(x, np.array([[0.2, 0.7]]), axis=(0, 2)), C),
        (lambda x: np.quantile(x, 0.3), F),
        (lambda x: np.quantile(x, 0.6, axis=1), GAPS),
        (lambda x: np.quantile(x, 0.5, method="lower"), K),
        *[(lambda x, m=m: np.quantile(x, [0.2, 0.55], axis=0, method=m), C) for m in METHODS],
    ],
    "np.percentile": [
        (lambda x: np.percentile(x, 30), A),
        (lambda x: np.percentile(x, [5, 95], axis=1), K),
        (lambda x: np.percentile(x, 40, method="nearest"), F),
    ],
    "np.nanmedian": [(lambda x: np.nanmedian(x, axis=1), GAPS), (np.nanmedian, K)],
    "np.nanquantile": [
        (lambda x: np.nanquantile(x, 0.3, axis=0), GAPS),
        (lambda x: np.nanquantile(x, [0.2, 0.9]), GAPS),
        (lambda x: np.nanquantile(x, 0.5, axis=(0, 1), keepdims=True), C),
    ],
    "np.nanpercentile": [(lambda x: np.nanpercentile(x, [10, 50], axis=1, keepdims=True), GAPS)],
    "np.searchsorted": [
        (np.searchsorted, np.sort(V), A),
        (lambda a, v: np.searchsorted(a, v, side="right"), np.array([1, 2, 2, 3]), K),
        (np.searchsorted, np.sort(V), 0.25),
    ],
    "np.digitize": [
        (lambda x, r=r, b=b: np.digitize(x, b, right=r), np.array([0.5, 1.0, 1.5, 2.0, 9.0]))
        for r in (False, True)
        for b in ([1.0, 2.0], [2.0, 1.0])
    ],
    "np.unwrap": [
        (np.unwrap, TURNS),
        (lambda x: np.unwrap(x, axis=0), A * 9),
        (lambda x: np.unwrap(x, discont=5.0, period=8.0), TURNS),
        (np.unwrap, TURNS.astype(np.float32)),
        (np.unwrap, V[:0]),
    ],
    # accumulations
    "np.cumprod": [
        (np.cumprod, A),
        (lambda x: np.cumprod(x, axis=-1), C),
        (lambda x: np.cumprod(x, 0), K.astype(np.int32)),
        (lambda x: np.cumprod(x, 1, "f"), A),
        (lambda x: x.cumprod(), np.array([2.0, 0.0, 3.0, 0.0])),
        (np.cumprod, V[:0]),
    ],
    "np.cumulative_sum": [
        (lambda x: np.cumulative_sum(x, axis=1, include_initial=True), A),
        (np.cumulative_sum, V),
    ],
    "np.cumulative_prod": [
        (lambda x: np.cumulative_prod(x, axis=-2, include_initial=True), A),
        (np.cumulative_prod, V),
    ],
    # without NaN
    "np.nansum": [(np.nansum, HOLES), (lambda x: np.nansum(x, axis=0), HOLES), (np.nansum, K)],
    "np.nanprod": [(lambda x: np.nanprod(x, axis=1), HOLES)],
    "np.nancumsum": [(lambda x: np.nancumsum(x, axis=1), HOLES)],
    "np.nancumprod": [(lambda x: np.nancumprod(x, axis=1), GAPS), (np.nancumprod, K)],
    "np.nanmean": [(lambda x: np.nanmean(x, axis=1), HOLES), (np.nanmean, HOLES[0]), (lambda x: np.nanmean(x, 0), K)],
    "np.nanvar": [(lambda x: np.nanvar(x, axis=0), GAPS), (lambda x: np.nanvar(x, ddof=1, keepdims=True), GAPS)],
    "np.nanstd": [(lambda x: np.nanstd(x, axis=1), GAPS), (np.nanstd, F)],
    "np.nanmax": [(lambda x: np.nanmax(x, axis=1), GAPS), (np.nanmax, K)],
    "np.nanmin": [(lambda x: np.nanmin(x, axis=0, keepdims=True), GAPS), (np.nanmin, F)],
    "np.nanargmax": [(lambda x: np.nanargmax(x, axis=1), np.abs(GAPS)), (np.nanargmax, K)],
    "np.nanargmin": [(np.nanargmin, GAPS), (lambda x: np.nanargmin(x, axis=0), K)],
    # padding
    "np.pad": [
        (lambda x: np.pad(x, 2), A),
        (lambda x: np.pad(x, (1, 0)), A),
        (lambda x: np.pad(x, {-1: (1, 2)}), A),
        (lambda x: np.pad(x, ((1, 2), (0, 3)), constant_values=1.5), A),
        (lambda x: np.pad(x, ((1, 2), (0, 3)), constant_values=((1, 2), (3, 4))), K),
        (lambda x: np.pad(x, 1, mode="empty")[1:-1, 1:-1], A),
        *[(lambda x, m=m, n=n: np.pad(x, ((1, 2), (2, 0)), mode=m, **n), A) for m, n in PADS.items()],
        *[(lambda x, m=m, n=n: np.pad(x, ((1, 2), (2, 0)), mode=m, **n), K) for m, n in PADS.items()],
        *[(lambda x, m=m: np.pad(x, 1, mode=m, stat_length=((2, 1), (3, 2))), A) for m in ("mean", "maximum")],
        *[(lambda x, m=m, w=w: np.pad(x, w, mode=m), V) for m in ("reflect", "symmetric", "wrap") for w in (3, 14)],
        *[
            (lambda x, m=m, w=w: np.pad(x, w, mode=m, reflect_type="odd"), x)
            for m in ("reflect", "symmetric")
            for w, x in (((1, 3), A), ((9, 14), V), (2, V[:1]))
        ],
    ],
    # neighbours
    "np.diff": [
        (np.diff, A),
        (lambda x: np.diff(x, 2, axis=0), A),
        (lambda x: np.diff(x, prepend=0, append=x[:, :1]), A),
        (np.diff, K),
        (lambda x: np.diff(x, 7), V),
        (lambda x: np.diff(x, 0, prepend=1.0), A),
        (lambda x: np.diff(x, 2), M),
    ],
    "np.ediff1d": [(np.ediff1d, A)],
    "np.gradient": [
        (np.gradient, V),
        (lambda x: np.gradient(x, 0.5, axis=1), A),
        (lambda x: np.gradient(x, 2.0, 3.0), A),
        (lambda x: np.gradient(x, 2.0), A),
        (lambda x: np.gradient(x, 2.0, 3.0, axis=(-1, 0)), C),
        (lambda x: np.gradient(x, np.float64(2.0), axis=1), F),
        (lambda x: np.gradient(x, edge_order=2), A),
        (lambda x, t: np.gradient(x, t), V, np.sort(U)),
        (lambda x, t: np.gradient(x, t, axis=1, edge_order=2), A, np.sort(U)[:4]),
        (lambda x: np.gradient(x, 0.5, np.array([0.0, 1.0, 3.0, 3.5]), axis=(0, 1)), A),
        (np.gradient, K),
    ],
    "np.trapezoid": [
        (np.trapezoid, A),
        (lambda y, x: np.trapezoid(y, x), A, V[:4]),
        (lambda y, x: np.trapezoid(y, x, axis=0), A, B),
        (lambda y: np.trapezoid(y, dx=0.5, axis=0), A),
        (lambda y: np.trapezoid(y > -1.0, dx=0.5), A),
    ],
    "np.interp": [
        (np.interp, np.array([[-9.0, 0.3], [1.1, 9.0]]), np.array([-1.0, 0.5, 1.0, 2.0]), U[:4]),
        (np.interp, 0.7, np.array([0.0, 1.0]), np.array([2.0, 3.0])),
        (lambda x, f: np.interp(x, [-1.0, 0.5, 1.0], f, left=7.0, right=-7.0), np.array([-9.0, 0.3, 9.0]), U[:3]),
        (lambda x, f: np.interp(x, [5.5, 0.5, 1.0], f, period=4.0), np.array([-9.0, 0.3, 9.1, 3.9]), U[:3]),
    ],
    # polynomials
    "np.polyval": [(np.polyval, V, A), (np.polyval, np.array([2, 0, 1]), 3.0)],
    "np.polyadd": [(np.polyadd, V, U[:2]), (np.polyadd, K[0], 2.0)],
    "np.polysub": [(np.polysub, V[:2], U)],
    "np.polymul": [(np.polymul, V, U[:3])],
    "np.polyder": [(np.polyder, V), (lambda p: np.polyder(p, 2), V), (np.polyder, K[0]), (np.polyder, V[:1])],
    "np.polyint": [
        (np.polyint, V),
        (lambda p: np.polyint(p, 2, k=[3.0, 4.0]), V),
        (lambda p: np.polyint(p, k=1), K[0]),
    ],
}
"""By name; a call is the function and its traced arguments."""
