"""scipy.interpolate: FITPACK's splines through values at known places: linear in the values.

Their coefficients are those of the splines through unit vectors, which SciPy makes while tracing, times the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported, to_float
from gradserve.numpy.indexing import getitem
from gradserve.numpy.products import matmul
from gradserve.numpy.scipy.splines import b_spline
from gradserve.numpy.shaping import ravel, reshape, swapaxes
from gradserve.numpy.table import implements_scipy

_NO_ENDS = (None, None)


def _places(x: Any, name: str) -> Array:
    if isinstance(x, Value):
        raise Unsupported(f"{name} of traced places cannot be traced", "use CubicSpline(x, y), which takes them")
    return np.asarray(x, float).reshape(-1)


def _refuse_smoothing(s: Any, name: str, by_default: bool) -> None:
    if by_default if s is None else isinstance(s, Value) or s != 0:
        raise Unsupported(
            f"{name} chooses its knots by the numbers unless s=0, and cannot be traced",
            f"write {name}(..., s=0), or LSQUnivariateSpline or make_smoothing_spline",
        )


def _knots(places: Array, k: int, ends: Sequence[Any], inner: Any = None) -> Array:
    """Those inside, by default where a spline of degree k through all the points has them, and the ends k + 1 times."""
    from scipy.interpolate import make_interp_spline  # whoever makes one by its name has SciPy

    between = make_interp_spline(places, places, k).t[k + 1 : -k - 1] if inner is None else np.asarray(inner, float)
    first, last = (own if end is None else float(end) for own, end in zip(places[[0, -1]], ends, strict=True))
    return np.concatenate([[first] * (k + 1), between, [last] * (k + 1)])


def _through(places: Array, k: int, ends: Sequence[Any] = _NO_ENDS) -> tuple[Array, Array]:
    """The knots, and the coefficients of the splines through unit vectors as columns."""
    from scipy.interpolate import make_interp_spline  # whoever makes one by its name has SciPy

    unit = make_interp_spline(places, np.eye(len(places)), k, _knots(places, k, ends))
    return unit.t, unit.c


def _of_values(g: Builder, made: tuple[Array, Array], y: Any) -> tuple[Array, Value]:
    knots, unit = made
    return knots, matmul(g.constant(unit), ravel(to_float(g, y)))


@implements_scipy("interpolate.splrep")
def splrep(
    g: Builder,
    x: Any,
    y: Any,
    w: Any = None,
    xb: Any = None,
    xe: Any = None,
    k: int = 3,
    task: int = 0,
    s: Any = None,
    t: Any = None,
    full_output: Any = 0,
    per: Any = 0,
) -> tuple[Array, Value, int]:
    """Knots, coefficients and degree of the spline through points; t gives knots for one of least squares."""
    places = _places(x, "splrep")
    if per or full_output:
        raise Unsupported("splrep with per or full_output cannot be traced", "use make_interp_spline(x, y, k)")
    if task == -1 or t is not None:
        knots, control = _of_values(g, _least_squares(places, t, w, (xb, xe), k), y)
    else:
        _refuse_smoothing(s, "splrep", w is not None)
        knots, control = _of_values(g, _through(places, k, (xb, xe)), y)
    # SciPy has as many coefficients as knots, the last of them zeros.
    return knots, g.emit("pad", control, low=(0,), high=(k + 1,), interior=(0,)), k


@implements_scipy("interpolate.splev")
def splev(g: Builder, x: Any, tck: Any, der: int = 0, ext: Any = 0) -> Any:
    """The spline of knots, coefficients and degree at points, or its derivative of order der.

    Beyond its ends it goes on; it is 0 for ext=1, NaN for 2, where SciPy refuses, and for 3 what it is at the end.
    """
    knots, control, k = getattr(tck, "tck", tck)
    if isinstance(control, list | tuple):
        return [splev(to_float(g, x), (to_float(g, knots), each, k), der, ext) for each in control]
    places = to_float(g, knots)
    ends = [getitem(g, places, j) for j in (k, places.shape[0] - k - 1)]
    where, rule = to_float(g, x), {"extrapolate": 0, "zeros": 1, "raise": 2, "const": 3}.get(ext, ext)
    if rule == 3 and der > 0:
        # SciPy's goes on beyond the ends, or not: as it was made.
        raise Unsupported("a derivative with ext=3 cannot be traced", "write np.clip(x, first, last) and leave out ext")
    if rule == 3:
        where = g.clip(where, *ends)
    found = b_spline(where, places, control, k, nu=der)
    if rule not in (1, 2):
        return found
    return g.select(g.logical_or(g.lt(where, ends[0]), g.gt(where, ends[1])), 0.0 if rule == 1 else np.nan, found)


@implements_scipy("interpolate.splint")
def splint(g: Builder, a: Any, b: Any, tck: Any) -> Value:
    """The integral of the spline from a to b; beyond its ends it is 0."""
    knots, control, k = getattr(tck, "tck", tck)
    low, high = (splev(to_float(g, end), (knots, control, k), -1, 3) for end in (a, b))
    return g.sub(high, low)


def _interpolating(g: Builder, name: str, x: Any, y: Any, k: int, bbox: Any) -> tuple[Any, Any, int]:
    """Knots, coefficients and degree of the spline through points."""
    return (*_of_values(g, _through(_places(x, name), k, bbox), y), k)


@implements_scipy("interpolate.InterpolatedUnivariateSpline.__call__")
def interpolated(
    g: Builder,
    at: Any,
    x: Any,
    y: Any,
    w: Any = None,
    bbox: Any = _NO_ENDS,
    k: int = 3,
    ext: Any = 0,
    *,
    nu: int = 0,
) -> Any:
    """The spline of degree k through points, or its derivative of order nu; ext as in splev. Weights change nothing."""
    return splev(at, _interpolating(g, "InterpolatedUnivariateSpline", x, y, k, bbox), nu, ext)


@implements_scipy("interpolate.InterpolatedUnivariateSpline.integral")
def interpolated_integral(
    g: Builder, a: Any, b: Any, x: Any, y: Any, w: Any = None, bbox: Any = _NO_ENDS, k: int = 3, ext: Any = 0
) -> Value:
    """The integral of such a spline from a to b; beyond its ends it is 0."""
    return splint(a, b, _interpolating(g, "InterpolatedUnivariateSpline", x, y, k, bbox))


@implements_scipy("interpolate.UnivariateSpline.__call__")
def univariate(
    g: Builder,
    at: Any,
    x: Any,
    y: Any,
    w: Any = None,
    bbox: Any = _NO_ENDS,
    k: int = 3,
    s: Any = None,
    ext: Any = 0,
    *,
    nu: int = 0,
) -> Any:
    """The spline of degree k through points for s=0, or its derivative of order nu; ext as in splev."""
    _refuse_smoothing(s, "UnivariateSpline", True)
    return splev(at, _interpolating(g, "UnivariateSpline", x, y, k, bbox), nu, ext)


@implements_scipy("interpolate.UnivariateSpline.integral")
def univariate_integral(
    g: Builder,
    a: Any,
    b: Any,
    x: Any,
    y: Any,
    w: Any = None,
    bbox: Any = _NO_ENDS,
    k: int = 3,
    s: Any = None,
    ext: Any = 0,
) -> Value:
    """The integral of such a spline from a to b; beyond its ends it is 0."""
    _refuse_smoothing(s, "UnivariateSpline", True)
    return splint(a, b, _interpolating(g, "UnivariateSpline", x, y, k, bbox))


def _least_squares(places: Array, t: Any, w: Any, ends: Sequence[Any], k: int) -> tuple[Array, Array]:
    """As `_through`, of the splines of least squares with knots inside, and known weights."""
    if isinstance(t, Value) or isinstance(w, Value):
        raise Unsupported("a spline of traced knots or weights cannot be traced", "give known ones")
    from scipy.interpolate import make_lsq_spline  # whoever makes one by its name has SciPy

    unit = make_lsq_spline(places, np.eye(len(places)), _knots(places, k, ends, t), k, w)
    return unit.t, unit.c


@implements_scipy("interpolate.LSQUnivariateSpline.__call__")
def least_squares(
    g: Builder,
    at: Any,
    x: Any,
    y: Any,
    t: Any,
    w: Any = None,
    bbox: Any = _NO_ENDS,
    k: int = 3,
    ext: Any = 0,
    *,
    nu: int = 0,
) -> Any:
    """The spline of degree k and known knots that is nearest to points, or its derivative of order nu."""
    knots, control = _of_values(g, _least_squares(_places(x, "LSQUnivariateSpline"), t, w, bbox, k), y)
    return splev(at, (knots, control, k), nu, ext)


@implements_scipy("interpolate.bisplev")
def bisplev(g: Builder, x: Any, y: Any, tck: Any, dx: int = 0, dy: int = 0) -> Value:
    """The spline of two numbers at all pairs of them, with as many axes as there are several numbers."""
    found = surface(g, x, y, tck, dx, dy)
    if found.shape[0] > 1:
        return found
    row = getitem(g, found, 0)
    return row if row.shape[0] > 1 else getitem(g, row, 0)


def surface(g: Builder, x: Any, y: Any, tck: Any, dx: int, dy: int, grid: bool = True) -> Value:
    """The same as a matrix; or at each pair of points, for `grid` False. Beyond its ends it is what it is there."""
    knots, (kx, ky) = tck[:2], tck[3:]
    counts = [np.shape(each)[0] - k - 1 for each, k in zip(knots, (kx, ky), strict=True)]
    control = reshape(to_float(g, tck[2]), tuple(counts))
    points = [to_float(g, v) for v in (x, y)]
    points = [g.reshape(v, (v.type.size,)) for v in points] if grid else list(g.align(points))
    shares = [
        b_spline(g.clip(v, t[k], t[-k - 1]), t, np.eye(n), k, nu=nu)
        for v, t, n, k, nu in zip(points, knots, counts, (kx, ky), (dx, dy), strict=True)
    ]
    along = matmul(shares[0], control)
    if grid:
        return matmul(along, swapaxes(shares[1], 0, 1))
    return g.emit("reduce_sum", g.mul(along, shares[1]), axes=(along.type.rank - 1,))


@implements_scipy("interpolate.RectBivariateSpline.__call__")
def rectangular(
    g: Builder,
    at: Any,
    x: Any,
    y: Any,
    z: Any,
    bbox: Any = (None,) * 4,
    kx: int = 3,
    ky: int = 3,
    s: Any = 0,
    *,
    dx: int = 0,
    dy: int = 0,
    grid: bool = True,
) -> Value:
    """The spline through values on a grid, at all pairs of two numbers, or for `grid` False at each pair of them."""
    _refuse_smoothing(s, "RectBivariateSpline", False)
    (tx, across), (ty, along) = (
        _through(_places(each, "RectBivariateSpline"), k, ends)
        for each, k, ends in ((x, kx, bbox[:2]), (y, ky, bbox[2:]))
    )
    control = matmul(matmul(g.constant(across), to_float(g, z)), g.constant(along.T))
    return surface(g, at[0], at[1], (tx, ty, control, kx, ky), dx, dy, grid)


@implements_scipy("interpolate.RectBivariateSpline.ev")
def rectangular_ev(
    g: Builder, /, xi: Any, yi: Any, x: Any, y: Any, z: Any, *more: Any, dx: int = 0, dy: int = 0, **named: Any
) -> Value:
    """The same at pairs of points."""
    return rectangular((xi, yi), x, y, z, *more, dx=dx, dy=dy, grid=False, **named)
