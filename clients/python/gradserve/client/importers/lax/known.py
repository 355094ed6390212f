"""What follows from constants alone, while importing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.evaluate import evaluated
from gradserve.ir.graph import Literal
from gradserve.numpy.recorder import Recorder

FOLDED_BYTES = 1 << 26
"""What is computed at once is at most that large, with all that it is made of."""


def known_array(g: Recorder, operand: Operand) -> np.ndarray[Any, Any] | None:
    """The elements of an operand that is known."""
    literal = g.literal(operand.value)
    return literal.array if isinstance(literal, Literal) else None


def folded(g: Recorder, x: Operand, open_: Collection[int] = ()) -> Operand:
    """The operand as a constant, if it is made of constants and of none of the values that are open."""
    size, seen, waiting = 0, set[int](), [x.value]
    while waiting:
        value = waiting.pop()
        made = g.producer(value)
        if value.index in open_ or (made is None and not isinstance(g.literal(value), Literal)):
            return x
        if made is not None and made.results[0].index not in seen:
            seen.add(made.results[0].index)
            size += sum(type_.nbytes for type_ in made.types)
            waiting += made.operands
    if not seen or size > FOLDED_BYTES:
        return x
    (array,) = evaluated(g, [x.value])
    return x if array is None else Operand(g.constant(array), x.dtype)
