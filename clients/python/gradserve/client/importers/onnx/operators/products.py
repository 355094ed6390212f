"""Products of matrices, contractions and convolutions."""

from __future__ import annotations

import math

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.onnx.operators.frames import auto_padding
from gradserve.client.importers.onnx.table import Node, Result, translates
from gradserve.ir.builder import Value
from gradserve.ir.types import ElementType
from gradserve.numpy import einstein, products, shaping, windowing


@translates("MatMul")
def matmul(n: Node, a: Operand, b: Operand) -> Result:
    """The product of matrices."""
    return products.matmul(a.value, b.value)


@translates("MatMulInteger")
def matmul_integer(n: Node, a: Operand, b: Operand, low: Operand | None = None, high: Operand | None = None) -> Result:
    """The product of matrices of integers, less their zero points."""
    g = n.g
    left, right = (g.convert(x.value, ElementType.INT32) for x in (a, b))
    if low is not None:
        zero = low.value if low.rank != 1 else g.reshape(low.value, (*low.shape, 1))
        left = g.sub(left, zero)
    return products.matmul(left, right if high is None else g.sub(right, high.value))


@translates("Gemm")
def gemm(n: Node, a: Operand, b: Operand, c: Operand | None = None) -> Result:
    """alpha A B + beta C, of A and B transposed where that is asked for."""
    g = n.g
    left = shaping.transpose(a.value) if n.get("transA", 0) else a.value
    right = shaping.transpose(b.value) if n.get("transB", 0) else b.value
    found = _scaled(n, products.matmul(left, right), n.get("alpha", 1.0))
    return found if c is None else g.add(found, _scaled(n, c.value, n.get("beta", 1.0)))


def _scaled(n: Node, x: Value, factor: float) -> Value:
    if factor == 1.0:
        return x
    return n.g.mul(x, factor if x.type.is_float else int(factor))


@translates("Einsum")
def einsum(n: Node, *operands: Operand) -> Result:
    """Sums of products in Einstein's notation."""
    return einstein.einsum(n.get("equation").replace(" ", ""), *(x.value for x in operands))


@translates("Conv", "ConvInteger")
def conv(n: Node, x: Operand, w: Operand, b: Operand | None = None, w_zero: Operand | None = None) -> Result:
    """The inner products of kernels with all windows of x."""
    g, value, kernel = n.g, x.value, w.value
    if n.operation == "ConvInteger":
        value, kernel = (g.convert(each, ElementType.INT32) for each in (value, kernel))
        value = value if b is None else g.sub(value, b.value)
        kernel = kernel if w_zero is None else g.sub(kernel, of_kernels(n, w_zero, w))
        b = None
    sizes = w.shape[2:]
    count = len(sizes)
    strides, dilations = n.get("strides", [1] * count), n.get("dilations", [1] * count)
    pads = auto_padding(n, x.shape[2:], sizes, strides, dilations)
    found = windowing.convolution(value, kernel, strides, pads, dilations, 1, n.get("group", 1))
    return found if b is None else g.add(found, g.reshape(b.value, (b.shape[0], *(1,) * count)))


def of_kernels(n: Node, told: Operand, w: Operand) -> Value:
    """A number, or one for each kernel, as an array that goes with all kernels."""
    if told.value.type.size == 1:
        return n.g.reshape(told.value, ())
    return n.g.reshape(told.value, (w.shape[0], *(1,) * (w.rank - 1)))


@translates("ConvTranspose")
def conv_transpose(n: Node, x: Operand, w: Operand, b: Operand | None = None) -> Result:
    """What a convolution's transpose makes of x: kernels added up where they overlap."""
    g, groups, sizes = n.g, n.get("group", 1), w.shape[2:]
    count = len(sizes)
    strides, dilations = (tuple(n.get(name, [1] * count)) for name in ("strides", "dilations"))
    more = n.get("output_padding", [0] * count)
    spans = [(size - 1) * gap + 1 for size, gap in zip(sizes, dilations, strict=True)]
    whole = [
        (m - 1) * step + span + extra for m, step, span, extra in zip(x.shape[2:], strides, spans, more, strict=True)
    ]
    cut = _cut(n, x.shape[2:], whole, strides)
    kernel = g.emit("reverse", w.value, axes=tuple(range(2, 2 + count)))
    channels, results = w.shape[0] // groups, w.shape[1]
    kernel = g.reshape(kernel, (groups, channels, results, *sizes))
    kernel = g.reshape(shaping.swapaxes(kernel, 1, 2), (groups * results, channels, *sizes))
    pads = [(span - 1, span - 1 + extra) for span, extra in zip(spans, more, strict=True)]
    found = windowing.convolution(x.value, kernel, 1, pads, dilations, strides, groups)
    starts = (0, 0, *(low for low, _ in cut))
    stops = (*found.shape[:2], *(m - high for m, (_, high) in zip(found.shape[2:], cut, strict=True)))
    if any(low or high for low, high in cut):
        found = _cropped(n, found, starts, stops)
    return found if b is None else g.add(found, g.reshape(b.value, (b.shape[0], *(1,) * count)))


def _cropped(n: Node, x: Value, starts: tuple[int, ...], stops: tuple[int, ...]) -> Value:
    """The part of x, with zeros where it reaches behind its end."""
    over = tuple(max(stop - m, 0) for stop, m in zip(stops, x.shape, strict=True))
    zeros = (0,) * len(over)
    wide = n.g.emit("pad", x, low=zeros, high=over, interior=zeros) if any(over) else x
    return n.g.emit("slice", wide, starts=starts, stops=stops, strides=(1,) * len(starts))


def _cut(n: Node, lengths: tuple[int, ...], whole: list[int], strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """How much is taken away along each axis, before and behind."""
    count, kind = len(whole), n.get("auto_pad", "NOTSET")
    wanted = n.get("output_shape")
    if wanted is None and kind in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [m * step for m, step in zip(lengths, strides, strict=True)]
    if wanted is None:
        pads = n.get("pads", [0] * 2 * count) if kind == "NOTSET" else [0] * 2 * count
        return list(zip(pads[:count], pads[count:], strict=True))
    rests = [m - want for m, want in zip(whole, list(wanted)[-count:], strict=True)]
    halves = [math.floor(rest / 2) for rest in rests]
    if kind == "SAME_UPPER":
        return [(half, rest - half) for half, rest in zip(halves, rests, strict=True)]
    return [(rest - half, half) for half, rest in zip(halves, rests, strict=True)]
