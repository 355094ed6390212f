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
    ordered = list(first.operands) == names or _turned(first.name, list(first.operands), *names)
    is_joined = ordered and list(last.operands) == [name for name, _ in first.results]
    return first.name if is_joined else ""


def combinations_of(region: Region, count: int = 1) -> list[str]:
    """What a scatter does with each of some numbers and another one that is written there: set, add, sub and so on.

    Raises:
        Unsupported: it is something else.
    """
    arguments, returned = [name for name, _ in region.arguments], region.operations[-1].operands
    if len(arguments) != 2 * count or len(returned) != count:
        raise Unsupported("its function takes or gives another number of values", "give one of pairs")
    made = {each.results[0][0]: each for each in region.operations[:-1] if len(each.results) == 1}
    return [_combination(made.get(name), name, arguments[k], arguments[count + k]) for k, name in enumerate(returned)]


def _combination(made: Operation | None, name: str, old: str, new: str) -> str:
    if name == new:
        return "set"
    pair = [] if made is None else list(made.operands)
    if made is None or made.name not in _COMBINED or not (pair == [old, new] or _turned(made.name, pair, old, new)):
        raise Unsupported("it writes by a function of its own", "add, multiply or replace numbers")
    return _COMBINED[made.name]


def _turned(name: str, pair: list[str], first: str, second: str) -> bool:
    """Whether the operands stand the other way round, which for sums and so on is the same."""
    return name in _FOLDS and pair == [second, first]


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
