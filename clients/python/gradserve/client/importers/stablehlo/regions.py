"""Functions that operations are given, such as how a reduction joins two numbers: told by what is written in them."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.client.importers.stablehlo.syntax import Operation, Region
from gradserve.numpy.arguments import Unsupported

_FOLDS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "and": "and", "or": "or", "xor": "xor"}

_COMBINED = {"add": "add", "subtract": "sub", "multiply": "mul", "maximum": "max", "minimum": "min"}


def fold_of(operation: Operation) -> tuple[str, str]:
    """The op that joins two numbers in a reduction, and what the reduction is called.

    Raises:
        Unsupported: it is another function.
    """
    name = operation.attributes.get("applies") or _joined(operation.regions)
    if name not in _FOLDS:
        raise Unsupported("it reduces by a function of its own", "reduce by a sum, a product or an extreme")
    return str(name), _FOLDS[str(name)]


def _joined(regions: Sequence[Region]) -> str:
    """The name of the only operation of a region, on both of its arguments."""
    if len(regions) != 1 or len(regions[0].arguments) != 2 or len(regions[0].operations) != 2:
        return ""
    first, last = regions[0].operations
    names = {name for name, _ in regions[0].arguments}
    is_joined = set(first.operands) == names and list(last.operands) == [name for name, _ in first.results]
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


def position_of(region: Region) -> str:
    """Whether a reduction of numbers with their positions finds the largest or the smallest.

    Raises:
        Unsupported: it is another one.
    """
    compared = [each for each in region.operations if each.name == "compare"]
    shape = sorted(each.name for each in region.operations)
    known = ["and", *["compare"] * 4, "or", "or", "return", "select", "select"]
    directions = [str(each.attributes["words"][0]) for each in compared if each.attributes["words"]]
    if shape != known or directions[1:] != ["NE", "EQ", "LT"] or directions[0] not in ("GT", "LT"):
        raise Unsupported("it reduces several arrays by a function of its own", "use argmax or argmin")
    return "argmax" if directions[0] == "GT" else "argmin"


def keys_of(region: Region) -> int:
    """How many operands of a sort are its keys: in ascending order, as it compares them.

    Raises:
        Unsupported: the order is another one.
    """
    arguments = [name for name, _ in region.arguments]
    number = {name: k // 2 for k, name in enumerate(arguments)}
    makers = {result: each for each in region.operations for result, _ in each.results}
    met: list[int] = []
    for each in region.operations:
        if each.name != "compare" or not {"LT", "GT", "LE", "GE"} & set(each.attributes["words"]):
            continue
        sides = [_argument(name, makers, set(arguments)) for name in each.operands]
        ascending = each.attributes["words"][0] == "LT" and None not in sides
        if not ascending or arguments.index(str(sides[0])) + 1 != arguments.index(str(sides[1])):
            raise Unsupported("its order is not an ascending one", "sort in ascending order, and reverse the result")
        met.append(number[str(sides[0])])
    allowed = {"compare", "select", "constant", "and", "or", "return"}
    if sorted(met) != list(range(len(met))) or not met or any(e.name not in allowed for e in region.operations):
        raise Unsupported("it sorts by a function of its own", "sort by the operands themselves, in ascending order")
    return len(met)


def _argument(name: str, makers: dict[str, Operation], arguments: set[str]) -> str | None:
    """The argument that a value is but for its zeros and its NaN."""
    while name not in arguments:
        made = makers.get(name)
        if made is None or made.name != "select" or len(made.operands) != 3:
            return None
        name = made.operands[2]
    return name
