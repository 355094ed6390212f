"""Sums of products: matrices and convolutions."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.aten.table import Node, Result, Scalar, translates
from gradserve.client.importers.lax import products as lax
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import permute
from gradserve.ir.builder import Value
from gradserve.numpy import norms, products


def _scaled(n: Node, x: Value, factor: Scalar) -> Value:
    return x if factor == 1 else n.g.mul(x, n.of(factor))


@translates("mm", "bmm", "matmul", "mv", "dot")
def _matmul(n: Node, x: Operand, y: Operand, out_dtype: object = None) -> Result:
    """The product of matrices."""
    return products.matmul(n.of(x), n.of(y))


@translates("addmm", "baddbmm", "addmv", "addbmm", "addr")
def _addmm(n: Node, x: Operand, a: Operand, b: Operand, *, beta: Scalar = 1, alpha: Scalar = 1) -> Result:
    """beta x plus alpha times the product of two others, summed over the batch by addbmm."""
    g = n.g
    if n.name == "addr":
        product = g.mul(g.reshape(n.of(a), (*a.shape, 1)), n.of(b))
    else:
        product = products.matmul(n.of(a), n.of(b))
    if n.name == "addbmm":
        product = g.reduce_sum(product, axes=(0,))
    # Of no share of x nothing is added: its elements may be anything.
    return _scaled(n, product, alpha) if beta == 0 else g.add(_scaled(n, n.of(x), beta), _scaled(n, product, alpha))


@translates("linear")
def _linear(n: Node, x: Operand, weight: Operand, bias: Operand | None = None) -> Result:
    """x times the transpose of a matrix of weights, and a bias."""
    product = products.matmul(x.value, permute(n.g, weight.value, range(weight.rank)[::-1]))
    return product if bias is None else n.g.add(product, bias.value)


@translates("convolution", "_convolution")
def _convolution(
    n: Node,
    x: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    *flags: bool,
) -> Result:
    """The inner products of kernels with all windows of x, or the transpose of that."""
    count = weight.rank - 2
    without = x.rank == count + 1
    value = Operand(n.g.reshape(x.value, (1, *x.shape)), x.dtype) if without else x
    steps, pads, gaps, more = (_each(numbers, count) for numbers in (stride, padding, dilation, output_padding))
    found = (
        _transposed(n, value, weight, steps, pads, gaps, more, groups)
        if transposed
        else _forward(n, value, weight, steps, pads, gaps, groups)
    )
    if bias is not None:
        found = n.g.add(found, n.g.reshape(bias.value, (1, bias.shape[0], *(1,) * count)))
    return n.g.reshape(found, found.shape[1:]) if without else found


def _each(numbers: Sequence[int], count: int) -> tuple[int, ...]:
    return tuple(numbers) * count if len(numbers) == 1 else tuple(numbers)


def _forward(
    n: Node, x: Operand, weight: Operand, steps: Sequence[int], pads: Sequence[int], gaps: Sequence[int], groups: int
) -> Value:
    axes = tuple(range(weight.rank))
    how = lax.Convolution(
        axes, axes, axes, tuple(steps), tuple((p, p) for p in pads), (1,) * len(steps), tuple(gaps), groups, 1
    )
    return lax.convolve(n.g, x, weight, how, n.dtype)


def _transposed(
    n: Node,
    x: Operand,
    weight: Operand,
    steps: Sequence[int],
    pads: Sequence[int],
    gaps: Sequence[int],
    more: Sequence[int],
    groups: int,
) -> Value:
    """Kernels added up where they overlap: a convolution of x with its elements apart by turned kernels."""
    g, axes = n.g, tuple(range(weight.rank))
    turned = g.emit("reverse", weight.value, axes=axes[2:]) if axes[2:] else weight.value
    inner, results, *sizes = weight.shape
    apart = g.reshape(turned, (groups, inner // groups, results, *sizes))
    swapped = permute(g, apart, (0, 2, 1, *range(3, len(sizes) + 3)))
    kernel = Operand(g.reshape(swapped, (groups * results, inner // groups, *sizes)), weight.dtype)
    spans = [gap * (size - 1) for gap, size in zip(gaps, sizes, strict=True)]
    edges = tuple((span - p, span - p + extra) for span, p, extra in zip(spans, pads, more, strict=True))
    how = lax.Convolution(axes, axes, axes, (1,) * len(sizes), edges, tuple(steps), tuple(gaps), groups, 1)
    return lax.convolve(g, x, kernel, how, n.dtype)


@translates("_trilinear")
def _trilinear(
    n: Node,
    x: Operand,
    y: Operand,
    z: Operand,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    sumdim: Sequence[int],
    unroll_dim: int = 1,
) -> Result:
    """The sums along axes of the products of three arrays that are given new axes."""
    g = n.g
    parts = [_with_axes(n, each, axes) for each, axes in ((x, expand1), (y, expand2), (z, expand3))]
    product = functools.reduce(g.mul, g.align(parts))
    return g.reduce_sum(product, axes=tuple(sorted(sumdim))) if sumdim else product


def _with_axes(n: Node, x: Operand, axes: Sequence[int]) -> Value:
    shape = list(x.shape)
    for axis in sorted(axes):
        shape.insert(axis, 1)
    return n.g.reshape(x.value, tuple(shape))


@translates("_cdist_forward")
def _cdist(n: Node, x: Operand, y: Operand, p: float, mode: int | None = None) -> Result:
    """The p-norms of the differences of all pairs of rows."""
    g = n.g
    left = g.reshape(x.value, (*x.shape[:-1], 1, x.shape[-1]))
    right = g.reshape(y.value, (*y.shape[:-2], 1, *y.shape[-2:]))
    return norms.vector_norm(g.sub(left, right), axis=-1, ord=p)


@translates("dist")
def _dist(n: Node, x: Operand, y: Operand, p: Scalar = 2) -> Result:
    """The p-norm of the difference of all elements."""
    rest = n.g.sub(n.of(x), n.of(y))
    return norms.vector_norm(n.g.reshape(rest, (rest.type.size,)), ord=p)


@translates("_pdist_forward")
def _pdist(n: Node, x: Operand, p: float = 2.0) -> Result:
    """The p-norms of the differences of all pairs of rows, each pair once."""
    g, (first, second) = n.g, np.triu_indices(x.shape[0], 1)
    rows = [g.emit("gather", x.value, g.constant(places), axis=0) for places in (first, second)]
    return norms.vector_norm(g.sub(*rows), axis=-1, ord=p)


@translates("linalg_cross")
def _cross(n: Node, x: Operand, y: Operand, dim: int = -1) -> Result:
    """The vector product along an axis."""
    a, b = n.g.align([n.of(x), n.of(y)])
    return products.cross(a, b, axis=dim)
