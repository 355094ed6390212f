"""As much of PromQL as it takes to see what an expression speaks of. Whether it is correct, promtool says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_STRING = r'"(?:[^"\\]|\\.)*"'
_SELECTOR = re.compile(rf"(?P<name>[A-Za-z_:][\w:]*)?\s*(?:\{{(?P<matchers>(?:[^{{}}\"]|{_STRING})*)\}})?")
_MATCHER = re.compile(rf"(?P<label>\w+)\s*(?:=~|!~|!=|=)\s*{_STRING}")
_LABEL_LISTS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\b\s*(?:\([^()]*\))?")
_RANGES = re.compile(r"\[[^\]]*\]")
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "atan2"}
_COMPARISONS = ("==", "!=", ">=", "<=", ">", "<")
_NUMBER = re.compile(r"[\d.eE+\-*/ ()]+")
_ABSENT = re.compile(r"absent\s*\((?P<inner>.*)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selector:
    """A vector selector."""

    text: str
    metric: str
    labels: frozenset[str]
    """The labels that it matches on."""


def selectors(expr: str) -> list[Selector]:
    """All vector selectors, in the order in which they stand."""
    rest = _RANGES.sub(" ", _LABEL_LISTS.sub(" ", expr))
    return list(_selectors(rest))


def _selectors(rest: str) -> Iterator[Selector]:
    position = 0
    while position < len(rest):
        if rest[position] == '"':
            string = re.compile(_STRING).match(rest, position)
            assert string, f"an open string in {rest!r}"
            position = string.end()
            continue
        if rest[position].isdigit():  # a number, or a duration after `offset`
            position = re.compile(r"[\w.]+").match(rest, position).end()  # type: ignore[union-attr]
            continue
        found = _SELECTOR.match(rest, position)
        assert found
        if not found[0].strip():
            position += 1
            continue
        position = found.end()
        name, matchers = found["name"] or "", found["matchers"]
        is_function = matchers is None and rest[position:].lstrip().startswith("(")
        if name not in _WORDS and not is_function:
            labels = frozenset(match["label"] for match in _MATCHER.finditer(matchers or ""))
            yield Selector(found[0].strip(), name, labels)


def building_blocks(expr: str) -> list[str]:
    """The expressions that must have data for the whole to be of use: both sides of comparisons and set operators.

    Of `absent(x)` it is x; numbers are left out.
    """
    expr = _unwrapped(expr.strip())
    absent = _ABSENT.fullmatch(expr)
    if absent and _closes(expr) == len(expr) - 1:
        return building_blocks(absent["inner"])
    for operators in (("or",), ("unless", "and"), _COMPARISONS):
        parts = _split(expr, operators)
        if len(parts) > 1:
            return [block for part in parts for block in building_blocks(_unmodified(part))]
    return [] if _NUMBER.fullmatch(expr) else [expr]


def _unmodified(part: str) -> str:
    """The right side of an operator without `on (...)`, `ignoring (...)` and `bool`."""
    return re.sub(r"^\s*(?:(?:on|ignoring|group_left|group_right)\s*\([^()]*\)|bool)\s*", "", part)


def _unwrapped(expr: str) -> str:
    while expr.startswith("(") and _closes(expr) == len(expr) - 1:
        expr = expr[1:-1].strip()
    return expr


def _closes(expr: str) -> int:
    """Where the first parenthesis is closed."""
    return next((end for end, depth in _depths(expr) if depth == 0 and expr[end] == ")"), -1)


def _split(expr: str, operators: tuple[str, ...]) -> list[str]:
    """The expression cut at these operators, outside of all parentheses, braces and strings."""
    pattern = re.compile("|".join(rf"\b{o}\b" if o.isalpha() else re.escape(o) for o in operators))
    open_at = {position for position, depth in _depths(expr) if depth == 0}
    parts, start = [], 0
    for found in pattern.finditer(expr):
        if found.start() in open_at:
            parts.append(expr[start : found.start()])
            start = found.end()
    return [*parts, expr[start:]]


def _depths(expr: str) -> Iterator[tuple[int, int]]:
    """Every position outside of strings, with how many brackets are open after it."""
    depth, quoted = 0, False
    for position, sign in enumerate(expr):
        if sign == '"' and expr[position - 1 : position] != "\\":
            quoted = not quoted
        if quoted:
            continue
        depth += (sign in "({[") - (sign in ")}]")
        yield position, depth
