"""Noncentral distributions, and shapes of laws by their probabilities, as scipy.special has them."""

from __future__ import annotations

import math
from collections.abc import Callable

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.special import by_orders
from gradserve.numpy.table import implements_special
from gradserve.ops.elementwise.parts import conjugate
from gradserve.ops.special.noncentral import MOST
from gradserve.ops.special.shapes import LAWS


def _known(g: Builder, nc: Value, found: Value) -> Value:
    """NaN where the parameter off the centre is negative."""
    return g.select(g.ge(nc, 0), found, math.nan)


def _of_degrees(name: str, law: str, kind: int) -> Callable[..., Value]:
    """The law by its degrees of freedom, known while tracing, and two operands."""

    def emit(g: Builder, df: Value, first: Value, second: Value, dfn: float = 1.0) -> Value:
        def at(each: float) -> Value:
            for degrees in (each, dfn):
                if not 0.1 <= degrees <= MOST:
                    raise Unsupported(
                        f"scipy.special.{name} of {degrees} degrees of freedom cannot be traced",
                        f"write degrees of freedom from 0.1 to {MOST:.0f}",
                    )
            return g.emit("noncentral", *g.align([first, second]), law=law, kind=kind, df=each, dfn=dfn)

        return by_orders(g, name, df, [first, second], at, "shape")

    return emit


def _chi_squared(name: str, kind: int, said: str) -> None:
    emit = _of_degrees(name, "chi-squared", kind)

    def apply(g: Builder, first: Value, second: Value, third: Value) -> Value:
        found = emit(g, second, first, third)
        return found if kind == 2 else _known(g, third, found)

    apply.__doc__ = f"{said} The degrees of freedom must be known while tracing; NaN with nc above 10,000."
    implements_special(name)(apply)


_chi_squared("chndtr", 0, "The probability that a noncentral chi-squared number of df, nc is below x.")
_chi_squared("chndtrix", 1, "The number that a noncentral chi-squared one of df, nc is below with probability p.")
_chi_squared("chndtrinc", 2, "The nc with which a noncentral chi-squared number of df is below x with probability p.")


def _student(name: str, kind: int, said: str) -> None:
    emit = _of_degrees(name, "t", kind)

    def apply(g: Builder, df: Value, nc: Value, third: Value) -> Value:
        return emit(g, df, third, nc)

    apply.__doc__ = f"{said} The degrees of freedom must be known while tracing; NaN with nc above 1,000."
    implements_special(name)(apply)


_student("nctdtr", 0, "The probability that a number of Student's noncentral distribution of df, nc is below t.")
_student(
    "nctdtrit", 1, "The number that one of Student's noncentral distribution of df, nc is below with probability p."
)


def _fisher(name: str, kind: int, said: str) -> None:
    emit = _of_degrees(name, "F", kind)

    def apply(g: Builder, dfn: Value, dfd: Value, nc: Value, fourth: Value) -> Value:
        operands = [dfd, fourth, nc]
        found = by_orders(g, name, dfn, operands, lambda each: emit(g, dfd, fourth, nc, each), "shape")
        return _known(g, nc, found)

    apply.__doc__ = f"{said} The degrees of freedom must be known while tracing; NaN with nc above 10,000."
    implements_special(name)(apply)


_fisher("ncfdtr", 0, "The probability that a number of the noncentral distribution F of dfn, dfd, nc is below f.")
_fisher(
    "ncfdtri", 1, "The number that one of the noncentral distribution F of dfn, dfd, nc is below with probability p."
)

_SHAPES = {
    "bdtrik": "The successes of which n tries, each with probability p, have at most as many with probability y.",
    "bdtrin": "The tries of which at most k are successes, each with probability p, with probability y.",
    "btdtria": "The first shape with which a number of a beta distribution is below x with probability p.",
    "btdtrib": "The second shape with which a number of a beta distribution is below x with probability p.",
    "chdtriv": "The degrees of freedom with which a chi-squared number is below x with probability p.",
    "nbdtrik": "The failures before n successes of probability p of which there are not more with probability y.",
    "nbdtrin": "The successes of probability p before which there are at most k failures with probability y.",
    "pdtrik": "The number of events at most as many of which there are with probability p where m are expected.",
}


def _shape(name: str, said: str) -> None:
    op = {2: "shape_by_two", 3: "shape_by_three"}[len(LAWS[name][2][0]) - 2]

    def apply(g: Builder, *operands: Value) -> Value:
        return g.emit(op, *operands, of=name)

    apply.__doc__ = said
    implements_special(name)(apply)


for _name, _said in _SHAPES.items():
    _shape(_name, _said)


@implements_special("gdtrib")
def gdtrib(g: Builder, a: Value, p: Value, x: Value) -> Value:
    """The shape with which a number of the gamma distribution of rate a is below x with probability p."""
    p, size = g.align([p, g.mul(g.mul(a, x), 2.0)])
    found = g.emit("shape_by_two", p, size, of="chdtriv")
    return g.select(g.lt(found, 1e99), g.mul(found, 0.5), found)  # beyond, it is what SciPy has where there is none


@implements_special("betainccinv")
def betainccinv(g: Builder, a: Value, b: Value, y: Value) -> Value:
    """The x at which betaincc(a, b, x) has a value."""
    a, b, y = g.align([a, b, y])
    low, high = g.emit("betaincinv", a, b, g.sub(1.0, y)), g.sub(1.0, g.emit("betaincinv", b, a, y))
    small = g.logical_and(g.lt(g.emit("betainc", b, a, g.full(y.type, 0.5)), y), g.gt(y, 0.01))
    return g.select(small, low, high)


def _modified_fresnel(name: str, sign: float) -> None:
    def apply(g: Builder, x: Value) -> tuple[Value, Value]:
        side = g.mul(x, math.sqrt(0.5))
        scaled = g.mul(g.emit("wofz", g.complex(side, side)), 0.5)
        phase = g.mul(g.add(g.mul(x, x), math.pi / 4), sign)
        scaled = scaled if sign > 0 else conjugate(g, scaled)
        return g.mul(g.mul(g.complex(g.cos(phase), g.sin(phase)), scaled), math.sqrt(math.pi)), scaled

    of = "i" if sign > 0 else "-i"
    apply.__doc__ = f"Fresnel's integral of exp({of} t^2) over t from x to infinity, and that without its turning."
    implements_special(name)(apply)


_modified_fresnel("modfresnelp", 1.0)
_modified_fresnel("modfresnelm", -1.0)
