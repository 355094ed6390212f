"""Lists within operations: of operands, of types, and of arguments with their types."""

from __future__ import annotations

from typing import Any, TypeAlias

from gradserve.client.importers.stablehlo.attributes import attribute
from gradserve.client.importers.stablehlo.stream import Stream
from gradserve.client.importers.stablehlo.syntax import ArrayType, array_type
from gradserve.client.importers.stablehlo.tokens import Token, invalid

Arguments: TypeAlias = tuple[tuple[str, ArrayType], ...]


def arguments_until(stream: Stream, last: str) -> Arguments:
    """`%x: tensor<...> {...}, ...` up to a bracket."""
    found: list[tuple[str, ArrayType]] = []
    while not stream.skip(last):
        name = stream.of_kind("value").text
        stream.expect(":")
        found.append((name, array_type(stream.of_kind("type"))))
        if stream.next.text == "{":
            stream.skip_group()
        skip_location(stream)
        if not stream.skip(","):
            stream.expect(last)
            break
    return tuple(found)


def skip_location(stream: Stream) -> None:
    """Passes the place in an author's source, if it comes."""
    if stream.next.text == "loc" and stream.after.text == "(":
        stream.take()
        stream.skip_group()


def values(stream: Stream) -> list[str]:
    """`(%x, %y)`."""
    stream.expect("(")
    found: list[str] = []
    while not stream.skip(")"):
        found.append(stream.of_kind("value").text)
        if not stream.skip(","):
            stream.expect(")")
            break
    return found


def result_types(stream: Stream) -> list[ArrayType]:
    """Of the results: `: (...) -> (...)`, or `: T, ...`, of which the last one is that of the result."""
    stream.expect(":")
    given = type_list(stream)
    if stream.skip("->"):
        return type_list(stream)
    return given[-1:]


def type_list(stream: Stream) -> list[ArrayType]:
    """`T, T` or `(T, T)`."""
    in_brackets = stream.skip("(")
    found: list[ArrayType] = []
    if in_brackets and stream.skip(")"):
        return found
    while True:
        found.append(array_type(stream.of_kind("type")))
        if not stream.skip(","):
            break
    if in_brackets:
        stream.expect(")")
    return found


def pairs(stream: Stream) -> Any:
    """`[1] x [0]`, the axes of two operands."""
    first = attribute(stream)
    return [first, attribute(stream)] if stream.skip("x") else first


def whole(stream: Stream) -> int:
    """A position."""
    token = stream.of_kind("number")
    if not token.text.isdecimal():
        raise invalid(token.line, f"{token.text[:40]} is no position")
    return int(token.text)


def all_types(stream: Stream) -> list[ArrayType]:
    """Of the results, one for each type that is written."""
    stream.expect(":")
    given = type_list(stream)
    return type_list(stream) if stream.skip("->") else given


def count_of(token: Token) -> int:
    """How many values a result has."""
    if not token.text.isdecimal() or len(token.text) > 6:
        raise invalid(token.line, f"{token.text[:40]} is no number of results")
    return int(token.text)
