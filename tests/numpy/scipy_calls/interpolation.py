"""Functions of scipy.interpolate called as their authors do, by the names that SciPy gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.interpolate

interpolate: Any = scipy.interpolate
_RNG = np.random.default_rng(11)
T = np.array([0.0, 0.7, 1.1, 2.0, 2.6, 3.3, 4.1])
V = _RNG.normal(size=7)
W = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 2.0])
AT = np.array([-0.4, 0.05, 0.8, 1.5, 2.4, 3.6, 4.6])
INSIDE = AT[1:6]
COLUMNS = _RNG.normal(size=(7, 2))
PLANE = _RNG.normal(size=(9, 2))
HEIGHTS = _RNG.normal(size=9)
ELSEWHERE = _RNG.normal(size=(4, 2))
LEVELS = _RNG.normal(size=(7, 5))
ACROSS = (T, np.array([-1.0, 0.2, 0.9, 1.4, 3.0]))
TCK = interpolate.splrep(T, V, W, s=0.3)
FITTED = interpolate.UnivariateSpline(T, V, s=0.4, ext=3)
COLUMNED: Any = interpolate.make_interp_spline(T, LEVELS, k=2, axis=0)
TURNED: Any = interpolate.make_interp_spline(ACROSS[1], LEVELS, k=3, axis=1)
KNOWN_POLYNOMIALS: Any = (
    interpolate.KroghInterpolator(T, COLUMNS),
    interpolate.BarycentricInterpolator(T, LEVELS.T, axis=1),
    interpolate.Akima1DInterpolator(T, V),
)
RADIAL: Any = (
    interpolate.RBFInterpolator(PLANE, np.stack([HEIGHTS, HEIGHTS**2], 1), kernel="cubic", smoothing=0.1),
    interpolate.RBFInterpolator(PLANE, HEIGHTS, kernel="gaussian", epsilon=0.7, degree=-1),
)
KERNELS = ("linear", "thin_plate_spline", "cubic", "quintic", "multiquadric", "inverse_multiquadric")
FUNCTIONS = ("multiquadric", "inverse", "gaussian", "linear", "cubic", "quintic", "thin_plate")


def _univariate(y: Any, at: Any) -> list[Any]:
    found = []
    for k in (1, 2, 3, 4, 5):
        for spline in (
            interpolate.InterpolatedUnivariateSpline(T, y, k=k),
            interpolate.UnivariateSpline(T, y, k=k, s=0, bbox=[-0.5, 5.0]),
        ):
            found += [spline(at), spline.integral(0.3, 9.0)]
            found += [spline(at, 1), spline.derivative()(at)] if k > 1 else []
    return found


def _beyond(y: Any, at: Any) -> list[Any]:
    rules: Any = (0, "zeros", 3)
    splines = [interpolate.InterpolatedUnivariateSpline(T, y, W, k=3, ext=rule) for rule in rules]
    again = interpolate.UnivariateSpline(T, y, s=0)
    return [
        *(spline(at) for spline in splines),
        again(at, 0, 1),
        again.derivative(n=2)(at),
        again.antiderivative()(at),
        again.antiderivative(2)(at),
        again.antiderivative(n=1).derivative(2)(at),
    ]


def _by_knots(y: Any, x: Any) -> list[Any]:
    tcks = [interpolate.splrep(T, y, k=k) for k in (1, 3, 4)]
    tcks += [interpolate.splrep(T, y, W, s=0, xb=-1.0), interpolate.splrep(T, y, W, t=[1.5, 2.8])]
    found = [interpolate.splev(x, tck, ext=ext) for tck in tcks for ext in (0, 1, 3)]
    return [
        *found,
        interpolate.splev(x, tcks[1], 2),
        interpolate.BSpline(*tcks[1])(x),
        interpolate.splint(0.3, 8.0, tcks[2]),
    ]


def _rectangular(z: Any, x: Any, y: Any) -> list[Any]:
    surface = interpolate.RectBivariateSpline(*ACROSS, z, kx=3, ky=2)
    return [
        surface(x, y),
        surface(x, y[:4], 1, 1),
        surface(x, y[:7], grid=False),
        surface.ev(x, y[:7], dx=1),
        surface(0.3, 0.4),
        interpolate.bisplev(
            x, np.sort(T), interpolate.bisplrep(*map(np.ravel, np.meshgrid(T, T)), np.sin(np.arange(49.0)), s=9)
        ),
    ]


def _splines_integrals(y: Any) -> list[Any]:
    curve = interpolate.make_interp_spline(T, y, k=3)
    return [curve.integrate(0.3, 2.9), curve.antiderivative()(AT), curve.antiderivative(2)(AT), curve.derivative(2)(AT)]


def _polynomials(x: Any, y: Any, at: Any) -> list[Any]:
    krogh, barycentric = interpolate.KroghInterpolator(x, y), interpolate.BarycentricInterpolator(x, y)
    return [
        *(krogh(at), krogh.derivative(at, 1), krogh.derivative(at, 3)),
        *(barycentric(at), barycentric.derivative(at, 2), interpolate.lagrange(x[:4], y[:4])(at)),
    ]


def _radial(y: Any, d: Any, at: Any) -> list[Any]:
    found = [interpolate.RBFInterpolator(y, d, kernel=kernel, epsilon=0.8)(at) for kernel in KERNELS]
    return [
        *found,
        interpolate.RBFInterpolator(y, d, smoothing=0.2, degree=2)(at),
        interpolate.RBFInterpolator(y, d, kernel="inverse_quadratic", epsilon=1.3, degree=-1)(at),
    ]


CALLS: dict[str, tuple[Any, ...]] = {
    "univariate splines": (_univariate, V, AT),
    "univariate beyond": (_beyond, V, AT),
    "univariate of least squares": (lambda y: interpolate.LSQUnivariateSpline(T, y, [1.5, 2.8], W)(AT), V),
    "splines by knots": (_by_knots, V, INSIDE),
    "known spline at": (lambda x: [interpolate.splev(x, TCK, 1), interpolate.splev(x, TCK), *_fitted_at(x)], AT),
    "splines of columns": (
        lambda x: [COLUMNED(x), COLUMNED(x, 1), TURNED(x), interpolate.BSpline(TURNED.t, TURNED.c, 3)(x)],
        INSIDE,
    ),
    "smoothing spline": (
        lambda y, lam: [
            *(
                interpolate.make_smoothing_spline(T, y, lam=lam)(AT),
                interpolate.make_smoothing_spline(T, y, W, lam)(AT),
            ),
            interpolate.make_smoothing_spline(T, y, lam=lam).derivative()(INSIDE),
        ],
        *(V, np.array(0.3)),
    ),
    "splines through columns": (lambda y: interpolate.make_interp_spline(T, y, k=3, axis=1)(INSIDE[:3]), COLUMNS.T),
    "splines' integrals": (_splines_integrals, V),
    "surfaces": (_rectangular, LEVELS, np.sort(AT), np.sort(np.append(ELSEWHERE[:, 0], AT[:3]))),
    "akima": (
        lambda x, y, at: [
            interpolate.Akima1DInterpolator(x, y)(at),
            interpolate.Akima1DInterpolator(x, y, method="makima", extrapolate=True)(at, 1),
            interpolate.Akima1DInterpolator(x[:2], y[:2])(at[:1]),
            interpolate.Akima1DInterpolator(x[:3], np.outer(y[:3], y[3:]))(at[:2]),
            interpolate.Akima1DInterpolator(T, np.array([0.0, 0.7, 1.1, 2.0, 3.2, 4.6, 6.2]) * y[0])(at),
        ],
        T,
        V,
        INSIDE,
    ),
    "polynomials": (_polynomials, T, V, np.append(AT, 1.0)),
    "polynomials of columns": (
        lambda y: [interpolate.KroghInterpolator(T, y, axis=1)(AT), interpolate.BarycentricInterpolator(T, y.T)(0.3)],
        COLUMNS.T,
    ),
    "polynomials at": (lambda x: [known(x) for known in KNOWN_POLYNOMIALS], INSIDE),
    "radial": (_radial, PLANE, HEIGHTS, ELSEWHERE),
    "radial of known points": (
        lambda d: [interpolate.RBFInterpolator(PLANE, d, kernel=k, epsilon=2.0)(PLANE[:3] + 0.1) for k in KERNELS],
        np.stack([HEIGHTS, HEIGHTS**2], 1),
    ),
    "radial by its width": (
        lambda e, s: interpolate.RBFInterpolator(PLANE, HEIGHTS, epsilon=e, smoothing=s, kernel="gaussian")(ELSEWHERE),
        np.array(0.9),
        np.array(0.01),
    ),
    "radial at": (lambda x: [known(x) for known in RADIAL], ELSEWHERE),
    "rbf": (
        lambda d, x, y, e: [
            *(interpolate.Rbf(*PLANE.T, d, function=name)(x, y) for name in FUNCTIONS),
            interpolate.Rbf(T, d[:7], epsilon=e, smooth=0.1)(x),
        ],
        HEIGHTS,
        *ELSEWHERE.T,
        np.array(1.2),
    ),
    "griddata": (
        lambda v, x: [interpolate.griddata(T[::-1], v[:7], x, method=m) for m in ("linear", "nearest", "cubic")],
        HEIGHTS,
        INSIDE,
    ),
    "griddata on a plane": (
        lambda v: [
            interpolate.griddata(PLANE, v, ELSEWHERE, fill_value=0.5),
            interpolate.griddata(PLANE, v, (ELSEWHERE[:, 0], ELSEWHERE[:, 1]), method="nearest"),
        ],
        HEIGHTS,
    ),
}


def _fitted_at(x: Any) -> list[Any]:
    """A smoothing spline that was made of numbers, at points."""
    return [FITTED(x), FITTED(x, 1, 1), FITTED(x, ext=0), FITTED.antiderivative()(x), FITTED(x, 2, ext="zeros")]
