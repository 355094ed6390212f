"""StableHLO's operations on arrays, each by the function of ours that has its semantics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.client.importers.lax import elements, elementwise, indexing, movement, ordering, products, reductions
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.indexing import Windows
from gradserve.client.importers.lax.reductions import Frame
from gradserve.client.importers.stablehlo.attributes import elements as constant_elements
from gradserve.client.importers.stablehlo.regions import combination_of, fold_of, keys_of, position_of
from gradserve.client.importers.stablehlo.syntax import Operation, numbers
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported

Compute: TypeAlias = Callable[[Builder, Operation, Sequence[Operand]], Value | Sequence[Value | None]]
"""From the builder, an operation and its operands to its results; None is one that nobody may read."""

_NAMES = {
    **{"exponential": "exp", "exponential_minus_one": "expm1", "log_plus_one": "log1p", "sine": "sin", "cosine": "cos"},
    **{"multiply": "mul", "divide": "div", "subtract": "sub", "negate": "neg", "maximum": "max", "minimum": "min"},
    **{"power": "pow", "remainder": "rem", "popcnt": "population_count", "count_leading_zeros": "clz"},
    **{name: name for name in ("abs", "add", "and", "or", "xor", "not", "atan2", "cbrt", "ceil", "floor", "clamp")},
    **{name: name for name in ("log", "logistic", "rsqrt", "sqrt", "sign", "tan", "tanh", "is_finite", "square")},
    **{name: name for name in ("shift_left", "shift_right_logical", "shift_right_arithmetic", "digamma", "lgamma")},
    **{name: name for name in ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cosh", "sinh", "erf", "erfc")},
    **{name: name for name in ("erf_inv", "polygamma", "zeta")},
    "bessel_i1e": "bessel_i1e",
}
"""Those without attributes, by their names in JAX."""


def _named(name: str) -> Compute:
    function = elementwise.ELEMENTWISE[name]
    return lambda g, op, x: function(g, *x)


def _ints(op: Operation, name: str, otherwise: Sequence[int] = ()) -> tuple[int, ...]:
    return numbers(op.attributes.get(name, list(otherwise)), op.line)


def _int(op: Operation, name: str, otherwise: int | None = None) -> int:
    (found,) = _ints(op, name, () if otherwise is None else (otherwise,))
    return found


def _shape(op: Operation) -> tuple[int, ...]:
    return op.types[0].shape


def _dtype(op: Operation) -> np.dtype[Any]:
    return _result(op, 0)


def _result(op: Operation, number: int) -> np.dtype[Any]:
    found = op.types[number].dtype
    if found is None:
        raise Unsupported(f"no graph has elements of {op.types[number].elements}", "convert to f32 or f64")
    return found


def _compare(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    words = [*op.attributes.get("words", []), op.attributes.get("comparison_direction", "")]
    direction = next((str(word).lower() for word in words if str(word) in ("EQ", "NE", "LT", "LE", "GT", "GE")), "")
    return elementwise.compare(direction)(g, *x)


def _select(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    chosen, yes, no = x
    return elementwise.select_n(g, chosen, no, yes)


def _clamp(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    shape = x[1].value.type.shape
    low, value, high = (Operand(g.broadcast(each.value, shape), each.dtype) for each in x)
    return elementwise.clamp(g, low, value, high)


def _pad(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    edges = [_ints(op, long) if long in op.attributes else _ints(op, short) for long, short in _EDGES]
    return movement.pad(g, x[0], x[1], list(zip(*edges, strict=True)))


_EDGES = (("edge_padding_low", "low"), ("edge_padding_high", "high"), ("interior_padding", "interior"))


def _either(op: Operation, *names: str) -> tuple[int, ...]:
    return next((_ints(op, name) for name in names if name in op.attributes), ())


def _gather(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    array, given = x
    axes = _Axes(op, "dimension_numbers")
    windows = Windows(
        shape=array.shape,
        sizes=_ints(op, "slice_sizes"),
        offset=axes["offset_dims"],
        collapsed=axes["collapsed_slice_dims"],
        starts=axes["start_index_map"],
        batching=dict(zip(axes["operand_batching_dims"], axes["start_indices_batching_dims"], strict=True)),
        outside="clip",
    )
    return indexing.gather(g, array, axes.with_vector_last(g, given), windows)


class _Axes:
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


def _scatter(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    if len(x) != 3:
        raise Unsupported("it writes into several arrays at once", "write into them one by one")
    array, given, updates = x
    axes = _Axes(op, "scatter_dimension_numbers")
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
    combine: Any = combination_of(op.regions[0])
    unique = op.attributes.get("unique_indices") is True
    return indexing.scatter(g, array, axes.with_vector_last(g, given), updates, windows, combine, unique)


def _joined(g: Builder, name: str, found: Operand, first: Operand) -> Value:
    """What a reduction gives, joined with what it begins with."""
    spread = Operand(g.broadcast(first.value, found.value.type.shape), first.dtype)
    return elementwise.ELEMENTWISE[_NAMES[name]](g, found, spread)


def _reduce(g: Builder, op: Operation, x: Sequence[Operand]) -> Value | list[Value]:
    axes = _ints(op, "dimensions")
    if len(x) == 2:
        name, fold = fold_of(op)
        found = Operand(reductions.reduce(g, x[0], fold, axes), x[0].dtype)
        return _joined(g, name, found, x[1])
    if len(x) != 4 or len(axes) != 1 or len(op.regions) != 1:
        raise Unsupported("it reduces several arrays at once", "reduce them one by one")
    name = position_of(op.regions[0])
    extreme = reductions.reduce(g, x[0], name[-3:], axes)
    return [extreme, reductions.position(g, x[0], name, axes[0], _result(op, 1))]


def _frame(op: Operation, rank: int) -> Frame:
    ones = (1,) * rank
    padding = op.attributes.get("padding")
    pairs = np.zeros((rank, 2), np.int64)
    if padding is not None:
        pairs = np.broadcast_to(constant_elements(padding, op.line), (rank, 2))
    return Frame(
        sizes=_ints(op, "window_dimensions", ones),
        strides=_ints(op, "window_strides", ones),
        padding=tuple((int(low), int(high)) for low, high in pairs),
        base_dilation=_ints(op, "base_dilations", ones),
        window_dilation=_ints(op, "window_dilations", ones),
    )


def _reduce_window(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    if len(x) != 2:
        raise Unsupported("it reduces several arrays at once", "reduce them one by one")
    name, fold = fold_of(op)
    found = Operand(reductions.reduce_window(g, x[0], fold, _frame(op, x[0].rank)), x[0].dtype)
    return _joined(g, name, found, x[1])


def _select_and_scatter(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    array, source, first = x
    chosen = [each for each in op.regions[0].operations if each.name == "compare"]
    words = chosen[0].attributes["words"] if len(chosen) == 1 else []
    if len(op.regions) != 2 or combination_of(op.regions[1]) != "add" or not {"GE", "LE"} & set(words):
        raise Unsupported("it chooses by a function of its own", "choose the largest or the smallest element")
    found = reductions.select_and_scatter_add(g, source, array, "GE" in words, _frame(op, array.rank))
    return _joined(g, "add", Operand(found, array.dtype), first)


def _dot_general(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    given = op.attributes.get("dot_dimension_numbers", {})
    pairs = []
    for short, names in (("contracting_dims", "contracting_dimensions"), ("batching_dims", "batching_dimensions")):
        long = [given.get(f"{side}_{names}", []) for side in ("lhs", "rhs")]
        pairs.append([numbers(each, op.line) for each in op.attributes.get(short, long)])
    return products.dot_general(g, x[0], x[1], pairs[0], pairs[1], _dtype(op))


def _convolution(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    window = op.attributes.get("window", {})
    given = op.attributes.get("dimension_numbers")
    if not isinstance(given, list) or len(given) != 3:
        raise Unsupported("its axes are not told", "give dim_numbers")
    orders = [_order(axes, front) for axes, front in zip(given, ("bf", "oi", "bf"), strict=True)]
    count = len(given[0]) - 2
    ones = [1] * count
    if any(window.get("reverse", op.attributes.get("window_reversal", []))):
        raise Unsupported("its kernel is turned round", "reverse the kernel beforehand")

    def of_window(short: str, long: str) -> tuple[int, ...]:
        return numbers(window.get(short, op.attributes.get(long, ones)), op.line)

    padding = window.get("pad", [[0, 0]] * count)
    how = products.Convolution(
        lhs=orders[0],
        rhs=orders[1],
        out=orders[2],
        strides=of_window("stride", "window_strides"),
        padding=tuple((low, high) for low, high in (numbers(pair, op.line) for pair in padding)),
        lhs_dilation=of_window("lhs_dilate", "lhs_dilation"),
        rhs_dilation=of_window("rhs_dilate", "rhs_dilation"),
        feature_groups=_int(op, "feature_group_count", 1),
        batch_groups=_int(op, "batch_group_count", 1),
    )
    return products.convolve(g, x[0], x[1], how, _dtype(op))


def _order(axes: Sequence[Any], front: str) -> tuple[int, ...]:
    return tuple(axes.index(each) for each in (*front, *range(len(axes) - 2)))


def _sort(g: Builder, op: Operation, x: Sequence[Operand]) -> list[Value]:
    return ordering.sort(g, x, _int(op, "dimension"), keys_of(op.regions[0]))


def _top_k(g: Builder, op: Operation, x: Sequence[Operand]) -> list[Value]:
    values, places = ordering.top_k(g, x[0], _int(op, "k"), x[0].rank - 1)
    return [values, g.convert(places, elements.held(_result(op, 1)))]


def _triangular(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    given = op.attributes
    turned = str(given.get("transpose_a", "NO_TRANSPOSE")) != "NO_TRANSPOSE"
    left, lower, unit = (given.get(name) is True for name in ("left_side", "lower", "unit_diagonal"))
    return products.triangular_solve(g, x[0], x[1], left, lower, turned, unit)


def _cholesky(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    if op.attributes.get("lower") is True:
        return g.emit("cholesky", x[0].value)
    return products.transposed(g, g.emit("cholesky", products.transposed(g, x[0].value)))


def _precision(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    exponent, _, fraction = str(op.attributes.get("format", "")).removeprefix("e").partition("m")
    if not (exponent.isdecimal() and fraction.isdecimal()):
        raise Unsupported("its format is not told", "give format = e8m23")
    return elementwise.reduce_precision(g, x[0], int(exponent), int(fraction))


def _iota(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    axis = _either(op, "dim", "iota_dimension")[0]
    return movement.iota(g, _dtype(op), _shape(op), axis)


def _dynamic_slice(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    return movement.dynamic_slice(g, x[0], x[1:], _either(op, "sizes", "slice_sizes"))


ARRAYS: dict[str, Compute] = {
    **{name: _named(jax) for name, jax in _NAMES.items()},
    "clamp": _clamp,
    "compare": _compare,
    "select": _select,
    "convert": lambda g, op, x: elements.converted(g, x[0], _dtype(op)),
    "bitcast_convert": lambda g, op, x: elements.bitcast(g, x[0], _dtype(op)),
    "reduce_precision": _precision,
    "round_nearest_even": lambda g, op, x: elementwise.round_nearest(g, x[0], to_even=True),
    "round_nearest_afz": lambda g, op, x: elementwise.round_nearest(g, x[0], to_even=False),
    "broadcast_in_dim": lambda g, op, x: movement.broadcast_in_dim(
        g, x[0], _shape(op), _either(op, "dims", "broadcast_dimensions")
    ),
    "reshape": lambda g, op, x: g.reshape(x[0].value, _shape(op)),
    "transpose": lambda g, op, x: movement.permute(g, x[0].value, _either(op, "dims", "permutation")),
    "reverse": lambda g, op, x: movement.reverse(g, x[0], _either(op, "dims", "dimensions")),
    "concatenate": lambda g, op, x: movement.concatenate(g, x, _either(op, "dim", "dimension")[0]),
    "pad": _pad,
    "slice": lambda g, op, x: movement.sliced(
        g, x[0], _ints(op, "start_indices"), _ints(op, "limit_indices"), _ints(op, "strides")
    ),
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": lambda g, op, x: movement.dynamic_update_slice(g, x[0], x[1], x[2:]),
    "iota": _iota,
    "gather": _gather,
    "scatter": _scatter,
    "reduce": _reduce,
    "reduce_window": _reduce_window,
    "select_and_scatter": _select_and_scatter,
    "dot_general": _dot_general,
    "convolution": _convolution,
    "sort": _sort,
    "top_k": _top_k,
    "cholesky": _cholesky,
    "triangular_solve": _triangular,
    "optimization_barrier": lambda g, op, x: [each.value for each in x],
}
"""By name, without the dialect."""
