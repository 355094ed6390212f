"""What a transform does with one node: the rules of its op, unless the op calls functions.

The rules of ops that call functions are made of transforms of those functions. Being above the ops, transforms cannot
be methods of theirs: `autodiff.control` registers them here.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Absorbed, Op, Unknown


@functools.singledispatch
def push(
    op: Op, g: Builder, primals: Sequence[Value], tangents: Sequence[Value | None]
) -> tuple[tuple[Value, ...], tuple[Value | None, ...]]:
    """The outputs and their tangents."""
    outputs = g.apply(op, primals)
    return outputs, op.jvp(g, outputs, primals, tangents)


@functools.singledispatch
def pull(
    op: Op, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
) -> tuple[Value | None, ...]:
    """The cotangent of each unknown operand; None for known ones and for zero."""
    return op.transpose(g, cotangents, operands)


@functools.singledispatch
def spread(op: Op, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
    """The outputs over a batch: batched operands and all outputs carry a leading axis of length `size`."""
    return op.batch(g, operands, batched, size)


@functools.singledispatch
def absorb(op: Op, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
    """The outputs where zeros absorb what is not finite; operands with a reach are linear in what is differentiated."""
    return op.absorbing(g, operands, reach)


def may_kink(op: Op) -> bool:
    """Whether there are operands at which `kink` is no None."""
    return bool(op.calls_functions) or type(op).kink is not Op.kink


@functools.singledispatch
def kink(
    op: Op, g: Builder, operands: Sequence[Value], outputs: Sequence[Value], _moving: Sequence[bool]
) -> Value | None:
    """Where the op has no derivative in the operands that move, as truth values of any shape; None for nowhere."""
    return op.kink(g, operands, outputs)
