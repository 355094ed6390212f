"""Reductions along axes, running sums, and positions of extremes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gradserve.client.importers.lax import reductions as lax
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.onnx.table import Node, Result, axis_in, translates
from gradserve.ir.builder import Value
from gradserve.numpy import exponentials


def axes_of(n: Node, x: Operand) -> tuple[int, ...]:
    """The axes to reduce over: an operand, or an attribute in older sets; all unless told otherwise."""
    given = n.ints(1, "axes")
    if not given:
        return () if n.get("noop_with_empty_axes", 0) else tuple(range(x.rank))
    return tuple(sorted(axis_in(axis, x.rank) for axis in given))


def kept(n: Node, reduced: Value, x: Operand, axes: tuple[int, ...]) -> Value:
    """The reduced axes back as lengths of 1, unless they are to go."""
    if not n.get("keepdims", 1):
        return reduced
    return n.g.reshape(reduced, tuple(1 if k in axes else length for k, length in enumerate(x.shape)))


def _reduces(name: str, function: Callable[[Node, Operand, tuple[int, ...]], Value]) -> None:
    def translate(n: Node, x: Operand, axes: Operand | None = None) -> Result:
        along = axes_of(n, x)
        return kept(n, function(n, x, along), x, along)

    translates(name, known=(1,))(translate)


def _fold(fold: str) -> Callable[[Node, Operand, tuple[int, ...]], Value]:
    return lambda n, x, axes: lax.reduce(n.g, x, fold, axes)


def _sum(n: Node, value: Value, axes: tuple[int, ...]) -> Value:
    return n.g.reduce_sum(value, axes=axes) if axes else value


def _norm(n: Node, x: Operand, axes: tuple[int, ...]) -> Value:
    return n.g.sqrt(_sum(n, n.g.mul(x.value, x.value), axes))


def _mean(n: Node, x: Operand, axes: tuple[int, ...]) -> Value:
    return n.g.div(_sum(n, x.value, axes), float(math.prod(x.shape[k] for k in axes)))


def _log_sum_exp(n: Node, x: Operand, axes: tuple[int, ...]) -> Value:
    if not axes:
        return x.value
    found: Value = exponentials.logsumexp(x.value, axis=axes)  # type: ignore[assignment]
    return found


_reduces("ReduceSum", _fold("sum"))
_reduces("ReduceProd", _fold("prod"))
_reduces("ReduceMax", _fold("max"))
_reduces("ReduceMin", _fold("min"))
_reduces("ReduceMean", _mean)
_reduces("ReduceL1", lambda n, x, axes: _sum(n, n.g.abs(x.value), axes))
_reduces("ReduceL2", _norm)
_reduces("ReduceSumSquare", lambda n, x, axes: _sum(n, n.g.mul(x.value, x.value), axes))
_reduces("ReduceLogSum", lambda n, x, axes: n.g.log(_sum(n, x.value, axes)))
_reduces("ReduceLogSumExp", _log_sum_exp)


@translates("ArgMax", "ArgMin")
def position(n: Node, x: Operand) -> Result:
    """Where the first or the last extreme is along an axis."""
    g, axis, name = n.g, axis_in(n.get("axis", 0), x.rank), n.operation.lower()
    if n.get("select_last_index", 0):
        turned = Operand(g.emit("reverse", x.value, axes=(axis,)), x.dtype)
        found = g.sub(x.shape[axis] - 1, lax.position(g, turned, name, axis, np.dtype(np.int64)))
    else:
        found = lax.position(g, x, name, axis, np.dtype(np.int64))
    return kept(n, found, x, (axis,))


@translates("CumSum", "CumProd", known=(1,))
def accumulated(n: Node, x: Operand, along: Operand) -> Result:
    """The sums or products of all elements up to each one, or of those before it alone."""
    given = n.ints(1)
    assert given is not None
    axis, backward = axis_in(given[0], x.rank), bool(n.get("reverse", 0))
    g, operand = n.g, x
    if n.get("exclusive", 0):
        operand = Operand(_shifted(n, x, axis, backward), x.dtype)
    return lax.accumulate(g, operand, n.operation.lower(), axis, backward)


def _shifted(n: Node, x: Operand, axis: int, backward: bool) -> Value:
    """x moved on by one element, with what changes nothing in the place of the first."""
    g, length = n.g, x.shape[axis]
    starts, stops = [0] * x.rank, list(x.shape)
    starts[axis], stops[axis] = (1, length) if backward else (0, length - 1)
    rest = g.emit("slice", x.value, starts=tuple(starts), stops=tuple(stops), strides=(1,) * x.rank)
    shape = tuple(1 if k == axis else m for k, m in enumerate(x.shape))
    first = g.full(x.value.type.with_shape(shape), int(n.operation == "CumProd"))
    return g.emit("concatenate", *((rest, first) if backward else (first, rest)), axis=axis)
