"""Cotangents of what operators are applied to: pullbacks that torch writes where a module takes derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gradserve.client.importers.aten.table import Node, Result, find, translates
from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Value
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.derivatives import Vjp

Applied = Callable[[Node, list[Operand]], Result]
"""An operator as a function of the operands that move."""


def _pulled(n: Node, operator: str, apply: Applied, moving: Sequence[Operand], cotangent: Operand) -> list[Value]:
    """The cotangents of what moves, where the operator is applied to it, for that of the result."""

    def step(inner: Recorder, given: list[Operand]) -> list[Operand]:
        node = replace(n, g=inner, operation=operator, dtypes=[cotangent.dtype], shapes=[cotangent.shape])
        made = apply(node, given)
        found = made if isinstance(made, Value | Operand) or made is None else made[0]
        return [found if isinstance(found, Operand) else Operand(found, cotangent.dtype)]  # type: ignore[arg-type]

    function = control.Function.of(n.g, step, moving)
    captured = function.reads()
    op = Vjp(function.graph(captured), tuple(range(len(moving))), stacked=False)
    return list(n.g.apply(op, [*(x.value for x in moving), *captured, cotangent.value])[1:])


def _forward(operator: str, node: Node, *given: object) -> Result:
    translate = find(operator)
    assert translate is not None
    return translate(node, *given)


def _operator(n: Node) -> str:
    return n.name.removesuffix("_backward")


@translates("convolution_backward")
def _of_convolution(n: Node, cotangent: Operand, x: Operand, weight: Operand, bias: object, *how: object) -> Result:
    """The cotangents of images, kernels and biases, for those of a convolution."""
    *frame, wanted = how
    assert isinstance(wanted, Sequence)

    def apply(node: Node, given: list[Operand]) -> Result:
        return _forward("convolution", node, *given, None, *frame)

    found = _pulled(n, "convolution", apply, [x, weight], cotangent)
    axes = tuple(k for k in range(cotangent.rank) if k != 1)
    sums = n.g.emit("reduce_sum", cotangent.value, axes=axes)
    return [value if asked else None for value, asked in zip([*found, sums], wanted, strict=True)]


_POOLS = [f"{kind}{k}d" for kind in ("avg_pool", "reflection_pad", "replication_pad") for k in (1, 2, 3)]
_ACTIVATIONS = ["silu", "mish", "hardswish", "hardsigmoid", "hardshrink", "softshrink"]


@translates(*(f"{name}_backward" for name in [*_POOLS, *_ACTIVATIONS]))
def _of_one(n: Node, cotangent: Operand, x: Operand, *how: object) -> Result:
    """The cotangent of the array that an operator is applied to, for that of the result."""
    operator = _operator(n)
    return _pulled(n, operator, lambda node, given: _forward(operator, node, *given, *how), [x], cotangent)


@translates("_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward")
def _of_adaptive_average(n: Node, cotangent: Operand, x: Operand) -> Result:
    """The cotangent of the array that means of windows are taken of, for that of the means."""
    operator = _operator(n)
    lengths = cotangent.shape[-int(operator[-2]) :]
    return _pulled(n, operator, lambda node, given: _forward(operator, node, *given, lengths), [x], cotangent)


_RESIZED = [
    *(f"{kind}{k}d" for kind in ("upsample_nearest", "_upsample_nearest_exact") for k in (1, 2, 3)),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
]


@translates(*(f"{name}_backward" for name in _RESIZED))
def _of_resized(
    n: Node, cotangent: Operand, output_size: Sequence[int], input_size: Sequence[int], *how: object
) -> Result:
    """The cotangent of an array, for that of what it becomes in another size."""
    operator = _operator(n)
    zeros = Operand(n.g.zeros(cotangent.value.type.with_shape(tuple(input_size))), cotangent.dtype)
    return _pulled(
        n, operator, lambda node, given: _forward(operator, node, *given, output_size, *how), [zeros], cotangent
    )


@translates("grid_sampler_2d_backward", "grid_sampler_3d_backward")
def _of_grid(n: Node, cotangent: Operand, x: Operand, grid: Operand, *how: object) -> Result:
    """The cotangents of images and of the places where they are sampled, for that of the samples."""
    operator, (*frame, wanted) = _operator(n), how
    assert isinstance(wanted, Sequence)
    found = _pulled(n, operator, lambda node, given: _forward(operator, node, *given, *frame), [x, grid], cotangent)
    return [value if asked else None for value, asked in zip(found, wanted, strict=True)]


@translates("_cdist_backward")
def _of_distances(n: Node, cotangent: Operand, x: Operand, y: Operand, p: float, distances: Operand) -> Result:
    """The cotangent of the first rows, for that of their distances from the second ones."""

    def apply(node: Node, given: list[Operand]) -> Result:
        return _forward("_cdist_forward", node, *given, Operand(node.g.adopt(y.value), y.dtype), p)

    return _pulled(n, "_cdist_forward", apply, [x], cotangent)


@translates("_pdist_backward")
def _of_pairs(n: Node, cotangent: Operand, x: Operand, p: float, distances: Operand) -> Result:
    """The cotangent of rows, for that of the distances of all pairs."""
    return _pulled(n, "_pdist_forward", lambda node, given: _forward("_pdist_forward", node, *given, p), [x], cotangent)
