"""Integrals of elementary and special functions: their derivatives are what is integrated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.elementwise.entire import Stumpff
from gradserve.ops.family import Columns, Unary, require
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.erf import Special
from gradserve.ops.special.rare import OfScipy

_NEAR = 1.0
_TERMS = 10


def _over_x(g: Builder, x: Value, function: Callable[[Value], Value], term: Callable[[int], float], odd: bool) -> Value:
    """function(x) / x; near 0 by the series of it, the terms of which multiply x^(2k + 1), or x^2k unless it is odd."""
    near = g.lt(g.abs(x), _NEAR)
    t, far = g.select(near, x, 0.0), g.select(near, _NEAR, x)
    square, series = g.mul(t, t), g.zeros(x.type)
    for k in range(_TERMS, -1, -1):
        series = g.add(g.mul(square, series), term(k))
    return g.select(near, g.mul(t, series) if odd else series, g.div(function(far), far))


def _of_bessel(g: Builder, x: Value, op: str, sign: float) -> Value:
    """(I0(x) - 1) / x, or (1 - J0(x)) / x for the sign -1."""
    found = _over_x(
        g,
        x,
        lambda v: g.sub(g.emit(op, v, order=0.0), 1.0),
        lambda k: sign ** (k + 1) / (4.0 ** (k + 1) * math.factorial(k + 1) ** 2),
        odd=True,
    )
    return g.mul(found, sign)


def _of_struve(g: Builder, x: Value) -> Value:
    """H0(x) / x."""
    return _over_x(
        g,
        x,
        lambda v: g.emit("struve", v, order=0.0, modified=False),
        lambda k: 2.0 / math.pi * (-1.0) ** k / math.prod(range(1, 2 * k + 2, 2)) ** 2,
        odd=False,
    )


def _sinh_over_x(g: Builder, x: Value) -> Value:
    return g.apply(Stumpff(1), [g.neg(g.mul(x, x))])[0]


def _bessel(op: str) -> Callable[[Builder, Value], Value]:
    return lambda g, x: g.emit(op, x, order=0.0)


def _less(op: str) -> Callable[[Builder, Value], Value]:
    return lambda g, x: g.neg(g.div(g.emit(op, x, order=0.0), x))


def _struve(modified: bool) -> Callable[[Builder, Value], Value]:
    return lambda g, x: g.emit("struve", x, order=0.0, modified=modified)


KINDS: dict[str, tuple[str, int | None, Callable[[Builder, Value], Value]]] = {
    "sinh(t)/t": ("shichi", 0, _sinh_over_x),
    "cosh(t)/t": ("shichi", 1, lambda g, x: g.div(g.cosh(x), x)),
    "J0": ("itj0y0", 0, _bessel("bessel_j")),
    "Y0": ("itj0y0", 1, _bessel("bessel_y")),
    "I0": ("iti0k0", 0, _bessel("bessel_i")),
    "K0": ("iti0k0", 1, _bessel("bessel_k")),
    "(1-J0)/t": ("it2j0y0", 0, lambda g, x: _of_bessel(g, x, "bessel_j", -1.0)),
    "Y0/t beyond": ("it2j0y0", 1, _less("bessel_y")),
    "(I0-1)/t": ("it2i0k0", 0, lambda g, x: _of_bessel(g, x, "bessel_i", 1.0)),
    "K0/t beyond": ("it2i0k0", 1, _less("bessel_k")),
    "H0": ("itstruve0", None, _struve(False)),
    "H0/t beyond": ("it2struve0", None, lambda g, x: g.neg(_of_struve(g, x))),
    "L0": ("itmodstruve0", None, _struve(True)),
}
"""What is integrated from 0 to x, or beyond x: SciPy's function, which of its results, and the derivative in x."""


@register
@dataclass(frozen=True)
class Integral(OfScipy, Unary):
    """The integral of a function of t from 0 to x, or from x on if it is told to be beyond it.

    That of cosh(t)/t is Chi, which has a logarithm at 0.
    """

    of: str

    name = "integral"
    function = "shichi"
    points: ClassVar[Columns] = ((0.5, 1.5, 3.0),)
    constraints = {**Special.constraints, "C4": "the integral is one of those that are known"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        require(self.of in KINDS, "C4", f"there is no integral of {self.of!r}; {', '.join(KINDS)} are known")
        return results

    def impl(self, xp: Any, *arrays: Array) -> Any:
        function, part, _ = KINDS[self.of]
        found = routine(xp, function)(*arrays)
        return xp.astype(found if part is None else found[part], arrays[0].dtype)

    def differential(self, g: Builder, dx: Value, x: Value, y: Value) -> Value | None:
        """What is integrated, dx."""
        return g.mul(KINDS[self.of][2](g, x), dx)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All of them; a scalar, nothing."""
        points = np.array(cls.points[0])
        for of in KINDS:
            yield Sample(cls(of), (points,))
        yield Sample(cls("J0"), (points[0],))
        yield Sample(cls("H0"), (np.zeros((2, 0)),))
