"""JAX's reductions, of axes and of windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.client.importers.lax import reductions
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.reductions import Frame
from gradserve.ir.builder import Builder, Value

Params: TypeAlias = Mapping[str, Any]
Compute: TypeAlias = Callable[[Builder, Params, Sequence[Operand], Sequence[Any]], Value | Sequence[Value]]
"""From the builder, an equation's parameters, its operands and the types of its results."""


def reduced(fold: str) -> Compute:
    """A reduction along axes."""
    return lambda g, p, x, outs: reductions.reduce(g, x[0], fold, p["axes"])


def position(name: str) -> Compute:
    """The position of an extreme."""
    return lambda g, p, x, outs: reductions.position(g, x[0], name, p["axes"][0], np.dtype(p["index_dtype"]))


def accumulated(name: str) -> Compute:
    """A reduction of all elements up to each one."""
    return lambda g, p, x, outs: reductions.accumulate(g, x[0], name, p["axis"], p["reverse"])


def frame_of(params: Params) -> Frame:
    """How windows lie in an array."""
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
    return lambda g, p, x, outs: reductions.reduce_window(g, x[0], fold, frame_of(p))


def gathered_windows(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    """The tangent of a reduction of windows by an extreme."""
    tangents, x = operands
    largest = params["select_prim"].name == "ge"
    return reductions.select_and_gather(g, tangents, x, largest, frame_of(params))


def scattered_windows(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    """The cotangent of a reduction of windows by an extreme."""
    source, x = operands
    largest = params["select_prim"].name == "ge"
    return reductions.select_and_scatter_add(g, source, x, largest, frame_of(params))
