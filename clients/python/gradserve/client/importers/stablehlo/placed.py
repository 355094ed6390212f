"""Operations of windows and positions: gather, scatter, convolution, and how windows lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.client.importers.lax import indexing, movement, products
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.indexing import Windows
from gradserve.client.importers.lax.reductions import Frame
from gradserve.client.importers.stablehlo.attributes import elements as constant_elements
from gradserve.client.importers.stablehlo.given import dtype_of, integer, ints
from gradserve.client.importers.stablehlo.regions import combinations_of
from gradserve.client.importers.stablehlo.syntax import Operation, numbers
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported


def gather(g: Builder, op: Operation, x: Sequence[Operand], sizes: Sequence[int] | None = None) -> Value:
    """Windows at computed positions, of the sizes that are told or that the operation has."""
    array, given = x
    axes = Axes(op, "dimension_numbers")
    windows = Windows(
        shape=array.shape,
        sizes=ints(op, "slice_sizes") if sizes is None else tuple(sizes),
        offset=axes["offset_dims"],
        collapsed=axes["collapsed_slice_dims"],
        starts=axes["start_index_map"],
        batching=dict(zip(axes["operand_batching_dims"], axes["start_indices_batching_dims"], strict=True)),
        outside="clip",
    )
    return indexing.gather(g, array, axes.with_vector_last(g, given), windows)


class Axes:
    """The axes that a gather or scatter names."""

    def __init__(self, op: Operation, name: str) -> None:
        self._op, self._given = op, op.attributes.get(name, {})

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return numbers(self._given.get(name, []), self._op.line)

    def with_vector_last(self, g: Builder, indices: Operand) -> Operand:
        """The positions with their numbers along the last axis."""
        axis = self["index_vector_dim"][0] if "index_vector_dim" in self._given else 0
        if axis == indices.rank:
            return Operand(g.reshape(indices.value, (*indices.shape, 1)), indices.dtype)
        order = [k for k in range(indices.rank) if k != axis] + [axis]
        return Operand(movement.permute(g, indices.value, order), indices.dtype)


def scatter(g: Builder, op: Operation, x: Sequence[Operand]) -> list[Value]:
    """Arrays with windows at computed positions written, each by what its function does with it alone."""
    count = len(x) // 2
    combined = combinations_of(op.regions[0], count)
    return [_written(g, op, x[k], x[count], x[count + 1 + k], how) for k, how in enumerate(combined)]


def _written(g: Builder, op: Operation, array: Operand, given: Operand, updates: Operand, combine: Any) -> Value:
    axes = Axes(op, "scatter_dimension_numbers")
    batching = dict(zip(axes["input_batching_dims"], axes["scatter_indices_batching_dims"], strict=True))
    kept = [k for k in range(array.rank) if k not in (*axes["inserted_window_dims"], *batching)]
    lengths = dict(zip(kept, (updates.shape[k] for k in axes["update_window_dims"]), strict=True))
    windows = Windows(
        shape=array.shape,
        sizes=tuple(lengths.get(k, 1) for k in range(array.rank)),
        offset=axes["update_window_dims"],
        collapsed=axes["inserted_window_dims"],
        starts=axes["scatter_dims_to_operand_dims"],
        batching=batching,
        outside="drop",
    )
    unique = op.attributes.get("unique_indices") is True
    return indexing.scatter(g, array, axes.with_vector_last(g, given), updates, windows, combine, unique)


def frame(op: Operation, rank: int) -> Frame:
    """How the windows of an operation lie in an array."""
    ones = (1,) * rank
    return Frame(
        sizes=ints(op, "window_dimensions", ones),
        strides=ints(op, "window_strides", ones),
        padding=tuple((low, high) for low, high in _pairs(op, rank)),
        base_dilation=ints(op, "base_dilations", ones),
        window_dilation=ints(op, "window_dilations", ones),
    )


def _pairs(op: Operation, count: int) -> list[list[int]]:
    """What is put before and behind each axis."""
    padding = op.attributes.get("padding")
    if padding is None:
        return [[0, 0]] * count
    told = padding if isinstance(padding, list) else constant_elements(padding, op.line)
    found: list[list[int]] = np.broadcast_to(told, (count, 2)).tolist()
    return found


def convolution(g: Builder, op: Operation, x: Sequence[Operand], edges: Sequence[Sequence[int]] | None = None) -> Value:
    """The inner products of kernels with all windows, between edges that are told or that the operation has."""
    window = op.attributes.get("window", {})
    given = op.attributes.get("dimension_numbers")
    if not isinstance(given, list) or len(given) != 3:
        raise Unsupported("its axes are not told", "give dim_numbers")
    orders = [_order(axes, front) for axes, front in zip(given, ("bf", "oi", "bf"), strict=True)]
    count = len(given[0]) - 2
    ones = [1] * count
    turned = window.get("reverse", op.attributes.get("window_reversal", []))
    axes = [axis for axis, is_turned in zip(orders[1][2:], turned, strict=False) if is_turned in (True, 1)]
    kernel = Operand(movement.reverse(g, x[1], axes), x[1].dtype) if axes else x[1]

    def of_window(short: str, long: str) -> tuple[int, ...]:
        return numbers(window.get(short, op.attributes.get(long, ones)), op.line)

    padding = window.get("pad", _pairs(op, count)) if edges is None else edges
    how = products.Convolution(
        lhs=orders[0],
        rhs=orders[1],
        out=orders[2],
        strides=of_window("stride", "window_strides"),
        padding=tuple((low, high) for low, high in (numbers(pair, op.line) for pair in padding)),
        lhs_dilation=of_window("lhs_dilate", "lhs_dilation"),
        rhs_dilation=of_window("rhs_dilate", "rhs_dilation"),
        feature_groups=integer(op, "feature_group_count", 1),
        batch_groups=integer(op, "batch_group_count", 1),
    )
    return products.convolve(g, x[0], kernel, how, dtype_of(op))


def _order(axes: Sequence[Any], front: str) -> tuple[int, ...]:
    return tuple(axes.index(each) for each in (*front, *range(len(axes) - 2)))
