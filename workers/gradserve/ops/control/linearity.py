"""Whether a function is linear in some of its inputs, as its ops tell."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextvars import ContextVar
from enum import Enum
from typing import TypeAlias

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
Found: TypeAlias = "Way | NotLinear"
"""How a value depends on them, or why it is not linear: what no result is made of may be anything."""
MOST_LOOKS = 500_000
"""At values of a function and of those that it calls: loops are looked at until what they carry no longer changes."""


class NotLinear(Exception):
    """Says which op makes a function something else."""


class _Endless(Exception):
    """Too much would have to be looked at."""


def require_linear(function: Graph, inputs: Sequence[int], constraint: str, what: str) -> None:
    """Sees that all results of a function are linear in these inputs together, which are `what`.

    Raises:
        ConstraintError: one is not, or its ops do not tell; names the op and its line.
    """
    moving = frozenset(inputs)
    given = tuple(LINEAR if k in moving else OTHER for k in range(len(function.inputs)))
    found = _seen(function, given)
    if found is None:
        text = "its loops hand on what they carry so often that this cannot be seen soon; carry less"
        raise ConstraintError(constraint, f"it is not linear in {what}: {text}")
    for output, way in zip(function.outputs, found, strict=True):
        if isinstance(way, NotLinear):
            raise ConstraintError(constraint, f"it is not linear in {what}: {way}")
        if way is OTHER:
            text = f"it is not linear in {what}: {output.name} does not depend on them, and is not 0"
            raise ConstraintError(constraint, text)


class _Looking:
    """How much may still be looked at, and what was found of the functions so far."""

    def __init__(self) -> None:
        self.left = MOST_LOOKS
        self.known: dict[tuple[Graph, tuple[Found, ...]], tuple[Found, ...]] = {}


_looking: ContextVar[_Looking] = ContextVar("looking")


@functools.lru_cache(maxsize=1024)
def _seen(function: Graph, inputs: tuple[Way, ...]) -> tuple[Found, ...] | None:
    """How the outputs depend on inputs that depend on others like this; None if that cannot be seen soon.

    What others have asked for makes no difference: of functions within it nothing is known before.
    """
    token = _looking.set(_Looking())
    try:
        return _outputs(function, inputs)
    except _Endless:
        return None
    finally:
        _looking.reset(token)


def _outputs(function: Graph, inputs: tuple[Found, ...]) -> tuple[Found, ...]:
    """The same of this function or one within it.

    Raises:
        _Endless: too much is looked at.
    """
    looking = _looking.get()
    known = looking.known.get((function, inputs))
    if known is not None:
        return known
    looking.left -= len(function.value_types)
    if looking.left < 0:
        raise _Endless
    ways: list[Found] = [*inputs]
    ways += [ZERO if isinstance(c, Literal) and not np.any(c.array) else OTHER for c in function.constants]
    for node in function.nodes:
        ways += _of_node(node, [ways[k] for k in node.operands])
    found = looking.known[function, inputs] = tuple(ways[output.value] for output in function.outputs)
    return found


def _of_node(node: Node, operands: Sequence[Found]) -> Sequence[Found]:
    """How the results of a node depend on them."""
    lost = next((operand for operand in operands if isinstance(operand, NotLinear)), None)
    if lost is not None:
        return [lost] * len(node.types)
    ways = [operand for operand in operands if isinstance(operand, Way)]
    if not {LINEAR, ZERO} & {*ways}:
        return [OTHER] * len(node.types)
    try:
        return _results(node.op, node, ways)
    except NotLinear as refusal:
        return [refusal.with_traceback(None)] * len(node.types)


@functools.singledispatch
def _results(op: Op, node: Node, operands: Sequence[Way]) -> Sequence[Found]:
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
def _(op: Derivative, node: Node, operands: Sequence[Way]) -> Sequence[Found]:
    count = len(op.function.inputs)
    if LINEAR in operands[:count]:
        raise _refusal(node, "is taken at a point that moves with them")
    plain, way = len(op.function.outputs), _sum(operands[count:])
    if way is None:
        raise _refusal(node, "is taken along them and along other vectors that are not 0")
    return [OTHER] * plain + [way] * (len(node.types) - plain)


@_results.register
def _(op: LinearCall, node: Node, operands: Sequence[Way]) -> Sequence[Found]:
    if LINEAR in operands[op.linear :]:
        raise _refusal(node, "is not linear in them")
    way = _sum(operands[: op.linear])
    if way is None:
        raise _refusal(node, "joins them with numbers that are not 0")
    return [way] * len(node.types)


@_results.register
def _(op: Once, node: Node, operands: Sequence[Way]) -> Sequence[Found]:
    del node
    return _outputs(op.function, tuple(operands))


@_results.register
def _(op: Cond, node: Node, operands: Sequence[Way]) -> Sequence[Found]:
    truth, *others = operands
    if truth is LINEAR:
        raise _refusal(node, "chooses by them")
    pairs = zip(*(_outputs(function, tuple(others)) for function in (op.then, op.otherwise)), strict=True)
    return [_joint(node, pair) for pair in pairs]


@_results.register
def _(op: Scan, node: Node, operands: Sequence[Way]) -> Sequence[Found]:
    _, first, scanned, shared = op.parts(operands)
    before, carries = int(op.stops), list[Found](first)
    while True:
        ways = _outputs(op.body, (*carries, *scanned, *shared))
        after = [_joint(node, pair) for pair in zip(carries, ways[before:], strict=False)]
        if after == carries:
            break
        carries = after
    if op.stops and ways[0] not in (ZERO, OTHER):
        raise _refusal(node, "ends by them")
    return [*[OTHER] * before, *carries, *ways[before + op.carries :]]


def _joint(node: Node, found: Sequence[Found]) -> Found:
    """How what is one of several values depends on them."""
    lost = next((way for way in found if isinstance(way, NotLinear)), None)
    return (
        lost
        or _sum([way for way in found if isinstance(way, Way)])
        or _refusal(node, "chooses between them and numbers that are not 0")
    )


def _sum(ways: Sequence[Way]) -> Way | None:
    """How a sum of values depends on them; None if it is linear in some and has others that are not 0."""
    if LINEAR not in ways:
        return OTHER if OTHER in ways else ZERO
    return None if OTHER in ways else LINEAR


def _refusal(node: Node, text: str) -> NotLinear:
    return NotLinear(f"{node.op.name} {text}" + (f" ({node.origin})" if node.origin else ""))
