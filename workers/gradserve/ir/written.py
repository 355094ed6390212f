"""Parts of rules that are made of the operands alone, and are the same each time a node is differentiated."""

from __future__ import annotations

import functools
from collections.abc import Callable

from gradserve.ir.builder import Builder, Value


def written_once(part: Callable[..., Value]) -> Callable[..., Value]:
    """A function of a builder and of values whose result is found again, where it would be made anew node by node."""

    @functools.wraps(part)
    def found(g: Builder, *operands: Value) -> Value:
        key = (part, *operands)
        made: Value | None = g.known.get(key)
        if made is None:
            made = g.known[key] = part(g, *operands)
        return made

    return found
