"""JAX's reductions, of axes and of windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.client.importers.lax import elementwise, reductions
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.reductions import Frame
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported

Params: TypeAlias = Mapping[str, Any]
Compute: TypeAlias = Callable[[Builder, Params, Sequence[Operand], Sequence[Any]], Value | Sequence[Value]]
"""From the builder, an equation's parameters, its operands and the types of its results."""

_FOLDS = {"add": "sum", "mul": "prod", "max": "max", "min": "min", "and": "and", "or": "or", "xor": "xor"}


def reduced(fold: str) -> Compute:
    """A reduction along axes."""
    return lambda g, p, x, outs: reductions.reduce(g, x[0], fold, p["axes"])


def position(name: str) -> Compute:
    """The position of an extreme."""
    return lambda g, p, x, outs: reductions.position(g, x[0], name, p["axes"][0], np.dtype(p["index_dtype"]))


def accumulated(name: str) -> Compute:
    """A reduction of all elements up to each one."""
    return lambda g, p, x, outs: reductions.accumulate(g, x[0], name, p["axis"], p["reverse"])


def _frame(params: Params) -> Frame:
    sizes = tuple(params["window_dimensions"])
    ones = (1,) * len(sizes)
    return Frame(
        sizes=sizes,
        strides=tuple(params["window_strides"]),
        padding=tuple((low, high) for low, high in params["padding"]),
        base_dilation=tuple(params.get("base_dilation") or ones),
        window_dilation=tuple(params.get("window_dilation") or ones),
    )


def windowed(fold: str) -> Compute:
    """A reduction of windows."""
    return lambda g, p, x, outs: reductions.reduce_window(g, x[0], fold, _frame(p))


def _fold_of(jaxpr: Any) -> tuple[str, str]:
    """The primitive that a function of two numbers is, and the reduction by it."""
    body = getattr(jaxpr, "jaxpr", jaxpr)
    name = body.eqns[0].primitive.name if len(body.eqns) == 1 else ""
    if name not in _FOLDS or set(body.eqns[0].invars) != set(body.invars):
        raise Unsupported("it reduces by a function of its own", "reduce by a sum, a product or an extreme")
    return name, _FOLDS[name]


def reduce(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    """A reduction by a function that is one primitive."""
    if len(operands) != 2:
        raise Unsupported("it reduces several arrays at once", "reduce them one by one")
    name, fold = _fold_of(params["jaxpr"])
    found = Operand(reductions.reduce(g, operands[0], fold, params["dimensions"]), operands[0].dtype)
    return elementwise.ELEMENTWISE[name](g, found, _spread(g, operands[1], found))


def reduce_window(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    """The same of windows."""
    if len(operands) != 2:
        raise Unsupported("it reduces several arrays at once", "reduce them one by one")
    name, fold = _fold_of(params["jaxpr"])
    found = Operand(reductions.reduce_window(g, operands[0], fold, _frame(params)), operands[0].dtype)
    return elementwise.ELEMENTWISE[name](g, found, _spread(g, operands[1], found))


def _spread(g: Builder, number: Operand, like: Operand) -> Operand:
    return Operand(g.broadcast(number.value, like.value.type.shape), number.dtype)


def scattered_windows(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    """The cotangent of a reduction of windows by an extreme."""
    source, x = operands
    largest = params["select_prim"].name == "ge"
    return reductions.select_and_scatter_add(g, source, x, largest, _frame(params))
