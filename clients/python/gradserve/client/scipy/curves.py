"""Curves and surfaces of scipy.interpolate: those through traced values, and known ones at traced points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradserve.client.scipy.kinds import aware, calling, standing_kind
from gradserve.client.scipy.mirror import member
from gradserve.client.tracing.names import Place

_OF_PIECES = ("nu", "extrapolate")
"""Arguments after the point."""


def _of_grid(grid: Any) -> dict[str, Any]:
    return {
        "points": grid.grid,
        "values": grid.values,
        "method": grid.method,
        "bounds_error": grid.bounds_error,
        "fill_value": grid.fill_value,
    }


def _of_line(curve: Any) -> dict[str, Any]:
    fill = "extrapolate" if curve._extrapolate else (curve._fill_value_below, curve._fill_value_above)
    return {"x": curve.x, "y": curve.y, "kind": curve._kind, "axis": curve.axis, "fill_value": fill}


def _of_polynomial(curve: Any) -> dict[str, Any]:
    axis = curve._y_axis
    rows = np.reshape(curve.yi, (len(curve.xi), *curve._y_extra_shape))
    return {"xi": curve.xi, "yi": np.moveaxis(rows, 0, axis), "axis": axis}


def _of_distances(sums: Any) -> dict[str, Any]:
    powers = sums.powers
    return {
        "y": sums.y,
        "d": np.reshape(np.asarray(sums.d).view(sums.d_dtype), (len(sums.y), *sums.d_shape)),
        "neighbors": sums.neighbors,
        "smoothing": sums.smoothing,
        "kernel": sums.kernel,
        "epsilon": sums.epsilon,
        "degree": int(powers.sum(axis=1).max()) if len(powers) else -1,
    }


_CURVES: dict[str, tuple[Callable[[Any], dict[str, Any]], tuple[str, ...]]] = {
    "PPoly": (lambda curve: {"c": curve.c, "x": curve.x, "extrapolate": curve.extrapolate}, _OF_PIECES),
    "BSpline": (
        lambda curve: {
            "t": curve.t,
            "c": np.moveaxis(curve.c, 0, curve.axis),
            "k": curve.k,
            "extrapolate": curve.extrapolate,
            "axis": curve.axis,
        },
        _OF_PIECES,
    ),
    "RegularGridInterpolator": (_of_grid, ()),
    "interp1d": (_of_line, ()),
    "UnivariateSpline": (lambda curve: {"tck": curve._eval_args, "ext": curve.ext}, ("nu", "ext")),
    "BarycentricInterpolator": (_of_polynomial, ()),
    "KroghInterpolator": (_of_polynomial, ()),
    "RBFInterpolator": (_of_distances, ()),
}
"""Classes of curves, what such a curve is made of, as the mirror takes it, and arguments after the point."""
_MADE_OF_VALUES = (
    *("Akima1DInterpolator", "BSpline", "BarycentricInterpolator", "CubicHermiteSpline", "CubicSpline"),
    *("InterpolatedUnivariateSpline", "KroghInterpolator", "LSQUnivariateSpline", "PchipInterpolator"),
    *("RBFInterpolator", "Rbf", "RectBivariateSpline", "RegularGridInterpolator", "UnivariateSpline", "interp1d"),
)
"""Classes of curves that the mirror makes of traced values."""


def curves(interpolate: Any) -> Iterator[Place]:
    """What leads to the mirror in scipy.interpolate."""
    calls: dict[type, Callable[..., Any]] = {}
    for name, (made_of, further) in _CURVES.items():
        kind = getattr(interpolate, name)
        owner = next(cls for cls in kind.__mro__ if "__call__" in vars(cls))
        ours = _fitted if name == "UnivariateSpline" else member(f"scipy.interpolate.{name}.__call__")
        # Several classes share a method: what stands there asks of each of them.
        calls[owner] = calling(calls.get(owner, vars(owner)["__call__"]), ours, kind, made_of, further)
    yield from ((owner, "__call__", call) for owner, call in calls.items())
    for name in _MADE_OF_VALUES:
        yield interpolate, name, standing_kind(getattr(interpolate, name), member(f"scipy.interpolate.{name}"))
    for name in ("lagrange", "make_interp_spline", "make_smoothing_spline"):
        yield interpolate, name, aware(getattr(interpolate, name), member(f"scipy.interpolate.{name}"))


def _fitted(x: Any, tck: Any, ext: Any, nu: int = 0) -> Any:
    return member("scipy.interpolate.splev")(x, tck, nu, ext)
