"""How StableHLO prints operations without regions, and their attributes in MLIR's generic form by the same names."""

from __future__ import annotations

from typing import Any, TypeAlias

from gradserve.client.importers.stablehlo.attributes import attribute, convolution_axes, named
from gradserve.client.importers.stablehlo.lists import all_types, pairs, result_types, type_list, values, whole
from gradserve.client.importers.stablehlo.stream import Stream
from gradserve.client.importers.stablehlo.syntax import ArrayType, Region
from gradserve.client.importers.stablehlo.tokens import invalid

Parts: TypeAlias = tuple[list[str], dict[str, Any], list[Region], list[ArrayType]]
"""Operands, attributes, regions, and the types of results."""


def plain(stream: Stream) -> Parts:
    """Operands, words and named attributes with commas between them, in brackets or not, and types."""
    operands: list[str] = []
    attributes: dict[str, Any] = {}
    words: list[Any] = []
    while stream.next.text != ":":
        token = stream.next
        if token.kind == "value":
            operands.append(stream.take().text)
        elif token.kind == "word" and stream.after.text == "=":
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
        elif token.kind in ("word", "string"):
            words.append(stream.take().text)
        elif token.text in ("(", ")", ","):
            stream.take()
        else:
            raise invalid(token.line, f"{token.text[:40]!r} is not understood here")
    attributes["words"] = words
    return operands, attributes, [], result_types(stream)


def sliced(stream: Stream) -> Parts:
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


def returned(stream: Stream) -> Parts:
    """`%x, %y : T, T`, or nothing."""
    operands: list[str] = []
    while stream.next.kind == "value":
        operands.append(stream.take().text)
        if not stream.skip(","):
            break
    if operands:
        stream.expect(":")
        type_list(stream)
    return operands, {}, [], []


def barrier(stream: Stream) -> Parts:
    """`%x, %y : T, T`, with as many results."""
    operands: list[str] = []
    while stream.next.kind == "value":
        operands.append(stream.take().text)
        stream.skip(",")
    return operands, {}, [], all_types(stream)


def placed_on(stream: Stream) -> Parts:
    """`%x <@mesh, [{}]> : T`, which says on which devices the parts of an array lie."""
    operand = stream.of_kind("value").text
    stream.skip_group()
    return [operand], {}, [], all_types(stream)


def convolved(stream: Stream) -> Parts:
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


def as_printed(given: dict[str, Any]) -> dict[str, Any]:
    """Attributes of the generic form with what the shorter one has in their place."""
    found = dict(given)
    symbol = found.get("callee", found.get("call_target_name"))
    if symbol is not None:
        found["symbol"] = str(symbol).removeprefix("@").strip('"')
    if "comparison_direction" in found:
        found["words"] = [found["comparison_direction"], found.get("compare_type", "")]
    if "exponent_bits" in found:
        found["format"] = f"e{found['exponent_bits']}m{found.get('mantissa_bits')}"
    return found
