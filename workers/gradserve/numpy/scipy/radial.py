"""scipy.interpolate: sums of functions of the distance from each point, and values scattered on a line."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported, refuse, to_float
from gradserve.numpy.indexing import getitem
from gradserve.numpy.joining import concatenate, stack
from gradserve.numpy.products import matmul, tensordot
from gradserve.numpy.scipy.interpolate import interp1d
from gradserve.numpy.shaping import swapaxes
from gradserve.numpy.systems import solve
from gradserve.numpy.table import implements_scipy

Kernel = Callable[[Builder, Value], Value]

_KERNELS: dict[str, tuple[Kernel, int]] = {
    "linear": (lambda g, s: g.neg(g.sqrt(s)), 0),
    "thin_plate_spline": (lambda g, s: g.mul(g.mul(s, 0.5), g.log(s)), 1),
    "cubic": (lambda g, s: g.mul(s, g.sqrt(s)), 1),
    "quintic": (lambda g, s: g.neg(g.mul(g.mul(s, s), g.sqrt(s))), 2),
    "multiquadric": (lambda g, s: g.neg(g.sqrt(g.add(s, 1.0))), 0),
    "inverse_multiquadric": (lambda g, s: g.div(1.0, g.sqrt(g.add(s, 1.0))), -1),
    "inverse_quadratic": (lambda g, s: g.div(1.0, g.add(s, 1.0)), -1),
    "gaussian": (lambda g, s: g.exp(g.neg(s)), -1),
}
"""Functions of the squared distance, and the least degree of the polynomial that each needs beside it."""
_AT_NO_DISTANCE = {"multiquadric": -1.0, "inverse_multiquadric": 1.0, "inverse_quadratic": 1.0, "gaussian": 1.0}
_WITHOUT_SCALE = frozenset({"linear", "thin_plate_spline", "cubic", "quintic"})


def _apart(g: Builder, points: Value, others: Value) -> Value:
    """The squares of the distances of all pairs of rows."""
    m, n, d = points.shape[0], others.shape[0], points.shape[1]
    one = g.broadcast(g.reshape(points, (m, 1, d)), (m, n, d))
    two = g.broadcast(g.reshape(others, (1, n, d)), (m, n, d))
    gap = g.sub(one, two)
    return g.emit("reduce_sum", g.mul(gap, gap), axes=(2,))


def _kernel(g: Builder, name: str, squares: Value) -> Value:
    """The function of the squares of distances; that of none is known, and has no slope."""
    call, _ = _KERNELS[name]
    if name in _AT_NO_DISTANCE:
        return call(g, squares)
    is_none = g.eq(squares, 0)
    return g.select(is_none, 0.0, call(g, g.select(is_none, 1.0, squares)))


def _powers(g: Builder, x: Value, degree: int) -> Value | None:
    """The monomials up to a degree of each row, along columns."""
    if degree < 0:
        return None
    columns = [g.full(getitem(g, x, (slice(None), 0)).type, 1)]
    for total in range(1, degree + 1):
        for chosen in itertools.combinations_with_replacement(range(x.shape[1]), total):
            column = getitem(g, x, (slice(None), chosen[0]))
            for j in chosen[1:]:
                column = g.mul(column, getitem(g, x, (slice(None), j)))
            columns.append(column)
    return stack(columns, axis=1)


@implements_scipy("interpolate.RBFInterpolator.__call__")
def rbf_interpolator(
    g: Builder,
    at: Any,
    y: Any,
    d: Any,
    neighbors: Any = None,
    smoothing: Any = 0.0,
    kernel: str = "thin_plate_spline",
    epsilon: Any = None,
    degree: Any = None,
) -> Value:
    """The sum of functions of the distances from points, and of a polynomial, that has given values at the points."""
    if neighbors is not None:
        raise Unsupported("RBFInterpolator of the nearest points cannot be traced", "leave out neighbors")
    if kernel not in _KERNELS:
        raise ValueError(f"`kernel` must be one of {sorted(_KERNELS)}.")
    if epsilon is None and kernel not in _WITHOUT_SCALE:
        raise ValueError(f"`epsilon` must be specified if `kernel` is not one of {sorted(_WITHOUT_SCALE)}.")
    where, places, values = to_float(g, at), to_float(g, y), to_float(g, d)
    if where.type.rank != 2 or places.type.rank != 2 or places.shape[0] != values.shape[0]:
        refuse(g, "RBFInterpolator", f"{where.type}, {places.type} and {values.type} are no points and values")
    most = max(_KERNELS[kernel][1], 0) if degree is None else int(degree)
    middle, half = _frame(y)
    scale = 1.0 if epsilon is None else to_float(g, epsilon)
    near, far = (_kernel(g, kernel, g.mul(_apart(g, x, places), g.mul(scale, scale))) for x in (places, where))
    ridge = g.mul(g.constant(np.eye(places.shape[0])), to_float(g, smoothing))
    near = g.add(near, ridge)
    own, theirs = (_powers(g, g.div(g.sub(x, middle), half), most) for x in (places, where))
    if own is not None and theirs is not None:
        count = own.shape[1]
        below = concatenate([swapaxes(own, 0, 1), g.constant(np.zeros((count, count)))], axis=1)
        near, far = concatenate([concatenate([near, own], axis=1), below]), concatenate([far, theirs], axis=1)
        values = concatenate([values, g.zeros(values.type.with_shape((count, *values.shape[1:])))])
    flat = g.reshape(values, (values.shape[0], values.type.size // max(values.shape[0], 1)))
    return g.reshape(matmul(far, solve(near, flat)), (where.shape[0], *values.shape[1:]))


def _frame(y: Any) -> tuple[Any, Any]:
    """Middles and half widths of known points: with polynomials of what lies between -1 and 1 rounding is less."""
    if isinstance(y, Value):
        return 0.0, 1.0
    low, high = np.min(y, axis=0), np.max(y, axis=0)
    return (low + high) / 2, np.where(high > low, (high - low) / 2, 1.0)


_OF_RBF: dict[str, Kernel] = {
    "multiquadric": lambda g, s: g.sqrt(g.add(s, 1.0)),
    "inverse": lambda g, s: g.div(1.0, g.sqrt(g.add(s, 1.0))),
    "inverse_multiquadric": lambda g, s: g.div(1.0, g.sqrt(g.add(s, 1.0))),
    "gaussian": lambda g, s: g.exp(g.neg(s)),
}
_OF_RBF_UNSCALED: dict[str, Kernel] = {
    "linear": lambda g, s: g.sqrt(s),
    "cubic": lambda g, s: g.mul(s, g.sqrt(s)),
    "quintic": lambda g, s: g.mul(g.mul(s, s), g.sqrt(s)),
    "thin_plate": lambda g, s: g.mul(g.mul(s, 0.5), g.log(s)),
    "thin-plate": lambda g, s: g.mul(g.mul(s, 0.5), g.log(s)),
}


@implements_scipy("interpolate.Rbf.__call__")
def rbf(
    g: Builder,
    at: Any,
    /,
    *made: Any,
    function: str = "multiquadric",
    epsilon: Any = None,
    smooth: Any = 0.0,
    norm: str = "euclidean",
    mode: str = "1-D",
) -> Value:
    """The sum of functions of the distances from points that has given values at them: coordinates, then the values."""
    if function not in (*_OF_RBF, *_OF_RBF_UNSCALED) or norm != "euclidean" or mode != "1-D":
        raise Unsupported("Rbf of this function, norm or mode cannot be traced", "use RBFInterpolator")
    where = list(g.align([to_float(g, v) for v in at]))
    *coordinates, values = [to_float(g, v) for v in made]
    places, points = (stack([g.reshape(v, (v.type.size,)) for v in each], axis=1) for each in (coordinates, where))
    near, far = (_of_rbf(g, function, _apart(g, x, places), made[:-1], epsilon) for x in (places, points))
    near = g.sub(near, g.mul(g.constant(np.eye(places.shape[0])), to_float(g, smooth)))
    found = matmul(far, solve(near, g.reshape(values, (values.type.size,))))
    return g.reshape(found, where[0].type.shape)


def _of_rbf(g: Builder, function: str, squares: Value, coordinates: Any, epsilon: Any) -> Value:
    """The function of the squares of distances, of which some are in widths."""
    if function in _OF_RBF:
        width = to_float(g, _width(coordinates) if epsilon is None else epsilon)
        return _OF_RBF[function](g, g.div(squares, g.mul(width, width)))
    is_none = g.eq(squares, 0)
    return g.select(is_none, 0.0, _OF_RBF_UNSCALED[function](g, g.select(is_none, 1.0, squares)))


def _width(coordinates: Any) -> float:
    """About the mean distance of known points."""
    if any(isinstance(v, Value) for v in coordinates):
        raise Unsupported("the width that Rbf chooses of traced points cannot be traced", "give epsilon")
    points = np.array([np.ravel(v) for v in coordinates])
    edges = np.ptp(points, axis=1)
    edges = edges[edges > 0]
    return float((np.prod(edges) / points.shape[1]) ** (1.0 / edges.size))


@implements_scipy("interpolate.griddata")
def griddata(
    g: Builder,
    points: Any,
    values: Any,
    xi: Any,
    method: str = "linear",
    fill_value: Any = np.nan,
    rescale: bool = False,
) -> Value:
    """The values between known points: on a line as by interp1d, else at known points, 'linear' or 'nearest'."""
    if isinstance(points, Value):
        raise Unsupported("griddata of traced points cannot be traced", "use RBFInterpolator(points, values)(xi)")
    places = np.stack([np.ravel(p) for p in points], 1) if isinstance(points, tuple) else np.asarray(points, float)
    rows = to_float(g, values)
    if places.ndim == 1 or places.shape[1] == 1:
        line = places.reshape(-1)
        order = np.argsort(line)
        (where,) = xi if isinstance(xi, tuple) else (xi,)
        at = to_float(g, where)
        if places.ndim == 2 and at.type.rank and at.shape[-1] == 1:
            at = getitem(g, at, (..., 0))
        fill = "extrapolate" if method == "nearest" else fill_value
        return interp1d(at, line[order], getitem(g, rows, order), method, 0, True, False, fill)
    return _between(g, places, rows, xi, method, fill_value, rescale)


def _between(g: Builder, places: Array, rows: Value, xi: Any, method: str, fill: Any, rescale: bool) -> Value:
    """In several dimensions, by the shares that SciPy gives to each point at known places."""
    if method not in ("linear", "nearest"):
        raise Unsupported(f"griddata by {method!r} cannot be traced", "use 'linear', 'nearest' or RBFInterpolator")
    if any(isinstance(v, Value) for v in (xi if isinstance(xi, tuple | list) else [xi])):
        raise Unsupported("griddata at traced points cannot be traced", "use RBFInterpolator(points, values)(xi)")
    from scipy import interpolate  # who calls it by its name has SciPy

    own: Any = interpolate.griddata
    shares = own(places, np.eye(len(places)), xi, method, np.nan, rescale)
    outside = np.isnan(shares).any(axis=-1)
    found = tensordot(g.constant(np.where(outside[..., None], 0.0, shares)), rows, 1)
    spread = outside.reshape(outside.shape + (1,) * (rows.type.rank - 1))
    return g.select(g.constant(np.broadcast_to(spread, found.shape)), fill, found)
