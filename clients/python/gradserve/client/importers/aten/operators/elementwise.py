"""Arithmetic, comparisons, logic and conversions, element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradserve.client.importers.aten.table import Given, Node, Result, Scalar, translates
from gradserve.client.importers.lax import elementwise as lax
from gradserve.client.importers.lax.bits import frexp, nextafter
from gradserve.client.importers.lax.elements import Operand, bits_of, converted
from gradserve.ir.builder import Value
from gradserve.numpy import elementwise, logic, probability, special, ufuncs

_REAL = {
    **{name: name for name in ("exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan")},
    **{name: name for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sqrt", "erf", "erfc", "digamma")},
    **{"erfinv": "erfinv", "lgamma": "gammaln", "special_erfcx": "erfcx"},
    **{"special_ndtr": "ndtr"},
}
"""Functions of real numbers that are one op; integers become reals first."""
_COMPOSED: dict[str, Callable[[Value], Value]] = {
    "exp2": ufuncs.exp2,
    "log2": ufuncs.log2,
    "log10": ufuncs.log10,
    "reciprocal": ufuncs.reciprocal,
    "deg2rad": ufuncs.radians,
    "rad2deg": ufuncs.degrees,
    "sinc": elementwise.sinc,
    "special_entr": probability.entr,
    "special_ndtri": probability.ndtri,
    "special_log_ndtr": probability.log_ndtr,
}
"""Functions of one real that `gradserve.numpy` has."""
_ROUNDED: dict[str, Callable[[Value], Value]] = {"floor": ufuncs.floor, "ceil": ufuncs.ceil, "trunc": ufuncs.trunc}
_NAN_LOSES: dict[str, Callable[[Value, Value], Value]] = {"fmax": ufuncs.fmax, "fmin": ufuncs.fmin}


def _enter_real(name: str, op: str) -> None:
    translates(name)(lambda n, x: n.g.emit(op, n.of(x)))


def _enter_composed(name: str, function: Callable[[Value], Value]) -> None:
    translates(name)(lambda n, x: function(n.of(x)))


def _enter_rounded(name: str, function: Callable[[Value], Value]) -> None:
    translates(name)(lambda n, x: function(x.value) if x.is_float else x.value)


for _name, _op in _REAL.items():
    _enter_real(_name, _op)
for _name, _function in _COMPOSED.items():
    _enter_composed(_name, _function)
for _name, _function in _ROUNDED.items():
    _enter_rounded(_name, _function)


@translates("neg", "abs", "sign", "sgn")
def _signed(n: Node, x: Operand) -> Result:
    """x turned round, without its sign, or its sign alone."""
    return lax.ELEMENTWISE["sign" if n.name == "sgn" else n.name](n.g, x) if x.dtype.kind != "b" else x.value


@translates("sigmoid", "special_expit")
def _sigmoid(n: Node, x: Operand) -> Result:
    """1 / (1 + exp(-x))."""
    return lax.logistic(n.g, n.operand(x))


@translates("rsqrt")
def _rsqrt(n: Node, x: Operand) -> Result:
    """1 over the square root."""
    return lax.rsqrt(n.g, n.operand(x))


@translates("round")
def _round(n: Node, x: Operand, decimals: int = 0) -> Result:
    """The nearest number with so many decimals; of two equally near the even one."""
    return elementwise.round_(x.value, decimals) if x.is_float else x.value


@translates("frac")
def _frac(n: Node, x: Operand) -> Result:
    """What is left of x without its whole part."""
    return n.g.sub(x.value, ufuncs.trunc(x.value))


@translates("signbit")
def _signbit(n: Node, x: Operand) -> Result:
    """Whether the sign is minus."""
    return logic.isnan(x.value) if x.dtype.kind == "b" else elementwise.signbit(x.value)


@translates("copysign")
def _copysign(n: Node, x: Given, y: Given) -> Result:
    """x with the sign of y."""
    return elementwise.copysign(*(n.of(each) for each in (x, y)))


@translates("add", "sub")
def _add(n: Node, x: Given, y: Given, alpha: Scalar = 1) -> Result:
    """x plus or minus a multiple of y."""
    a, b = n.of(x), n.of(y)
    if alpha != 1:
        b = n.g.mul(b, n.of(alpha))
    if n.dtype.kind == "b":
        return n.g.logical_or(a, b)
    return n.g.emit(n.name, a, b)


@translates("rsub")
def _rsub(n: Node, x: Given, y: Given, alpha: Scalar = 1) -> Result:
    """y less a multiple of x."""
    return n.g.sub(n.of(y), n.g.mul(n.of(x), n.of(alpha)))


@translates("mul")
def _mul(n: Node, x: Given, y: Given) -> Result:
    """The product."""
    a, b = n.of(x), n.of(y)
    return n.g.logical_and(a, b) if n.dtype.kind == "b" else n.g.mul(a, b)


@translates("div")
def _div(n: Node, x: Given, y: Given, rounding_mode: str | None = None) -> Result:
    """The quotient, or the whole number below it or towards 0."""
    g, (a, b) = n.g, [n.operand(each) for each in (x, y)]
    if rounding_mode == "floor":
        return _floor_divided(n, a, b)
    if rounding_mode == "trunc":
        return ufuncs.trunc(g.div(a.value, b.value)) if a.is_float else lax.divide(g, a, b)
    return g.div(a.value, b.value)


@translates("floor_divide")
def _floor_divide(n: Node, x: Given, y: Given) -> Result:
    """The whole number below the quotient."""
    return _floor_divided(n, n.operand(x), n.operand(y))


def _floor_divided(n: Node, x: Operand, y: Operand) -> Value:
    return ufuncs.floor_divide(*n.g.align([x.value, y.value]))


@translates("fmod", "remainder")
def _remainder(n: Node, x: Given, y: Given) -> Result:
    """What division leaves, with the sign of x, or of y."""
    g = n.g
    values = g.align([n.of(x), n.of(y)])
    if n.name == "remainder":
        return g.remainder(*values)
    a, b = (Operand(value, n.dtype) for value in values)
    return lax.remainder(g, a, b)


@translates("pow", "float_power")
def _pow(n: Node, x: Given, y: Given) -> Result:
    """x to the power of y."""
    if n.dtype.kind in "fc":
        if isinstance(y, int) and isinstance(x, Operand) and 0 <= y <= 4:
            return lax.integer_pow(n.g, n.operand(x), int(y)) if y else n.g.full(n.operand(x).value.type, 1)
        return ufuncs.power(*n.g.align([n.of(x), n.of(y)]))
    if isinstance(y, int | float) and isinstance(x, Operand) and float(y).is_integer() and 0 <= y <= 64:
        return lax.integer_pow(n.g, n.operand(x), int(y))
    if bits_of(n.dtype) > 32:
        raise n.refuse("powers of int64 by several exponents may not be exact", "convert the base to float64")
    real = np.dtype(np.float64)
    return ufuncs.power(*n.g.align([n.of(x, real), n.of(y, real)]))


@translates("maximum", "minimum", "fmax", "fmin")
def _extremum(n: Node, x: Given, y: Given) -> Result:
    """The larger or the smaller of two; where they are equal each has half of the derivative."""
    g, values = n.g, n.g.align([n.of(x), n.of(y)])
    a, b = (Operand(value, n.dtype) for value in values)
    if n.name in ("fmax", "fmin") and a.is_float:
        return _NAN_LOSES[n.name](*values)
    return lax.ELEMENTWISE["max" if n.name.endswith("max") or n.name == "maximum" else "min"](g, a, b)


@translates("atan2")
def _atan2(n: Node, y: Given, x: Given) -> Result:
    """The angle of the point (x, y)."""
    return n.g.emit("atan2", n.of(y), n.of(x))


@translates("hypot", "logaddexp")
def _paired(n: Node, x: Given, y: Given) -> Result:
    """Both by the op of that name."""
    return n.g.emit(n.name, n.of(x), n.of(y))


@translates("logaddexp2")
def _logaddexp2(n: Node, x: Given, y: Given) -> Result:
    """The logarithm to base 2 of the sum of powers of 2."""
    return ufuncs.logaddexp2(n.of(x), n.of(y))


@translates("xlogy", "special_xlog1py")
def _xlogy(n: Node, x: Given, y: Given) -> Result:
    """x log(y), or x log(1 + y); 0 where x is 0."""
    function = special.xlogy if n.name == "xlogy" else special.xlog1py
    return function(*n.g.align([n.of(x), n.of(y)]))


@translates("heaviside")
def _heaviside(n: Node, x: Given, y: Given) -> Result:
    """0 where x is negative, 1 where it is positive, else y."""
    g, (a, b) = n.g, n.g.align([n.of(x), n.of(y)])
    return g.select(g.eq(a, 0), b, g.convert(g.gt(a, 0), a.type.element_type))


@translates("nan_to_num")
def _nan_to_num(
    n: Node, x: Operand, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Result:
    """x with numbers in the place of those that are not finite."""
    if x.is_complex:
        raise n.refuse("it is of complex numbers", "call it for the real and the imaginary part")
    return elementwise.nan_to_num(x.value, True, nan or 0.0, posinf, neginf) if x.is_float else x.value


@translates("lerp")
def _lerp(n: Node, x: Given, y: Given, weight: Given) -> Result:
    """x and, as the weight grows to 1, y."""
    a, b = n.of(x), n.of(y)
    return n.g.add(a, n.g.mul(n.of(weight), n.g.sub(b, a)))


@translates("addcmul", "addcdiv")
def _addc(n: Node, x: Operand, a: Operand, b: Operand, value: Scalar = 1) -> Result:
    """x plus a multiple of the product or the quotient of two others."""
    product = n.g.mul(n.of(a), n.of(b)) if n.name == "addcmul" else n.g.div(n.of(a), n.of(b))
    return n.g.add(n.of(x), n.g.mul(product, n.of(value)))


@translates("_to_copy", "to", "_to_dense", "prims.convert_element_type", "convert_element_type")
def _to_copy(n: Node, x: Operand, dtype: np.dtype[np.generic] | None = None) -> Result:
    """x with other elements; of complex numbers that become real the imaginary part is lost."""
    return converted(n.g, x, n.dtype)


@translates("nextafter")
def _nextafter(n: Node, x: Given, y: Given) -> Result:
    """The number after x on the way to y; the derivative in x is 1."""
    g = n.g
    a, b = (Operand(each, n.dtype) for each in g.align([n.of(x), n.of(y)]))
    found = nextafter(g, a, b)
    finite = g.logical_and(g.is_finite(a.value), g.is_finite(found))
    step = g.stop_gradient(g.select(finite, g.sub(found, a.value), 0.0))
    return g.select(finite, g.add(a.value, step), found)


@translates("_local_scalar_dense")
def _item(n: Node, x: Operand) -> Result:
    """The one element of x."""
    return n.g.reshape(x.value, ())


@translates("frexp")
def _frexp(n: Node, x: Operand) -> Result:
    """A number from a half to before 1, and the power of 2 that x is it times."""
    mantissa, exponent = frexp(n.g, x.value)
    return [mantissa, n.g.convert(exponent, n.of(0, n.dtypes[1]).type.element_type)]


@translates("ldexp")
def _ldexp(n: Node, x: Given, y: Given) -> Result:
    """x times a power of 2."""
    return n.g.mul(n.of(x), ufuncs.exp2(n.of(y)))


@translates("logit")
def _logit(n: Node, x: Operand, eps: float | None = None) -> Result:
    """log(x / (1 - x)), of x kept off 0 and 1 by eps."""
    g, value = n.g, n.of(x)
    if eps is not None:
        value = g.select(g.lt(value, eps), eps, g.select(g.gt(value, 1 - eps), 1 - eps, value))
    return special.logit(value)


@translates("log_sigmoid_forward", "log_sigmoid")
def _log_sigmoid(n: Node, x: Operand) -> Result:
    """The logarithm of the sigmoid."""
    return [special.log_expit(x.value), None]
