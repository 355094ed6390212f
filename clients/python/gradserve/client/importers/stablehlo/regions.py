"""Functions that operations are given, such as how a reduction joins two numbers: told by what is written in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.client.importers.lax.elements import Operand, held_type
from gradserve.client.importers.lax.folding import Join
from gradserve.client.importers.stablehlo.given import dtype_of_elements
from gradserve.client.importers.stablehlo.syntax import Operation, Region
from gradserve.ir.builder import Builder
from gradserve.ir.evaluate import evaluated
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder

_FOLDS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "and": "and", "or": "or", "xor": "xor"}

_COMBINED = {"add": "add", "subtract": "sub", "multiply": "mul", "maximum": "max", "minimum": "min"}


def fold_of(operation: Operation) -> tuple[str, str] | None:
    """The op that joins two numbers in a reduction, and what the reduction is called; None if it is another one."""
    name = operation.attributes.get("applies") or _joined(operation.regions)
    return (str(name), _FOLDS[str(name)]) if name in _FOLDS else None


def _joined(regions: Sequence[Region]) -> str:
    """The name of the only operation of a region, on both of its arguments."""
    if len(regions) != 1 or len(regions[0].arguments) != 2 or len(regions[0].operations) != 2:
        return ""
    first, last = regions[0].operations
    names = [name for name, _ in regions[0].arguments]
    ordered = list(first.operands) == names or (first.name in _FOLDS and list(first.operands) == names[::-1])
    is_joined = ordered and list(last.operands) == [name for name, _ in first.results]
    return first.name if is_joined else ""


def combination_of(region: Region) -> str:
    """What a scatter does with a number and another one that is written there: set, add, sub, mul, max or min.

    Raises:
        Unsupported: it is something else.
    """
    returned = region.operations[-1].operands
    if len(region.operations) == 1 and returned == tuple(name for name, _ in region.arguments[1:]):
        return "set"
    found = _COMBINED.get(_joined([region]))
    if found is None:
        raise Unsupported("it writes by a function of its own", "add, multiply or replace numbers")
    return found


def position_of(region: Region) -> str | None:
    """Whether a reduction of numbers with their positions finds the largest or the smallest; None if another one."""
    compared = [each for each in region.operations if each.name == "compare"]
    shape = sorted(each.name for each in region.operations)
    known = ["and", *["compare"] * 4, "or", "or", "return", "select", "select"]
    directions = [str(each.attributes["words"][0]) for each in compared if each.attributes["words"]]
    if shape != known or directions[1:] != ["NE", "EQ", "LT"] or directions[0] not in ("GT", "LT"):
        return None
    return "argmax" if directions[0] == "GT" else "argmin"


def extreme_of(region: Region) -> str | None:
    """Whether of two numbers the largest or the smallest is chosen, the first of equal ones; None if neither is."""
    if len(region.operations) != 2 or region.operations[0].name != "compare":
        return None
    (compared, last), names = region.operations, [name for name, _ in region.arguments]
    direction = str(compared.attributes["words"][0]) if compared.attributes["words"] else ""
    turned = list(compared.operands) == names[::-1]
    if direction not in ("GE", "LE") or not (turned or list(compared.operands) == names):
        return None
    if list(last.operands) != [name for name, _ in compared.results]:
        return None
    return "max" if (direction == "GE") != turned else "min"


def order_of(around: Builder, region: Region, compare: Join) -> tuple[int, bool]:
    """How many operands of a sort are its keys, the first one before the others, and whether they descend.

    It is found by what the function says of a few thousand pairs, in which equal keys are frequent.

    Raises:
        Unsupported: the order is another one.
    """
    assert isinstance(around, Recorder)
    g, given, elements = Recorder(around), [], {}
    rng = np.random.default_rng(0)
    for name, type_ in region.arguments:
        dtype = dtype_of_elements(type_)
        drawn = rng.choice(_few(dtype), _PAIRS)
        value = g.input(name, held_type(dtype, (_PAIRS,)))
        elements[value.index] = drawn.astype(value.type.element_type.dtype)
        given.append(Operand(value, dtype))
    (said,) = evaluated(g, [each.value for each in compare(g, given)], elements)
    pairs = [(elements[x.value.index], elements[y.value.index]) for x, y in zip(given[0::2], given[1::2], strict=True)]
    for count in range(1, len(pairs) + 1):
        for descending in (False, True):
            if said is not None and np.array_equal(said, _precedes(pairs[:count], descending)):
                return count, descending
    raise Unsupported("it sorts by a function of its own", "sort by the operands themselves, up or down")


_PAIRS = 4096


def _few(dtype: np.dtype[Any]) -> Array:
    """A few numbers of these elements."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind == "c":
        return np.array([x + 1j * y for x in (-1.0, 0.5) for y in (-0.5, 2.0)], dtype)
    return np.array([0, 1, 3] if dtype.kind == "u" else [-3, 0, 1] if dtype.kind == "i" else [-3.0, 0.25, 0.5], dtype)


def _precedes(pairs: Sequence[tuple[Array, Array]], descending: bool) -> Array:
    """Whether the first key of each pair is before the second, or as far along as it with the others before theirs."""
    parts = [
        pair for x, y in pairs for pair in ([(x.real, y.real), (x.imag, y.imag)] if x.dtype.kind == "c" else [(x, y)])
    ]
    before = np.zeros(_PAIRS, bool)
    for x, y in reversed(parts):
        before = (x > y if descending else x < y) | ((x == y) & before)
    return before
