"""What is known of a value that is computed from a root: a factor of it that is smooth, and a power of the root.

A *root* r >= 0 has a kink at 0, and its square q is smooth: r = |x| with q = x^2, r = sqrt(q), a norm. A value of the
form r^k h(q) is smooth if k is even: q^(k/2) h(q). So is whatever is the same for r and -r, and of |x| it is found by
taking x in the place of |x|, and 1 in that of sign(x).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias, cast

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Op
from gradserve.ir.records import dataclass

Later: TypeAlias = Callable[[], Value]
"""A value that is built when it is asked for: of most that could be said of roots nothing is."""


class Once:
    """A value, made the first time that it is asked for."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Later) -> None:
        self._make, self._made = make, cast("Value | None", None)

    def __call__(self) -> Value:
        if self._made is None:
            self._made = self._make()
        return self._made


@dataclass(frozen=True, eq=False)
class Root:
    """A root: of q, or of x^2."""

    base: Value
    """The q, or the x of |x|."""
    square: Later
    absolute: bool = False
    """Whether it is |x|."""
    views: tuple[Op, ...] = ()
    """What has been made of the base on the way."""

    def same(self, other: Root) -> bool:
        """Whether it is the same root."""
        return self.base is other.base and self.absolute == other.absolute and self.views == other.views

    def through(self, g: Builder, view: Op) -> Root:
        """The root of a view."""
        return replace(self, square=Once(lambda: g.apply(view, [self.square()])[0]), views=(*self.views, view))

    def own(self, g: Builder) -> Value:
        """The q or x that it is the root of, seen through the views."""
        return functools.reduce(lambda value, view: g.apply(view, [value])[0], self.views, self.base)


@dataclass(frozen=True, eq=False)
class Guard:
    """Where a form holds: where the condition is `truth`."""

    condition: Value
    truth: bool

    def same(self, other: Guard | None) -> bool:
        """Whether it is the same guard."""
        return other is not None and self.condition is other.condition and self.truth == other.truth


@dataclass(frozen=True, eq=False)
class Series:
    """Says that a form comes from c_j(z), Stumpff's function: that it is cos u, sin u or the like."""

    order: int
    z: Later
    of: Form
    hyperbolic: bool
    """Whether z is -u^2."""


@dataclass(frozen=True, eq=False)
class Form:
    """A value as r^order times a smooth factor; and what it is for other signs of the root."""

    root: Root
    odd: bool | None
    """Whether -r in the place of r turns its sign (True) or changes nothing (False); None if neither is known."""
    order: int = 0
    factor: Later | None = None
    """The smooth factor beside r^order; None if it is not known."""
    signed: Later | None = None
    """Of |x|: the value with x in the place of |x| and 1 in that of sign(x); None if that is not known or not apt."""
    right: Later | None = None
    """Of |x|: the value with s x and s, for s = 1 from 0 on and -1 below, in their places; None if not followed."""
    vanishes: bool = False
    """Whether it is 0 where the root is."""
    is_sign: bool = False
    """Whether it is sign(x)."""
    guard: Guard | None = None
    """Where alone it holds; None for everywhere."""
    series: Series | None = None
