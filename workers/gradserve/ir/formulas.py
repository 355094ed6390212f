"""Formulas: what rules make of values by several ops, once in each graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar, cast

from gradserve.ir.builder import Builder

_T = TypeVar("_T")
_P = ParamSpec("_P")


def formula(make: Callable[Concatenate[Builder, _P], _T]) -> Callable[Concatenate[Builder, _P], _T]:
    """A function that makes the same of the same values once in a graph.

    Made again all of it would come to the same nodes, and to ask for each of them takes nearly as long as to make it.
    """

    @functools.wraps(make)
    def found(g: Builder, *given: _P.args, **named: _P.kwargs) -> _T:
        key = make, given, *named.items()
        known = g.formulas.get(key)
        if known is None:
            known = g.formulas[key] = make(g, *given, **named)
        return cast(_T, known)

    return cast(Callable[Concatenate[Builder, _P], _T], found)
