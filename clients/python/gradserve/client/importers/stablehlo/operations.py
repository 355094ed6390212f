"""StableHLO's operations on arrays, each by the function of ours that has its semantics."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.client.importers.lax import bits, elements, elementwise, movement, ordering, products, reductions
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.stablehlo.given import (
    Compute,
    dtype_of,
    dtype_of_result,
    either,
    integer,
    ints,
    shape_of,
)
from gradserve.client.importers.stablehlo.placed import convolution, frame, gather, scatter
from gradserve.client.importers.stablehlo.regions import combination_of, fold_of, keys_of, position_of
from gradserve.client.importers.stablehlo.syntax import Operation, numbers
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported

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
    edges = [ints(op, long) if long in op.attributes else ints(op, short) for long, short in _EDGES]
    return movement.pad(g, x[0], x[1], list(zip(*edges, strict=True)))


_EDGES = (("edge_padding_low", "low"), ("edge_padding_high", "high"), ("interior_padding", "interior"))


def _joined(g: Builder, name: str, found: Operand, first: Operand) -> Value:
    """What a reduction gives, joined with what it begins with."""
    spread = Operand(g.broadcast(first.value, found.value.type.shape), first.dtype)
    return elementwise.ELEMENTWISE[_NAMES[name]](g, found, spread)


def _reduce(g: Builder, op: Operation, x: Sequence[Operand]) -> Value | list[Value]:
    axes = ints(op, "dimensions")
    if len(x) == 2:
        name, fold = fold_of(op)
        found = Operand(reductions.reduce(g, x[0], fold, axes), x[0].dtype)
        return _joined(g, name, found, x[1])
    if len(x) != 4 or len(axes) != 1 or len(op.regions) != 1:
        raise Unsupported("it reduces several arrays at once", "reduce them one by one")
    name = position_of(op.regions[0])
    extreme = reductions.reduce(g, x[0], name[-3:], axes)
    return [extreme, reductions.position(g, x[0], name, axes[0], dtype_of_result(op, 1))]


def _reduce_window(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    if len(x) != 2:
        raise Unsupported("it reduces several arrays at once", "reduce them one by one")
    name, fold = fold_of(op)
    found = Operand(reductions.reduce_window(g, x[0], fold, frame(op, x[0].rank)), x[0].dtype)
    return _joined(g, name, found, x[1])


def _select_and_scatter(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    array, source, first = x
    chosen = [each for each in op.regions[0].operations if each.name == "compare"]
    words = chosen[0].attributes["words"] if len(chosen) == 1 else []
    if len(op.regions) != 2 or combination_of(op.regions[1]) != "add" or not {"GE", "LE"} & set(words):
        raise Unsupported("it chooses by a function of its own", "choose the largest or the smallest element")
    found = reductions.select_and_scatter_add(g, source, array, "GE" in words, frame(op, array.rank))
    return _joined(g, "add", Operand(found, array.dtype), first)


def _dot_general(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    given = op.attributes.get("dot_dimension_numbers", {})
    pairs = []
    for short, names in (("contracting_dims", "contracting_dimensions"), ("batching_dims", "batching_dimensions")):
        long = [given.get(f"{side}_{names}", []) for side in ("lhs", "rhs")]
        pairs.append([numbers(each, op.line) for each in op.attributes.get(short, long)])
    return products.dot_general(g, x[0], x[1], pairs[0], pairs[1], dtype_of(op))


def _sort(g: Builder, op: Operation, x: Sequence[Operand]) -> list[Value]:
    return ordering.sort(g, x, integer(op, "dimension"), keys_of(op.regions[0]))


def _top_k(g: Builder, op: Operation, x: Sequence[Operand]) -> list[Value]:
    values, places = ordering.top_k(g, x[0], integer(op, "k"), x[0].rank - 1)
    return [values, g.convert(places, elements.held(dtype_of_result(op, 1)))]


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
    axis = either(op, "dim", "iota_dimension")[0]
    return movement.iota(g, dtype_of(op), shape_of(op), axis)


def _dynamic_slice(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    return movement.dynamic_slice(g, x[0], x[1:], either(op, "sizes", "slice_sizes"))


ARRAYS: dict[str, Compute] = {
    **{name: _named(jax) for name, jax in _NAMES.items()},
    "clamp": _clamp,
    "compare": _compare,
    "select": _select,
    "convert": lambda g, op, x: elements.converted(g, x[0], dtype_of(op)),
    "bitcast_convert": lambda g, op, x: bits.bitcast(g, x[0], dtype_of(op)),
    "next_after": lambda g, op, x: bits.nextafter(g, *x),
    "reduce_precision": _precision,
    "round_nearest_even": lambda g, op, x: elementwise.round_nearest(g, x[0], to_even=True),
    "round_nearest_afz": lambda g, op, x: elementwise.round_nearest(g, x[0], to_even=False),
    "broadcast_in_dim": lambda g, op, x: movement.broadcast_in_dim(
        g, x[0], shape_of(op), either(op, "dims", "broadcast_dimensions")
    ),
    "reshape": lambda g, op, x: g.reshape(x[0].value, shape_of(op)),
    "transpose": lambda g, op, x: movement.permute(g, x[0].value, either(op, "dims", "permutation")),
    "reverse": lambda g, op, x: movement.reverse(g, x[0], either(op, "dims", "dimensions")),
    "concatenate": lambda g, op, x: movement.concatenate(g, x, either(op, "dim", "dimension")[0]),
    "pad": _pad,
    "slice": lambda g, op, x: movement.sliced(
        g, x[0], ints(op, "start_indices"), ints(op, "limit_indices"), ints(op, "strides")
    ),
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": lambda g, op, x: movement.dynamic_update_slice(g, x[0], x[1], x[2:]),
    "iota": _iota,
    "gather": gather,
    "scatter": scatter,
    "reduce": _reduce,
    "reduce_window": _reduce_window,
    "select_and_scatter": _select_and_scatter,
    "dot_general": _dot_general,
    "convolution": convolution,
    "sort": _sort,
    "top_k": _top_k,
    "cholesky": _cholesky,
    "triangular_solve": _triangular,
    "optimization_barrier": lambda g, op, x: [each.value for each in x],
}
"""By name, without the dialect."""
