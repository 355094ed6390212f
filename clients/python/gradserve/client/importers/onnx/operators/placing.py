"""Elements put back to where windows had them."""

from __future__ import annotations

import math

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import padded, permute
from gradserve.client.importers.lax.places import scattered
from gradserve.client.importers.onnx.table import Node, Result, translates


@translates("MaxUnpool", known=(2,))
def unpool(n: Node, x: Operand, places: Operand, shape: Operand | None = None) -> Result:
    """Zeros, with each element of x at its place in the array that it was the largest of."""
    g, sizes, wanted = n.g, n.get("kernel_shape"), n.ints(2)
    count = len(sizes)
    strides, pads = n.get("strides", [1] * count), n.get("pads", [0] * 2 * count)
    steps = zip(x.shape[2:], strides, sizes, pads[:count], pads[count:], strict=True)
    lengths = [(m - 1) * stride + size - low - high for m, stride, size, low, high in steps]
    whole = (*x.shape[:2], *lengths)
    zeros = Operand(g.zeros(x.value.type.with_shape((math.prod(whole),))), x.dtype)
    flat = [g.reshape(each.value, (x.value.type.size,)) for each in (places, x)]
    found = g.reshape(scattered(g, zeros, [flat[0]], Operand(flat[1], x.dtype), "set"), whole)
    if wanted is None:
        return found
    more = [want - m for want, m in zip(wanted, whole, strict=True)]
    zero = g.constant(0, x.value.type.element_type)
    return padded(g, found, zero, [0] * len(more), more)


@translates("Col2Im", known=(1, 2))
def images(n: Node, x: Operand, lengths: Operand, sizes: Operand) -> Result:
    """Images of columns, each of which holds the elements of a window: those that overlap are added up."""
    g, whole, block = n.g, n.ints(1), n.ints(2)
    assert whole is not None
    assert block is not None
    count = len(block)
    strides, dilations = tuple(n.get("strides", [1] * count)), tuple(n.get("dilations", [1] * count))
    pads = n.get("pads", [0] * 2 * count)
    wide = tuple(m + low + high for m, low, high in zip(whole, pads[:count], pads[count:], strict=True))
    spans = [(size - 1) * gap + 1 for size, gap in zip(block, dilations, strict=True)]
    counts = [(m - span) // stride + 1 for m, span, stride in zip(wide, spans, strides, strict=True)]
    lead = (x.shape[0], x.shape[1] // math.prod(block))
    apart = permute(
        g, g.reshape(x.value, (*lead, *block, *counts)), [0, 1, *range(2 + count, 2 + 2 * count), *range(2, 2 + count)]
    )
    axes = tuple(range(2, 2 + count))
    attributes = {"axes": axes, "sizes": block, "strides": strides, "dilations": dilations}
    found = g.emit("overlap_add", apart, **attributes, lengths=wide)
    starts = (0, 0, *pads[:count])
    stops = (*lead, *(low + m for low, m in zip(pads[:count], whole, strict=True)))
    return g.emit("slice", found, starts=starts, stops=stops, strides=(1,) * (2 + count))
