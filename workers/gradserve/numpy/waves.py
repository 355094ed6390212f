"""Ufuncs of scipy.special that solve equations of waves and heat: functions of Struve, Kelvin, Hankel and Weber."""

from __future__ import annotations

import math
from collections.abc import Callable

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.special import by_orders
from gradserve.numpy.table import implements_special
from gradserve.ops.special.integrals import KINDS
from gradserve.ops.special.plane import KINDS as OF_COMPLEX


def _integrals(name: str, said: str) -> None:
    """Enters a ufunc that gives integrals."""
    kinds = [of for of, (function, _, _) in KINDS.items() if function == name]

    def apply(g: Builder, x: Value) -> Value | tuple[Value, ...]:
        if x.type.is_complex and f"{name} 0" in OF_COMPLEX:
            return tuple(g.emit("special_of_complex", x, kind=f"{name} {k}") for k in range(len(kinds)))
        found = tuple(g.emit("integral", x, of=of) for of in kinds)
        return found if KINDS[kinds[0]][1] is not None else found[0]

    apply.__doc__ = said
    implements_special(name)(apply)


_integrals("shichi", "The integrals of sinh(t) / t from 0 to x, and of cosh(t) / t, with the logarithm it has at 0.")
_integrals("itj0y0", "The integrals of the Bessel functions J and Y of order 0 from 0 to x.")
_integrals("iti0k0", "The integrals of the modified Bessel functions I and K of order 0 from 0 to x.")
_integrals("it2j0y0", "The integrals of (1 - J0(t)) / t from 0 to x, and of Y0(t) / t from x to infinity.")
_integrals("it2i0k0", "The integrals of (I0(t) - 1) / t from 0 to x, and of K0(t) / t from x to infinity.")
_integrals("itstruve0", "The integral of Struve's function of order 0 from 0 to x.")
_integrals("it2struve0", "The integral of Struve's function of order 0 divided by t, from x to infinity.")
_integrals("itmodstruve0", "The integral of the modified function of Struve of order 0 from 0 to x.")


def _struve(name: str, modified: bool) -> None:
    def apply(g: Builder, v: Value, x: Value) -> Value:
        return by_orders(g, name, v, [x], lambda order: g.emit("struve", x, order=order, modified=modified))

    kind = "modified function of Struve, L," if modified else "function of Struve, H,"
    apply.__doc__ = f"The {kind} of an order known while tracing."
    implements_special(name)(apply)


_struve("struve", False)
_struve("modstruve", True)


_TURNS = {"jv": complex(-math.sqrt(0.5), math.sqrt(0.5)), "kv": complex(math.sqrt(0.5), math.sqrt(0.5))}
"""exp(3 pi i / 4) and exp(pi i / 4): by what x is multiplied in the functions that Kelvin's are parts of."""


def _of_kelvin(g: Builder, x: Value, kind: str, slope: bool = False) -> Value:
    """ber + i bei, or ker + i kei: the Bessel function J or K of order 0; or the derivative of that."""
    if kind == "kv":  # which has a pole at 0, and is not real beyond it
        at_zero = complex(-math.inf, 0.0) if slope else complex(math.inf, -math.pi / 4)
        inside = g.gt(x, 0)
        found = _turned(g, g.select(inside, x, 1.0), kind, slope)
        outside = g.select(g.eq(x, 0), g.full(found.type, at_zero), complex(math.nan, math.nan))
        return g.select(inside, found, outside)
    return _turned(g, x, kind, slope)


def _turned(g: Builder, x: Value, kind: str, slope: bool) -> Value:
    turn = _TURNS[kind]
    z = g.complex(g.mul(x, turn.real), g.mul(x, turn.imag))
    found = g.emit("bessel_of_complex", z, kind=kind, order=float(slope))
    return g.mul(found, -turn) if slope else found


def _kelvin(name: str, kind: str, imaginary: bool, slope: bool) -> None:
    def apply(g: Builder, x: Value) -> Value:
        found = _of_kelvin(g, x, kind, slope)
        return g.imag(found) if imaginary else g.real(found)

    own = name[:3]
    apply.__doc__ = f"{'The derivative of ' if slope else ''}Kelvin's function {own}."
    implements_special(name)(apply)


for _name, _kind, _imaginary in (("ber", "jv", False), ("bei", "jv", True), ("ker", "kv", False), ("kei", "kv", True)):
    _kelvin(_name, _kind, _imaginary, False)
    _kelvin(f"{_name}p", _kind, _imaginary, True)


@implements_special("kelvin")
def kelvin(g: Builder, x: Value) -> tuple[Value, ...]:
    """ber + i bei, ker + i kei, and their derivatives."""
    return tuple(_of_kelvin(g, x, kind, slope) for slope in (False, True) for kind in ("jv", "kv"))


def _hankel(name: str, said: str) -> None:
    def apply(g: Builder, v: Value, z: Value) -> Value:
        return by_orders(g, name, v, [z], lambda order: g.emit("bessel_of_complex", z, kind=name, order=order))

    apply.__doc__ = f"Hankel's function of the {said}, of an order known while tracing."
    implements_special(name)(apply)


_hankel("hankel1", "first kind")
_hankel("hankel1e", "first kind times exp(-i z)")
_hankel("hankel2", "second kind")
_hankel("hankel2e", "second kind times exp(i z)")


def _parabolic(name: str, first: int, said: str) -> None:
    def apply(g: Builder, v: Value, x: Value) -> tuple[Value, ...]:
        def of(kind: int) -> Callable[[float], Value]:
            return lambda each: g.emit("parabolic_cylinder", x, parameter=each, kind=kind)

        return tuple(by_orders(g, name, v, [x], of(kind)) for kind in (first, first + 1))

    apply.__doc__ = f"The parabolic cylinder function {said}, of a parameter known while tracing, and its derivative."
    implements_special(name)(apply)


_parabolic("pbdv", 0, "D")
_parabolic("pbvv", 2, "V")
_parabolic("pbwa", 4, "W")


@implements_special("airye")
def airye(g: Builder, z: Value) -> tuple[Value, ...]:
    """Airy's functions and their derivatives, Ai and Ai' times exp(2/3 z^(3/2)), Bi and Bi' over the size of it."""
    if z.type.is_complex:
        raise Unsupported("scipy.special.airye of complex numbers cannot be traced", "write scipy.special.airy")
    return tuple(g.emit("scaled_airy", z, kind=kind) for kind in range(4))
