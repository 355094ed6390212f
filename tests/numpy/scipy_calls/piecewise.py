"""Curves of scipy.interpolate made and called as their authors do, by the names that SciPy gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import interpolate

from tests.numpy.scipy_calls.values import AT, CURVE, GRID, GRID_AT, IMAGE, LINE, PLACES, SPLINE, P, T, V

CALLS: dict[str, tuple[Any, ...]] = {
    "piecewise at": (
        lambda x: [f(x) for f in (interpolate.PPoly(CURVE.c, CURVE.x), interpolate.PPoly(CURVE.c, CURVE.x, False))],
        AT[1:5],
    ),
    "curve at": (lambda x: [CURVE(x), CURVE(x, 1), CURVE(x, nu=2)], AT),
    "line at": (lambda x: LINE(x), AT),
    "spline at": (lambda x: SPLINE(x), AT),
    "spline's derivatives": (lambda x: [SPLINE(x, 1), SPLINE(x, nu=2)], AT),
    "spline through": (lambda y: _curves(interpolate.make_interp_spline(T, y, k=3)), V),
    "cubic through": (lambda x, y: _curves(interpolate.CubicSpline(x, y)), T, V),
    "cubic's integrals": (
        lambda x, y, b: [
            interpolate.CubicSpline(x, y).integrate(0.3, b),
            interpolate.CubicSpline(x, y).antiderivative()(AT),
            interpolate.CubicSpline(x, y).antiderivative(2)(AT),
            interpolate.CubicSpline(x, y).derivative(2)(AT),
        ],
        T,
        V,
        np.array(2.9),
    ),
    "pchip through": (lambda x, y: [interpolate.PchipInterpolator(x, y)(AT, k) for k in (0, 1, 2)], T, V),
    "pchip through points that rise": (lambda y: _curves(interpolate.PchipInterpolator(T, np.cumsum(y))), P),
    "hermite through": (lambda y, d: _curves(interpolate.CubicHermiteSpline(T, y, d)), V, P),
    "grid at": (lambda x: [GRID(x), interpolate.interpn(PLACES, IMAGE, x)], GRID_AT),
    "grid of": (lambda v, x: interpolate.RegularGridInterpolator(PLACES, v, fill_value=None)(x), IMAGE, GRID_AT),
    "grid of the nearest": (
        lambda v: interpolate.RegularGridInterpolator(PLACES, v, method="nearest", bounds_error=False, fill_value=2.0)(
            2 * GRID_AT
        ),
        IMAGE,
    ),
}


def _curves(curve: Any) -> list[Any]:
    return [curve(AT), curve(AT, 1), curve.derivative()(AT)]
