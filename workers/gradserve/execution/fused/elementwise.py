"""Elementwise ops, put together in groups of one shape: a few elements in registers, more of them in one pass."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from gradserve.execution.fused.groups import Group, written
from gradserve.execution.fused.machine import Machine, Place
from gradserve.execution.fused.namespace import NAMESPACE
from gradserve.execution.fused.passes import Pass, moved
from gradserve.execution.fused.terms import NotLowered, Term, in_order
from gradserve.execution.fused.values import FEW, Lowered, Small, Stored
from gradserve.ir.op import Op
from gradserve.ir.types import ElementType, TensorType


def term_of(op: Op, operands: Sequence[Term]) -> Term:
    """What an op makes of terms, by its own mathematics.

    Raises:
        NotLowered: it needs what has no machine code.
    """
    try:
        found = op.impl(NAMESPACE, *cast(Sequence[Any], operands))
    except (AttributeError, TypeError, ValueError, NotImplementedError) as error:
        raise NotLowered(str(error)) from error
    if not isinstance(found, Term):
        raise NotLowered(f"{op.name} is no term")
    return found


def computed(machine: Machine, group: Group, wanted: Mapping[int, Stored | None]) -> dict[int, Lowered]:
    """The values of a group that others read, some of them in memory that is given."""
    made: dict[int, Lowered] = {}
    terms = {value: group.terms[value] for value in wanted if value in group.terms}
    types = {value: TensorType(term.element_type, group.lengths) for value, term in terms.items()}
    if math.prod(group.lengths) <= FEW:
        found = _in_registers(machine, group, list(terms.values()))
        for value, term in terms.items():
            few, into = Small(types[value], tuple(found[term])), wanted[value]
            made[value] = moved(machine, few, into) if into else few
        return made
    stores = {value: wanted[value] or machine.allocate(type_) for value, type_ in types.items()}
    sums = {value: _summed(machine, group, value, into) for value, into in wanted.items() if value in group.sums}
    spread = [(group.sums[value][0], _spread(group, value, total)) for value, total in sums.items()]
    Pass(machine, group, [(terms[value], into) for value, into in stores.items()], spread).write()
    return stores | {value: machine.read(total) for value, total in sums.items()}


def _summed(machine: Machine, group: Group, value: int, into: Stored | None) -> Stored:
    """Memory for a sum."""
    term, axes = group.sums[value]
    lengths = tuple(n for axis, n in enumerate(group.lengths) if axis not in axes)
    return into or machine.allocate(TensorType(term.element_type, lengths))


def _spread(group: Group, value: int, total: Stored) -> Stored:
    """The memory of a sum along the axes of what is summed: with strides 0 along those that it lacks."""
    own = iter(total.strides)
    _, axes = group.sums[value]
    strides = tuple(0 if axis in axes else next(own) for axis in range(len(group.lengths)))
    return Stored(total.type.with_shape(group.lengths), total.pointer, strides, total.owner)


def _in_registers(machine: Machine, group: Group, wanted: Sequence[Term]) -> dict[Term, list[str]]:
    """The elements of the terms, each in a register of its own; a call takes all its elements at once."""
    size = math.prod(group.lengths)
    found: dict[Term, list[str]] = {}
    for term in in_order(wanted):
        if term.operation == "number":
            found[term] = [written(term)] * size
        elif term.operation == "leaf":
            found[term] = machine.elements(group.leaves[term.place])
        elif term.operation == "call":
            found[term] = _called(machine, term, [found[x] for x in term.operands])
        else:
            rows = zip(*(found[x] for x in term.operands), strict=True)
            found[term] = [machine.instruction(term, row) for row in rows]
    return found


def _called(machine: Machine, term: Term, operands: Sequence[Sequence[str]]) -> list[str]:
    assert term.loop is not None
    text, places, size = machine.text, [], len(operands[0])
    for k, (operand, elements) in enumerate(zip(term.operands, operands, strict=True)):
        kind = operand.element_type
        place = Place(machine.room(f"operand {k}", "i64", FEW), kind.itemsize)
        for j, element in enumerate(elements):
            text.store(kind, element, text.offset(place.pointer, j * kind.itemsize))
        places.append(place)
    kind = term.element_type
    result = Place(machine.room("result", "i64", FEW), kind.itemsize)
    if size:
        machine.call(term.loop, [*places, result], size)
    return [text.load(kind, text.offset(result.pointer, j * kind.itemsize)) for j in range(size)]


def fold(machine: Machine, combine: Callable[[Any, Any], Any], elements: Sequence[str], kind: ElementType) -> str:
    """One element made of several, from the first on."""
    group = Group(())
    terms = [group.read(k, Small(TensorType(kind), (element,))) for k, element in enumerate(elements)]
    total = functools.reduce(combine, terms)
    return _in_registers(machine, group, [total])[total][0]
