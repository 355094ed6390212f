"""Whether a function is linear in some of its inputs, as its ops tell."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextvars import ContextVar
from enum import Enum

import numpy as np

from gradserve.ir.errors import ConstraintError
from gradserve.ir.graph import Graph, Literal, Node
from gradserve.ir.op import Op
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.derivatives import Derivative
from gradserve.ops.control.linear_call import LinearCall
from gradserve.ops.control.once import Once
from gradserve.ops.control.scan import Scan
from gradserve.ops.family import Multilinear


class Way(Enum):
    """How a value depends on the inputs in question."""

    LINEAR = "linear"
    ZERO = "zero"
    """Not at all, and it is filled by zeros."""
    OTHER = "other"
    """Not at all."""


LINEAR, ZERO, OTHER = Way.LINEAR, Way.ZERO, Way.OTHER
MOST_LOOKS = 500_000
"""At values of a function and of those that it calls: loops are looked at until what they carry no longer changes."""
_left: ContextVar[list[int] | None] = ContextVar("looks left", default=None)


class NotLinear(Exception):
    """Says which op makes a function something else."""


def require_linear(function: Graph, inputs: Sequence[int], constraint: str, what: str) -> None:
    """Sees that all results of a function are linear in these inputs together, which are `what`.

    Raises:
        ConstraintError: one is not, or its ops do not tell; names the op and its line.
    """
    moving = frozenset(inputs)
    given = tuple(LINEAR if k in moving else OTHER for k in range(len(function.inputs)))
    token = _left.set([MOST_LOOKS])
    try:
        found = _outputs(function, given)
    except NotLinear as refusal:
        raise ConstraintError(constraint, f"it is not linear in {what}: {refusal}") from None
    finally:
        _left.reset(token)
    for output, way in zip(function.outputs, found, strict=True):
        if way is OTHER:
            text = f"it is not linear in {what}: {output.name} does not depend on them, and is not 0"
            raise ConstraintError(constraint, text)


def _look(values: int) -> None:
    """Counts what is looked at."""
    left = _left.get()
    if left is not None:
        left[0] -= values
        if left[0] < 0:
            raise NotLinear("its loops hand on what they carry so often that this cannot be seen soon; carry less")


@functools.lru_cache(maxsize=1024)
def _outputs(function: Graph, inputs: tuple[Way, ...]) -> tuple[Way, ...]:
    """How the outputs depend on inputs that depend on others like this."""
    _look(len(function.value_types))
    ways = [*inputs]
    ways += [ZERO if isinstance(c, Literal) and not np.any(c.array) else OTHER for c in function.constants]
    for node in function.nodes:
        operands = [ways[k] for k in node.operands]
        ways += _results(node.op, node, operands) if {LINEAR, ZERO} & {*operands} else [OTHER] * len(node.types)
    return tuple(ways[output.value] for output in function.outputs)


@functools.singledispatch
def _results(op: Op, node: Node, operands: Sequence[Way]) -> Sequence[Way]:
    """How the results depend on what some of the operands are linear in, or are zeros."""
    moving = {k for k, way in enumerate(operands) if way is LINEAR}
    factors = set(range(len(operands)) if op.linear_in is None else op.linear_in)
    if not moving:
        zeros = [operands[k] is ZERO for k in factors]
        vanishes = any(zeros) if isinstance(op, Multilinear) else bool(zeros) and all(zeros)
        return [ZERO if vanishes or (op.fills and operands[0] is ZERO) else OTHER] * len(node.types)
    if not all(type_.is_float for type_ in node.types):
        raise _refusal(node, "has no real result")
    if not moving <= factors:
        raise _refusal(node, "is not linear in them")
    if isinstance(op, Multilinear):
        if len(moving) > 1:
            raise _refusal(node, "multiplies two of them")
    elif any(operands[k] is OTHER for k in factors):
        raise _refusal(node, "joins them with numbers that are not 0")
    return [LINEAR] * len(node.types)


@_results.register
def _(op: Derivative, node: Node, operands: Sequence[Way]) -> Sequence[Way]:
    count = len(op.function.inputs)
    if LINEAR in operands[:count]:
        raise _refusal(node, "is taken at a point that moves with them")
    plain, way = len(op.function.outputs), _sum(operands[count:])
    if way is None:
        raise _refusal(node, "is taken along them and along other vectors that are not 0")
    return [OTHER] * plain + [way] * (len(node.types) - plain)


@_results.register
def _(op: LinearCall, node: Node, operands: Sequence[Way]) -> Sequence[Way]:
    if LINEAR in operands[op.linear :]:
        raise _refusal(node, "is not linear in them")
    way = _sum(operands[: op.linear])
    if way is None:
        raise _refusal(node, "joins them with numbers that are not 0")
    return [way] * len(node.types)


@_results.register
def _(op: Once, node: Node, operands: Sequence[Way]) -> Sequence[Way]:
    del node
    return _outputs(op.function, tuple(operands))


@_results.register
def _(op: Cond, node: Node, operands: Sequence[Way]) -> Sequence[Way]:
    truth, *others = operands
    if truth is LINEAR:
        raise _refusal(node, "chooses by them")
    pairs = zip(*(_outputs(function, tuple(others)) for function in (op.then, op.otherwise)), strict=True)
    return [_joint(node, pair) for pair in pairs]


@_results.register
def _(op: Scan, node: Node, operands: Sequence[Way]) -> Sequence[Way]:
    _, first, scanned, shared = op.parts(operands)
    before, carries = int(op.stops), list(first)
    while True:
        ways = _outputs(op.body, (*carries, *scanned, *shared))
        after = [_joint(node, pair) for pair in zip(carries, ways[before:], strict=False)]
        if after == carries:
            break
        carries = after
    if op.stops and ways[0] is LINEAR:
        raise _refusal(node, "ends by them")
    return [*[OTHER] * before, *carries, *ways[before + op.carries :]]


def _joint(node: Node, ways: Sequence[Way]) -> Way:
    """How what is one of several values depends on them."""
    way = _sum(ways)
    if way is None:
        raise _refusal(node, "chooses between them and numbers that are not 0")
    return way


def _sum(ways: Sequence[Way]) -> Way | None:
    """How a sum of values depends on them; None if it is linear in some and has others that are not 0."""
    if LINEAR not in ways:
        return OTHER if OTHER in ways else ZERO
    return None if OTHER in ways else LINEAR


def _refusal(node: Node, text: str) -> NotLinear:
    return NotLinear(f"{node.op.name} {text}" + (f" ({node.origin})" if node.origin else ""))
