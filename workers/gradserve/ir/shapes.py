"""What a shape must fulfil, whatever op makes or reads it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from gradserve.ir.errors import ConstraintError
from gradserve.ir.types import Shape, Symbol

MAX_RANK = 32
MAX_BYTES = 2**62
SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def shape_faults(shape: Shape, itemsize: int = 1) -> Iterator[tuple[str, str]]:
    """The constraints that a shape breaks, with descriptions; `itemsize` is the bytes of one element."""
    if len(shape) > MAX_RANK:
        yield "G8", f"{len(shape)} axes are more than {MAX_RANK}; merge some by a reshape"
        return
    numbers = []
    for axis, length in enumerate(shape):
        if isinstance(length, Symbol):
            if not SYMBOL.fullmatch(length.name):
                cut = length.name[:64]
                yield "G9", f"axis {axis} has the symbol {cut!r}; write at most 64 letters, digits and underscores"
        elif length < 0:
            yield "G8", f"axis {axis} has the length {length}; lengths are at least 0"
        else:
            numbers.append(length)
    # NumPy multiplies the lengths that are not zero, so that an empty array can be too large as well.
    if math.prod(length for length in numbers if length) * itemsize >= MAX_BYTES:
        yield "G8", "the elements fill 2**62 bytes or more"


def broadcast_shape(shapes: Sequence[Shape]) -> Shape:
    """The common shape of arrays by NumPy's rule.

    Raises:
        ConstraintError: there is none.
    """
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    result = []
    for lengths in zip(*padded, strict=True):
        stretched = {length for length in lengths if length != 1}
        if len(stretched) > 1:
            shown = " and ".join(f"[{','.join(map(str, shape))}]" for shape in shapes)
            raise ConstraintError("C1", f"shapes {shown} do not broadcast")
        result.append(stretched.pop() if stretched else 1)
    return tuple(result)
