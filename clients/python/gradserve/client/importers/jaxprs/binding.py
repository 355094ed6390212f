"""Equations bound again, to other operands: what the rules that JAX holds for a primitive are asked for by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from gradserve.client.importers.jaxprs.operands import types_of
from gradserve.client.importers.jaxprs.reading import avals_of
from gradserve.client.importers.lax.elements import Operand
from gradserve.numpy.recorder import Recorder

Leaves: TypeAlias = Sequence[Any]


class NoRule(Exception):
    """JAX has none, or cannot trace it."""


def around(equation: Any, point: Leaves, moved: Sequence[int]) -> Callable[..., Leaves]:
    """The real results of an equation, of the operands that are moved; the others are those of the point."""

    def call(*moving: Any) -> Leaves:
        given = [*point]
        for k, x in zip(moved, moving, strict=True):
            given[k] = x
        return [y for y in _bound(equation, given) if is_real(y)]

    return call


def _bound(equation: Any, operands: Leaves) -> Leaves:
    """The results of an equation for other operands."""
    found = equation.primitive.get_bind_params(equation.params)
    functions, params = found if isinstance(found, tuple) else ((), found)  # a pair in earlier versions of JAX
    results = equation.primitive.bind(*functions, *operands, **params)
    return list(results) if equation.primitive.multiple_results else [results]


def traced(function: Callable[..., Any], *examples: Leaves) -> Any:
    """The jaxpr of a function of lists.

    Raises:
        NoRule: JAX cannot trace it.
    """
    try:
        return jax.make_jaxpr(function)(*examples)
    except Exception as error:  # whatever authors raise
        raise NoRule from error


def examples_of(variables: Sequence[Any]) -> Leaves:
    """Arrays without elements, of the types of variables."""
    like: Any = jax.ShapeDtypeStruct
    return [like(aval.shape, aval.dtype) for aval in avals_of(variables)]


def is_real(array: Any) -> bool:
    """Whether an array is one of real numbers."""
    return bool(jnp.issubdtype(array.dtype, jnp.floating))


def empty(g: Recorder, like: Any) -> Operand:
    """Zeros of a type of JAX."""
    ((type_, dtype),) = types_of(like)
    return Operand(g.zeros(type_), dtype)
