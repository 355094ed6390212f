"""Elementwise ops, put together in groups of one shape: a few elements in registers, more of them in one pass."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from gradserve.execution.fused.machine import Machine, Place
from gradserve.execution.fused.passes import Group, Pass, moved, written
from gradserve.execution.fused.terms import NAMESPACE, NotLowered, Term, in_order
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
    type_of = {value: TensorType(group.terms[value].element_type, group.lengths) for value in wanted}
    if math.prod(group.lengths) > FEW:
        made = {value: given or machine.allocate(type_of[value]) for value, given in wanted.items()}
        Pass(machine, group, [(group.terms[value], into) for value, into in made.items()]).write()
        return dict(made)
    found = _in_registers(machine, group, [group.terms[value] for value in wanted])
    values = {value: Small(type_of[value], tuple(found[group.terms[value]])) for value in wanted}
    return {value: moved(machine, values[value], into) if into else values[value] for value, into in wanted.items()}


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
