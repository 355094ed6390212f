"""scipy.special: functions that are no ufuncs."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy import zetas
from gradserve.numpy.arguments import Unsupported, integer, to_float, to_real
from gradserve.numpy.special import by_orders
from gradserve.numpy.table import OWN, SCIPY, implements_scipy
from gradserve.ops.special.bessel import Spherical, SphericalI, SphericalJ, SphericalK, SphericalY

_MOST_COSINES = 10_000

for _name in ("log_softmax", "logsumexp", "multigammaln", "polygamma", "softmax"):
    SCIPY[f"scipy.special.{_name}"] = OWN[_name]


@implements_scipy("special.comb")
def comb(g: Builder, N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Value:
    """The number of ways to choose k of N; 0 where there is none."""
    if exact or repetition:
        raise Unsupported("scipy.special.comb with exact or repetition cannot be traced", "leave them out")
    n, count = g.align([to_float(g, v) for v in g.promote([to_float(g, N), to_float(g, k)])])
    some = g.logical_and(g.logical_and(g.le(count, n), g.ge(n, 0)), g.ge(count, 0))
    n, count = g.select(some, n, 1.0), g.select(some, count, 1.0)
    ways = g.div(1.0, g.mul(g.add(n, 1), g.beta(g.add(g.sub(n, count), 1), g.add(count, 1))))
    return g.select(some, ways, 0.0)


@implements_scipy("special.diric")
def diric(g: Builder, x: Any, n: Any) -> Value:
    """Dirichlet's function sin(n x / 2) / (n sin(x / 2)) of a whole n: a mean of n cosines, smooth everywhere."""
    value, count = to_real(g, x, "diric"), integer(n, "n")
    if not 1 <= count <= _MOST_COSINES:
        raise Unsupported(f"scipy.special.diric of n={count} cannot be traced", f"write 1 to {_MOST_COSINES}")
    turns = np.arange(count) - (count - 1) / 2
    cosines = g.cos(g.mul(g.reshape(value, (*value.type.shape, 1)), turns))
    return g.convert(g.div(g.reduce_sum(cosines, axes=(value.type.rank,)), float(count)), value.type.element_type)


@implements_scipy("special.factorial")
def factorial(g: Builder, n: Any, exact: bool = False) -> Value:
    """n!, by the gamma function; 0 below 0."""
    if exact:
        raise Unsupported("scipy.special.factorial with exact=True cannot be traced", "leave it out")
    x = to_float(g, n)
    some = g.ge(x, 0)
    return g.select(some, g.gamma(g.add(g.select(some, x, 0.0), 1)), 0.0)


@implements_scipy("special.lambertw")
def lambertw(g: Builder, z: Any, k: Any = 0, tol: Any = 1e-8) -> Value:
    """Lambert's function, the complex w with w exp(w) = z, on a branch known while tracing."""
    return g.emit("lambertw", g.convert(to_float(g, z), ElementType.COMPLEX128), branch=integer(k, "the branch k"))


def _spherical(name: str, kind: type[Spherical]) -> None:
    def apply(g: Builder, n: Any, z: Any, derivative: bool = False) -> Value:
        x, order = to_real(g, z, name), integer(n, "the order n")
        if not derivative:
            return g.apply(kind(order), [x])[0]
        return kind(order).slope(g, x)

    apply.__doc__ = f"{kind.__doc__} Of an order known while tracing, or its derivative."
    implements_scipy(f"special.{name}")(apply)


for _kind in (SphericalI, SphericalJ, SphericalK, SphericalY):
    _spherical(_kind.function, _kind)


@implements_scipy("special.perm")
def perm(g: Builder, N: Any, k: Any, exact: bool = False) -> Value:
    """The number of ways to take k of N in turn; 0 where there is none."""
    if exact:
        raise Unsupported("scipy.special.perm with exact=True cannot be traced", "leave it out")
    n, count = g.align([to_float(g, v) for v in g.promote([to_float(g, N), to_float(g, k)])])
    some = g.logical_and(g.logical_and(g.le(count, n), g.ge(n, 0)), g.ge(count, 0))
    n, count = g.select(some, n, 1.0), g.select(some, count, 1.0)
    return g.select(some, g.emit("poch", g.add(g.sub(n, count), 1.0), count), 0.0)


@implements_scipy("special.zeta")
def zeta(g: Builder, x: Any, q: Any = None) -> Value:
    """Hurwitz's zeta function, the sum of (k + q)^-x; q must be above 0 where the exponent x is traced."""
    exponent = to_real(g, x, "zeta")
    if q is None and g.literal(exponent) is None:
        return g.add(zetas.less_one(g, exponent), 1.0)
    base = to_real(g, 1.0 if q is None else q, "zeta")
    if g.literal(exponent) is None:
        return zetas.hurwitz(g, *g.align(g.promote([exponent, base])))
    return by_orders(g, "zeta", exponent, [base], lambda each: g.emit("zeta", base, exponent=each))
