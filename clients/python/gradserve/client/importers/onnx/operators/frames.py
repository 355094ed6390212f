"""How windows lie in an array: ONNX's paddings as numbers before and behind along each axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradserve.client.importers.onnx.table import Node


def auto_padding(
    n: Node, lengths: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[int, int]]:
    """The padding that the attributes `auto_pad` and `pads` ask for."""
    kind, count = n.get("auto_pad", "NOTSET"), len(sizes)
    if kind == "NOTSET":
        pads = n.get("pads", [0] * 2 * count)
        return list(zip(pads[:count], pads[count:], strict=True))
    if kind == "VALID":
        return [(0, 0)] * count
    found = []
    for length, size, stride, gap in zip(lengths, sizes, strides, dilations, strict=True):
        span = (size - 1) * gap + 1
        rest = max((math.ceil(length / stride) - 1) * stride + span - length, 0)
        small, large = rest // 2, rest - rest // 2
        found.append((small, large) if kind == "SAME_UPPER" else (large, small))
    return found
