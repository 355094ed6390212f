"""The text of a program as functions of operations: MLIR's generic form, and the shorter ones that StableHLO prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from gradserve.client.importers.stablehlo.attributes import Stream, attribute, convolution_axes, named
from gradserve.client.importers.stablehlo.lists import (
    Arguments,
    all_types,
    arguments_until,
    count_of,
    pairs,
    result_types,
    skip_location,
    type_list,
    values,
    whole,
)
from gradserve.client.importers.stablehlo.syntax import ArrayType, Function, Module, Operation, Region
from gradserve.client.importers.stablehlo.tokens import Token, invalid

Parts: TypeAlias = tuple[list[str], dict[str, Any], list[Region], list[ArrayType]]
"""Operands, attributes, regions, and the types of results."""


def parse(text: str) -> Module:
    """The functions of a program by name.

    Raises:
        InvalidGraph: it is no such program; names the line.
        LimitExceeded: the text, or an array that it speaks of, is too large.
    """
    stream = Stream(text)
    functions: dict[str, Function] = {}
    while stream.next.kind != "end":
        token = stream.take()
        if token.text == "func.func":
            found = _function(stream, token)
            functions[found.name] = found
        elif token.text == "{" or token.text == "}":
            continue  # of the module, whose attributes say nothing of what is computed
        elif token.text == "attributes":
            stream.skip_group()
        elif token.kind == "alias":
            _skip_alias(stream)
    if not functions:
        raise invalid(1, "there is no function; a program begins with module @name { func.func public @main(...")
    return functions


def _skip_alias(stream: Stream) -> None:
    """Passes what an alias, such as a location, stands for."""
    stream.skip("=")
    while stream.next.kind != "end" and stream.next.text not in ("func.func", "}") and stream.next.kind != "alias":
        if stream.next.text in ("(", "[", "{", "<"):
            stream.skip_group()
            return
        if stream.next.text == "module":
            return
        stream.take()


def _function(stream: Stream, first: Token) -> Function:
    public = stream.skip("public") or not stream.skip("private")
    name = stream.of_kind("symbol").text[1:].strip('"')
    stream.expect("(")
    arguments = arguments_until(stream, ")")
    if stream.skip("->"):
        _passed_types(stream)
    if stream.skip("attributes"):
        stream.skip_group()
    return Function(name, public, arguments, _region(stream, arguments), first.line)


def _passed_types(stream: Stream) -> None:
    """Types of results, perhaps with attributes."""
    if stream.next.text == "(":
        stream.skip_group()
    else:
        stream.of_kind("type")


def _region(stream: Stream, arguments: Arguments = ()) -> Region:
    """Operations in braces, perhaps after the arguments of a block."""
    stream.expect("{")
    stream.deeper()
    if stream.next.kind == "block":
        stream.take()
        if stream.skip("("):
            arguments = arguments_until(stream, ")")
        stream.expect(":")
    operations = []
    while not stream.skip("}"):
        operations.append(_operation(stream))
    stream.depth -= 1
    if not operations or not operations[-1].name.endswith("return"):
        raise invalid(stream.next.line, "operations do not end with a return")
    return Region(arguments, tuple(operations))


def _operation(stream: Stream) -> Operation:
    results: list[tuple[str, int]] = []
    while stream.next.kind == "value":
        name, count = stream.take().text, 1
        if stream.skip(":"):
            count = count_of(stream.of_kind("number"))
        results.append((name, count))
        if not stream.skip(","):
            break
    if results:
        stream.expect("=")
    token = stream.take()
    if token.kind not in ("word", "string"):
        raise invalid(token.line, f"{token.text[:40]!r} is no operation")
    name = token.text.strip('"').removeprefix("stablehlo.").removeprefix("chlo.").removeprefix("func.")
    read = _generic if token.kind == "string" else _FORMS.get(name, _plain)
    operands, attributes, regions, types = read(stream)
    skip_location(stream)
    return Operation(name, tuple(results), tuple(operands), attributes, tuple(regions), tuple(types), token.line)


def _generic(stream: Stream) -> Parts:
    """`(%x) <{...}> ({...}) {...} : (T) -> T`."""
    operands = values(stream)
    attributes: dict[str, Any] = {}
    if stream.skip("<"):
        attributes |= named(stream, "{", "}")
        stream.expect(">")
    regions: list[Region] = []
    if stream.skip("("):
        while not stream.skip(")"):
            regions.append(_region(stream))
            if not stream.skip(","):
                stream.expect(")")
                break
    if stream.next.text == "{":
        attributes |= named(stream, "{", "}")
    return operands, attributes, regions, result_types(stream)


def _plain(stream: Stream) -> Parts:
    """Operands, words and named attributes with commas between them, in brackets or not, and types."""
    operands: list[str] = []
    attributes: dict[str, Any] = {}
    words: list[Any] = []
    while stream.next.text != ":":
        token = stream.next
        if token.kind == "value":
            operands.append(stream.take().text)
        elif token.kind == "word" and stream.ahead(1).text == "=":
            stream.take()
            stream.take()
            attributes[token.text] = pairs(stream) if token.text.endswith("_dims") else attribute(stream)
        elif token.kind == "symbol":
            attributes["symbol"] = stream.take().text[1:].strip('"')
        elif token.text == "{":
            attributes |= named(stream, "{", "}")
        elif token.kind == "dense":
            attributes["value"] = attribute(stream)
            return operands, attributes, [], [attributes["value"].type]
        elif token.kind == "word":
            words.append(stream.take().text)
        elif token.text in ("(", ")", ","):
            stream.take()
        else:
            raise invalid(token.line, f"{token.text[:40]!r} is not understood here")
    attributes["words"] = words
    return operands, attributes, [], result_types(stream)


def _sliced(stream: Stream) -> Parts:
    """`%x [0:3:2, 1:2] : ...`."""
    operand = stream.of_kind("value").text
    stream.expect("[")
    bounds: list[list[Any]] = []
    while not stream.skip("]"):
        bounds.append([whole(stream)])
        while stream.skip(":"):
            bounds[-1].append(whole(stream))
        if not stream.skip(","):
            stream.expect("]")
            break
    attributes = {
        "start_indices": [each[0] for each in bounds],
        "limit_indices": [each[1] if len(each) > 1 else each[0] for each in bounds],
        "strides": [each[2] if len(each) > 2 else 1 for each in bounds],
    }
    return [operand], attributes, [], result_types(stream)


def _returned(stream: Stream) -> Parts:
    operands: list[str] = []
    while stream.next.kind == "value":
        operands.append(stream.take().text)
        if not stream.skip(","):
            break
    if operands:
        stream.expect(":")
        type_list(stream)
    return operands, {}, [], []


def _barrier(stream: Stream) -> Parts:
    operands: list[str] = []
    while stream.next.kind == "value":
        operands.append(stream.take().text)
        stream.skip(",")
    return operands, {}, [], all_types(stream)


def _while(stream: Stream) -> Parts:
    """`(%a = %x, ...) : T, ... cond {...} do {...}`."""
    stream.expect("(")
    names, operands = [], []
    while not stream.skip(")"):
        names.append(stream.of_kind("value").text)
        stream.expect("=")
        operands.append(stream.of_kind("value").text)
        if not stream.skip(","):
            stream.expect(")")
            break
    types = all_types(stream) if stream.next.text == ":" else []
    if stream.skip("attributes"):
        stream.skip_group()
    if len(names) != len(types):
        raise invalid(stream.next.line, f"{len(names)} values and {len(types)} types are given")
    arguments = tuple(zip(names, types, strict=True))
    stream.expect("cond")
    condition = _region(stream, arguments)
    stream.expect("do")
    return operands, {}, [condition, _region(stream, arguments)], types


def _reduced(stream: Stream) -> Parts:
    """`(%x init: %y), ... applies op across dimensions = [0] : T`, or with a reducer in the place of the op."""
    operands: list[str] = []
    initial: list[str] = []
    while stream.skip("("):
        operands.append(stream.of_kind("value").text)
        stream.expect("init")
        stream.expect(":")
        initial.append(stream.of_kind("value").text)
        stream.expect(")")
        stream.skip(",")
    attributes: dict[str, Any] = {}
    if stream.skip("applies"):
        attributes["applies"] = stream.of_kind("word").text.removeprefix("stablehlo.")
    stream.expect("across")
    stream.expect("dimensions")
    stream.expect("=")
    attributes["dimensions"] = attribute(stream)
    if stream.next.text == "{":
        attributes |= named(stream, "{", "}")
    types = result_types(stream)
    regions = []
    if stream.skip("reducer"):
        taken: list[Arguments] = []
        while stream.skip("("):
            taken.append(arguments_until(stream, ")"))
        if any(len(pair) != 2 for pair in taken):
            raise invalid(stream.next.line, "a reducer takes pairs")
        arguments = tuple(pair[k] for k in (0, 1) for pair in taken)
        regions.append(_region(stream, arguments))
    return [*operands, *initial], attributes, regions, types


def _convolved(stream: Stream) -> Parts:
    """`(%x, %k) dim_numbers = ..., window = {...} {...} : ...`."""
    operands = values(stream)
    attributes: dict[str, Any] = {}
    while stream.next.text != ":":
        token = stream.next
        if token.text == "dim_numbers":
            stream.take()
            stream.expect("=")
            attributes["dimension_numbers"] = convolution_axes(stream)
        elif token.text == "window":
            stream.take()
            stream.expect("=")
            attributes["window"] = named(stream, "{", "}")
        elif token.text == "{":
            attributes |= named(stream, "{", "}")
        else:
            stream.expect(",")
    return operands, attributes, [], result_types(stream)


_FORMS: dict[str, Callable[[Stream], Parts]] = {
    "slice": _sliced,
    "return": _returned,
    "optimization_barrier": _barrier,
    "while": _while,
    "reduce": _reduced,
    "convolution": _convolved,
}
