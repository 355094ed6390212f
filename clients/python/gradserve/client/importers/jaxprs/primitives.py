"""JAX's primitives of arrays, each by the function of ours that has its semantics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.client.importers.jaxprs.folds import (
    Compute,
    Params,
    accumulated,
    gathered_windows,
    position,
    reduced,
    scattered_windows,
    windowed,
)
from gradserve.client.importers.lax import (
    bits,
    casts,
    elements,
    elementwise,
    fourier,
    indexing,
    movement,
    ordering,
    products,
    special,
)
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.indexing import Outside, Windows
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.repeating import tile


def _sliced(g: Builder, params: Params, x: Operand) -> Value:
    strides = params["strides"] or (1,) * x.rank
    return movement.sliced(g, x, params["start_indices"], params["limit_indices"], strides)


def _split(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> list[Value]:
    (x,), parts, start = operands, [], 0
    for size in map(int, params["sizes"]):
        parts.append(movement.part(g, x.value, params["axis"], start, start + size))
        start += size
    return parts


def _outside(mode: Any, gathers: bool) -> Outside:
    """Gathers promised to be inside are moved there, as XLA does; scatters are dropped."""
    name = getattr(mode, "name", str(mode))
    return "clip" if name == "CLIP" or (gathers and name == "PROMISE_IN_BOUNDS") else "drop"


def _gather(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    (x, indices), numbers = operands, params["dimension_numbers"]
    windows = Windows(
        shape=x.shape,
        sizes=tuple(params["slice_sizes"]),
        offset=tuple(numbers.offset_dims),
        collapsed=tuple(numbers.collapsed_slice_dims),
        starts=tuple(numbers.start_index_map),
        batching=_paired(numbers.operand_batching_dims, numbers.start_indices_batching_dims),
        outside=_outside(params["mode"], gathers=True),
    )
    fill = params["fill_value"]
    if fill is None:
        fill = np.nan if not x.is_whole else np.iinfo(x.dtype).min if x.dtype.kind == "i" else True
    if fill is True and x.dtype.kind == "u":
        fill = np.iinfo(x.dtype).max
    return indexing.gather(g, x, indices, windows, elements.constant(g, np.array(fill, x.dtype)).value)


def _paired(of_operand: Sequence[int], of_indices: Sequence[int]) -> dict[int, int]:
    return dict(zip(of_operand, of_indices, strict=True))


def _scatter(combine: indexing.Combine) -> Compute:
    def apply(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
        (x, indices, updates), numbers = operands, params["dimension_numbers"]
        batching = _paired(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims)
        gone = (*numbers.inserted_window_dims, *batching)
        kept = [k for k in range(x.rank) if k not in gone]
        lengths = dict(zip(kept, (updates.shape[k] for k in numbers.update_window_dims), strict=True))
        windows = Windows(
            shape=x.shape,
            sizes=tuple(lengths.get(k, 1) for k in range(x.rank)),
            offset=tuple(numbers.update_window_dims),
            collapsed=tuple(numbers.inserted_window_dims),
            starts=tuple(numbers.scatter_dims_to_operand_dims),
            batching=batching,
            outside=_outside(params["mode"], gathers=False),
        )
        return indexing.scatter(g, x, indices, updates, windows, combine, params["unique_indices"])

    return apply


def _dot_general(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    contract, batch = params["dimension_numbers"]
    return products.dot_general(g, operands[0], operands[1], contract, batch, np.dtype(outs[0].dtype))


def _ragged_dot(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    numbers = params["ragged_dot_dimension_numbers"]
    contract, batch = numbers.dot_dimension_numbers
    groups = tuple(numbers.rhs_group_dimensions)
    if len(groups) != 1 or params["group_offset"] is not None:
        raise Unsupported("its parts are those of both operands, or some of them", "use products of the parts")
    parts = (numbers.lhs_ragged_dimensions[0], groups[0])
    x, y, sizes = operands
    return products.ragged_dot(g, x, y, sizes, contract, batch, parts, np.dtype(outs[0].dtype))


def _convolved(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    numbers = params["dimension_numbers"]
    how = products.Convolution(
        lhs=tuple(numbers.lhs_spec),
        rhs=tuple(numbers.rhs_spec),
        out=tuple(numbers.out_spec),
        strides=tuple(params["window_strides"]),
        padding=tuple((low, high) for low, high in params["padding"]),
        lhs_dilation=tuple(params["lhs_dilation"]),
        rhs_dilation=tuple(params["rhs_dilation"]),
        feature_groups=params["feature_group_count"],
        batch_groups=params["batch_group_count"],
    )
    return products.convolve(g, operands[0], operands[1], how, np.dtype(outs[0].dtype))


def _triangular(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    names = ("left_side", "lower", "transpose_a", "unit_diagonal")
    a = products.conjugated(g, operands[0]) if params["conjugate_a"] else operands[0]
    return products.triangular_solve(g, a, operands[1], *(params[name] for name in names))


def _fft(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    return fourier.fft(g, operands[0], params["fft_type"].name, params["fft_lengths"])


def _require_all(params: Params, what: str) -> None:
    if params.get("subset_by_index") is not None:
        raise Unsupported(f"it asks for some of the {what}", "take them from all")


def _eigh(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Sequence[Value]:
    _require_all(params, "eigenvalues")
    return products.eigh(g, operands[0], params["lower"])


def _eig(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Sequence[Value]:
    if params["compute_left_eigenvectors"]:
        raise Unsupported("it asks for left eigenvectors", "take the right ones of the transposed matrix")
    return products.eig(g, operands[0], params["compute_right_eigenvectors"])


def _svd(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Sequence[Value]:
    _require_all(params, "singular values")
    return products.svd(g, operands[0], params["full_matrices"], params["compute_uv"])


def _qr(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Sequence[Value]:
    if params.get("pivoting"):
        raise Unsupported("it exchanges columns", "use pivoting=False")
    return products.qr(g, operands[0], params["full_matrices"])


def _same(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> list[Value]:
    return [operand.value for operand in operands]


def _nothing(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> list[Value]:
    return []


def _elementwise(name: str) -> Compute:
    function = elementwise.ELEMENTWISE[name]
    return lambda g, p, x, outs: function(g, *elements.alike(g, x))


def _reshaped(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> Value:
    return g.reshape(operands[0].value, tuple(outs[0].shape))


def _top_k(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> list[Value]:
    axis = params.get("axis", -1) % operands[0].rank
    values, places = ordering.top_k(g, operands[0], params["k"], axis)
    return [values, g.convert(places, elements.held(outs[1].dtype))]


def _extremes(g: Builder, params: Params, operands: Sequence[Operand], outs: Sequence[Any]) -> list[Value]:
    """The largest or smallest elements, which JAX finds exactly on processors."""
    axis = params["reduction_dimension"] % operands[0].rank
    values, places = ordering.extremes(g, operands[0], params["k"], axis, params["is_max_k"])
    return [values, g.convert(places, elements.held(outs[1].dtype))]


def _counters(g: Builder, shape: Sequence[int]) -> list[Value]:
    """The number of each element in row-major order, as its higher and its lower 32 bits."""
    size = math.prod(shape)
    line = g.reshape(movement.numbers(g, size), tuple(shape))
    return [g.shift_right(line, 32), g.bitwise_and(line, 0xFFFFFFFF)]


_MARKS = ["copy", "copy_p", "name", "optimization_barrier", "sharding_constraint", "layout_constraint", "reshard"]
_MARKS += ["device_put", "pvary"]
"""What tells JAX what to keep, and where, and leaves elements as they are."""
MOVEMENTS: dict[str, Compute] = {
    "broadcast_in_dim": lambda g, p, x, outs: movement.broadcast_in_dim(g, x[0], p["shape"], p["broadcast_dimensions"]),
    "reshape": _reshaped,
    "squeeze": _reshaped,
    "expand_dims": _reshaped,
    "transpose": lambda g, p, x, outs: movement.permute(g, x[0].value, p["permutation"]),
    "rev": lambda g, p, x, outs: movement.reverse(g, x[0], p["dimensions"]),
    "concatenate": lambda g, p, x, outs: movement.concatenate(g, x, p["dimension"]),
    "stack": lambda g, p, x, outs: movement.stack(g, x, p["axis"]),
    "unstack": lambda g, p, x, outs: movement.unstack(g, x[0], p["axis"]),
    "tile": lambda g, p, x, outs: tile(x[0].value, p["reps"]),
    "slice": lambda g, p, x, outs: _sliced(g, p, x[0]),
    "split": _split,
    "dynamic_slice": lambda g, p, x, outs: movement.dynamic_slice(g, x[0], x[1:], p["slice_sizes"]),
    "dynamic_update_slice": lambda g, p, x, outs: movement.dynamic_update_slice(g, x[0], x[1], x[2:]),
    "select_n": _elementwise("select_n"),
    "gather": _gather,
    **dict.fromkeys(_MARKS, _same),
}
"""Those that only move elements."""

ARRAYS: dict[str, Compute] = {
    **{name: _elementwise(name) for name in elementwise.ELEMENTWISE},
    **MOVEMENTS,
    "stop_gradient": lambda g, p, x, outs: x[0].value if x[0].is_whole else g.stop_gradient(x[0].value),
    "convert_element_type": lambda g, p, x, outs: casts.cast(g, x[0], np.dtype(outs[0].dtype)),
    "bitcast_convert_type": lambda g, p, x, outs: bits.bitcast(g, x[0], np.dtype(outs[0].dtype)),
    "nextafter": lambda g, p, x, outs: bits.nextafter(g, *elements.alike(g, x)),
    "reduce_precision": lambda g, p, x, outs: elementwise.reduce_precision(
        g, x[0], p["exponent_bits"], p["mantissa_bits"]
    ),
    "igamma_grad_a": lambda g, p, x, outs: special.gamma_by_shape(g, *x),
    "random_gamma_grad": lambda g, p, x, outs: special.gamma_draw_by_shape(g, *x),
    "integer_pow": lambda g, p, x, outs: elementwise.integer_pow(g, x[0], p["y"]),
    "round": lambda g, p, x, outs: elementwise.round_nearest(g, x[0], int(p["rounding_method"]) == 1),
    "pad": lambda g, p, x, outs: movement.pad(g, x[0], x[1], p["padding_config"]),
    "iota": lambda g, p, x, outs: movement.iota(g, np.dtype(p["dtype"]), p["shape"], p["dimension"]),
    "iota_2x32_shape": lambda g, p, x, outs: _counters(g, p["shape"]),
    "scatter": _scatter("set"),
    **{f"scatter-{name}": _scatter(name) for name in ("add", "sub", "mul", "max", "min")},
    **{f"reduce_{fold}": reduced(fold) for fold in ("sum", "prod", "max", "min", "and", "or", "xor")},
    "argmax": position("argmax"),
    "argmin": position("argmin"),
    **{name: accumulated(name) for name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")},
    **{f"reduce_window_{fold}": windowed(fold) for fold in ("sum", "max", "min")},
    "select_and_scatter_add": scattered_windows,
    "select_and_gather_add": gathered_windows,
    "dot_general": _dot_general,
    "ragged_dot_general": _ragged_dot,
    "symmetric_product": lambda g, p, x, outs: products.symmetric_product(g, x[0], x[1], p["alpha"], p["beta"]),
    "cholesky_update": lambda g, p, x, outs: products.cholesky_update(g, *x),
    "conv_general_dilated": _convolved,
    "sort": lambda g, p, x, outs: ordering.sort(g, x, p["dimension"], p["num_keys"]),
    "top_k": _top_k,
    "approx_top_k": _extremes,
    "fft": _fft,
    "cholesky": lambda g, p, x, outs: g.emit("cholesky", x[0].value),
    "triangular_solve": _triangular,
    "tridiagonal_solve": lambda g, p, x, outs: products.tridiagonal_solve(g, *x),
    "eig": _eig,
    "eigh": _eigh,
    "svd": _svd,
    "qr": _qr,
    "debug_callback": _nothing,
    "debug_print": _nothing,
}
"""By name."""
