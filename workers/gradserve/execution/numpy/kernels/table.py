"""NumPy's own ways to compute an op, by the op's class: found through its bases, so that families share entries."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from gradserve.ir.op import Op
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType

Kernel: TypeAlias = Callable[..., Any]
"""A function of the operands, and of `out` where the entry overwrites: the result, or a tuple of several."""
Make: TypeAlias = Callable[[Any, Sequence[TensorType]], Kernel]
"""Of the op and the types of its operands: the kernel for them."""
M = TypeVar("M", bound=Make)


@dataclass(frozen=True, slots=True)
class NumpyKernel:
    """How NumPy computes the ops of a class, and what is known about that."""

    make: Make
    broadcasts: bool = False
    """Whether the kernel broadcasts by itself, so that broadcasts before it may be left out."""
    overwrites: bool = False
    """Whether it takes `out=`, so that the result may take the place of a dying operand."""
    symbol: str = ""
    """The Python operator that computes it on real operands, if there is one: cheaper than a call."""
    covers: frozenset[str] = frozenset()
    """The guards, by constraint, that the kernel itself enforces by raising what the guard would."""


_ENTRIES: dict[type[Op], NumpyKernel] = {}


def kernel(
    *ops: type[Any],
    broadcasts: bool = False,
    overwrites: bool = False,
    symbol: str = "",
    covers: Sequence[str] = (),
) -> Callable[[M], M]:
    """Enters a maker of kernels for classes of ops and those derived from them; a decorator."""

    def enter(make: M) -> M:
        for op in ops:
            _ENTRIES[op] = NumpyKernel(make, broadcasts, overwrites, symbol, frozenset(covers))
        return make

    return enter


@functools.cache
def entry(op: type[Op]) -> NumpyKernel:
    """The entry of the nearest base of an op's class; of most ops that is `impl` itself."""
    return next((_ENTRIES[base] for base in op.__mro__ if base in _ENTRIES), _PLAIN)


def made(op: Op, types: Sequence[TensorType]) -> Kernel:
    """The kernel of an op for operands of these types."""
    return entry(type(op)).make(op, types)


def plain(op: Op, types: Sequence[TensorType]) -> Kernel:
    """The op's own mathematics."""
    del types
    return functools.partial(op.impl, np)


_PLAIN = NumpyKernel(plain)
