"""StableHLO's operations on arrays, each by the function of ours that has its semantics."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.client.importers.lax import elements, fourier, movement, ordering, products
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
from gradserve.client.importers.stablehlo.normalising import NORMALISING
from gradserve.client.importers.stablehlo.placed import convolution, gather, scatter
from gradserve.client.importers.stablehlo.scalars import BROADCASTING, SCALARS
from gradserve.client.importers.stablehlo.shaped import SHAPED
from gradserve.client.importers.stablehlo.syntax import Operation, numbers
from gradserve.ir.builder import Builder, Value
from gradserve.numpy import einstein


def _pad(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    edges = [ints(op, long) if long in op.attributes else ints(op, short) for long, short in _EDGES]
    return movement.pad(g, x[0], x[1], list(zip(*edges, strict=True)))


_EDGES = (("edge_padding_low", "low"), ("edge_padding_high", "high"), ("interior_padding", "interior"))


def _dot_general(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    given = op.attributes.get("dot_dimension_numbers", {})
    pairs = []
    for short, names in (("contracting_dims", "contracting_dimensions"), ("batching_dims", "batching_dimensions")):
        long = [given.get(f"{side}_{names}", []) for side in ("lhs", "rhs")]
        pairs.append([numbers(each, op.line) for each in op.attributes.get(short, long)])
    return products.dot_general(g, x[0], x[1], pairs[0], pairs[1], dtype_of(op))


def _dot(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    return products.dot_general(g, x[0], x[1], [(x[0].rank - 1,), (0,)], [(), ()], dtype_of(op))


def _einsum(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    config = str(op.attributes.get("config", op.attributes.get("einsum_config", "")))
    return g.convert(einstein.einsum(config, *(each.value for each in x)), elements.held(dtype_of(op)))


def _broadcast(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    sizes = either(op, "sizes", "broadcast_sizes")
    axes = range(len(sizes), len(sizes) + x[0].rank)
    return movement.broadcast_in_dim(g, x[0], (*sizes, *x[0].shape), list(axes))


def _top_k(g: Builder, op: Operation, x: Sequence[Operand]) -> list[Value]:
    values, places = ordering.top_k(g, x[0], integer(op, "k"), x[0].rank - 1)
    return [values, g.convert(places, elements.held(dtype_of_result(op, 1)))]


def _triangular(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    given = op.attributes
    turned = str(given.get("transpose_a", "NO_TRANSPOSE"))
    left, lower, unit = (given.get(name) is True for name in ("left_side", "lower", "unit_diagonal"))
    a = products.conjugated(g, x[0]) if turned == "ADJOINT" else x[0]
    return products.triangular_solve(g, a, x[1], left, lower, turned != "NO_TRANSPOSE", unit)


def _fft(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    kind = op.attributes.get("type", op.attributes.get("fft_type", ""))
    return fourier.fft(g, x[0], str(kind), either(op, "length", "fft_length"))


def _cholesky(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    if op.attributes.get("lower") is True:
        return g.emit("cholesky", x[0].value)
    return products.transposed(g, g.emit("cholesky", products.transposed(g, x[0].value)))


def _iota(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    axis = either(op, "dim", "iota_dimension")[0]
    return movement.iota(g, dtype_of(op), shape_of(op), axis)


def _dynamic_slice(g: Builder, op: Operation, x: Sequence[Operand]) -> Value:
    return movement.dynamic_slice(g, x[0], x[1:], either(op, "sizes", "slice_sizes"))


ARRAYS: dict[str, Compute] = {
    **SCALARS,
    **SHAPED,
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
    "dot_general": _dot_general,
    "dot": _dot,
    **dict.fromkeys(("einsum", "unary_einsum"), _einsum),
    "broadcast": _broadcast,
    **BROADCASTING,
    **NORMALISING,
    "convolution": convolution,
    "top_k": _top_k,
    "cholesky": _cholesky,
    "fft": _fft,
    "triangular_solve": _triangular,
    **dict.fromkeys(("optimization_barrier", "sdy.sharding_constraint"), lambda g, op, x: [each.value for each in x]),
}
"""By name, without the dialect."""
