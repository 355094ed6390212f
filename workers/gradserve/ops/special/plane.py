"""Special functions of complex numbers whose slopes are made of elementary functions and themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import require
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.complexes import OfComplex

_ROOT = math.sqrt(math.pi)
_SHIFT = 16.0
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
"""B_2, B_4, ...: the sum of 1 / (z + k)^2 over all k is 1/z + 1/(2 z^2) + sum_k B_2k / z^(2k + 1), far from 0."""


def trigamma(g: Builder, z: Value) -> Value:
    """The derivative of digamma: the sum of 1 / (z + k)^2; left of 1/2 by reflection."""
    left = g.lt(g.real(z), 0.5)
    at = g.select(left, g.sub(1.0, z), z)
    places = g.add(g.reshape(at, (*z.shape, 1)), g.constant(np.arange(_SHIFT), z.type.element_type))
    passed = g.reduce_sum(g.div(1.0, g.mul(places, places)), axes=(z.type.rank,))
    inverse = g.div(1.0, g.add(at, _SHIFT))
    square, series = g.mul(inverse, inverse), g.zeros(z.type)
    for coefficient in reversed(_BERNOULLI):
        series = g.mul(g.add(series, coefficient), square)
    found = g.add(passed, g.mul(inverse, g.add(g.add(series, g.mul(inverse, 0.5)), 1.0)))
    # pi^2 / sin(pi z)^2 as -4 pi^2 e / (1 - e)^2 with e = exp(2 pi i z), or its conjugate below the axis: at most 1.
    above = g.ge(g.imag(z), 0.0)
    nearest = g.round(g.real(z))
    real, imaginary = g.sub(g.real(z), nearest), g.imag(z)
    inside = g.select(left, g.complex(real, imaginary), 0.25)
    turned = g.mul(g.select(above, inside, g.neg(inside)), 2j * math.pi)
    less = g.expm1(turned)
    reflected = g.div(g.mul(g.add(less, 1.0), -4.0 * math.pi**2), g.mul(less, less))
    return g.select(left, g.sub(reflected, found), found)


def _gauss(sign: float, size: float) -> Callable[[Builder, Value, Value], Value]:
    return lambda g, z, _: g.mul(g.exp(g.mul(g.mul(z, z), sign)), size)


_FAR = 10.0
_TERMS = 16


def _of_dawson(g: Builder, z: Value, y: Value) -> Value:
    """1 - 2 z y; far out, where the two cancel, -sum (2k - 1)!! / (2 z^2)^k and what exp(-z^2) adds off the axis."""
    far = g.gt(g.abs(z), _FAR)
    at, series = g.select(far, z, _FAR), g.zeros(z.type)
    inverse = g.div(0.5, g.mul(at, at))
    for k in range(_TERMS, 0, -1):
        series = g.mul(g.mul(inverse, 2.0 * k - 1.0), g.add(series, 1.0))
    side = g.sign(g.imag(z))
    added = g.mul(g.mul(g.mul(at, g.exp(g.neg(g.mul(at, at)))), side), 1j * _ROOT)
    return g.select(far, g.neg(g.add(series, added)), g.sub(1.0, g.mul(g.mul(z, 2.0), y)))


def _of_spence(g: Builder, z: Value, _: Value) -> Value:
    """log(z) / (1 - z); near 1 by its power series."""
    u = g.sub(z, 1.0)
    near = g.lt(g.abs(u), 0.1)
    t, series = g.select(near, u, 0.0), g.zeros(z.type)
    for k in range(24, 0, -1):
        series = g.sub(1.0 / k, g.mul(t, series))
    slope = g.div(g.log(g.select(near, 0.5, z)), g.select(near, 0.5, u))
    return g.neg(g.select(near, series, slope))


def _of_omega(g: Builder, _: Value, y: Value) -> Value:
    return g.div(y, g.add(y, 1.0))


def _of_log_ndtr(g: Builder, z: Value, y: Value) -> Value:
    """exp(-z^2 / 2) / sqrt(2 pi) by the law; on the left, where both vanish, by the scaled function."""
    left = g.lt(g.real(z), 0.0)
    scaled = g.emit("wofz", g.mul(g.select(left, z, -1.0), -1j * math.sqrt(0.5)))
    exponent = g.select(left, 0.0, g.neg(g.add(g.mul(g.mul(z, z), 0.5), y)))
    return g.select(left, g.div(math.sqrt(2.0 / math.pi), scaled), g.mul(g.exp(exponent), 1 / math.sqrt(2.0 * math.pi)))


def _over_z(function: str, sign: float) -> Callable[[Builder, Value, Value], Value]:
    """sin(z) / z or sinh(z) / z; near 0 by its power series."""

    def slope(g: Builder, z: Value, _: Value) -> Value:
        near = g.lt(g.abs(z), 0.5)
        t, series = g.select(near, z, 0.0), g.zeros(z.type)
        square = g.mul(t, t)
        for k in range(10, 0, -1):
            series = g.mul(g.mul(square, sign / (2 * k * (2 * k + 1))), g.add(series, 1.0))
        far = g.select(near, 1.0, z)
        return g.select(near, g.add(series, 1.0), g.div(g.emit(function, far), far))

    return slope


def _half_turn(function: str) -> Callable[[Builder, Value, Value], Value]:
    return lambda g, z, _: g.emit(function, g.mul(g.mul(z, z), math.pi / 2))


def _airy(kind: int) -> Callable[[Builder, Value, Value], Value]:
    if kind % 2 == 0:
        return lambda g, z, _: g.emit("special_of_complex", z, kind=f"airy {kind + 1}")
    return lambda g, z, _: g.mul(z, g.emit("special_of_complex", z, kind=f"airy {kind - 1}"))


KINDS: dict[str, Callable[[Builder, Value, Value], Value]] = {
    "erf": _gauss(-1.0, 2.0 / _ROOT),
    "erfc": _gauss(-1.0, -2.0 / _ROOT),
    "erfi": _gauss(1.0, 2.0 / _ROOT),
    "dawsn": _of_dawson,
    "ndtr": _gauss(-0.5, 1 / math.sqrt(2.0 * math.pi)),
    "log_ndtr": _of_log_ndtr,
    "gamma": lambda g, z, y: g.mul(y, g.emit("special_of_complex", z, kind="psi")),
    "loggamma": lambda g, z, _: g.emit("special_of_complex", z, kind="psi"),
    "psi": lambda g, z, _: trigamma(g, z),
    "exp1": lambda g, z, _: g.neg(g.div(g.exp(g.neg(z)), z)),
    "expi": lambda g, z, _: g.div(g.exp(z), z),
    "spence": _of_spence,
    "wrightomega": _of_omega,
    "sici 0": _over_z("sin", -1.0),
    "sici 1": lambda g, z, _: g.div(g.cos(z), z),
    "shichi 0": _over_z("sinh", 1.0),
    "shichi 1": lambda g, z, _: g.div(g.cosh(z), z),
    "fresnel 0": _half_turn("sin"),
    "fresnel 1": _half_turn("cos"),
    **{f"airy {kind}": _airy(kind) for kind in range(4)},
}
"""By SciPy's function, with the number of its result if there are several: the derivative, of z and the result."""


@register
@dataclass(frozen=True)
class SpecialOfComplex(OfComplex):
    """A special function of a complex number: the error function and its kin, gamma functions, integrals, Airy's."""

    kind: str

    name = "special_of_complex"
    function = "erf"
    constraints: ClassVar[dict[str, str]] = {**OfComplex.constraints, "C4": "the kind is one that is known"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        require(self.kind in KINDS, "C4", f"{self.kind!r} is none of {', '.join(KINDS)}")
        return results

    def impl(self, xp: Any, *arrays: Array) -> Any:
        function, _, part = self.kind.partition(" ")
        found = routine(xp, function)(*arrays)
        return xp.astype(found[int(part)] if part else found, arrays[0].dtype)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """The derivative of the kind, dz."""
        return g.mul(KINDS[self.kind](g, x, y), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All kinds; a scalar, nothing; both sides of the axes."""
        points = np.array([0.5 + 0.3j, -1.2 + 2.0j, 0.7 - 0.4j, 2.0 + 0.1j])
        yield from cls.at(cls("erf"), points)
        for kind in KINDS:
            yield Sample(cls(kind), (points,))
