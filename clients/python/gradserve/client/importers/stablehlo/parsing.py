"""The text of a program as functions of operations: MLIR's generic form, and the shorter ones that StableHLO prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradserve.client.importers.stablehlo.attributes import attribute, named
from gradserve.client.importers.stablehlo.forms import (
    Parts,
    as_printed,
    barrier,
    convolved,
    placed_on,
    plain,
    returned,
    sliced,
)
from gradserve.client.importers.stablehlo.lists import (
    Arguments,
    all_types,
    arguments_until,
    count_of,
    result_types,
    skip_location,
    values,
)
from gradserve.client.importers.stablehlo.stream import Stream
from gradserve.client.importers.stablehlo.syntax import Function, Module, Operation, Region
from gradserve.client.importers.stablehlo.tokens import Token, invalid


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
        if token.text.strip('"') == "func.func":
            found = _function(stream, token) if token.kind == "word" else _generic_function(stream, token)
            functions[found.name] = found
        elif token.text == "{" or token.text == "}":
            continue  # of the module, whose attributes say nothing of what is computed
        elif token.text == "attributes":
            stream.skip_group()
        elif token.kind == "alias":
            _skip_alias(stream)
    if not functions and text.lstrip().startswith("HloModule"):
        raise invalid(1, "it is XLA's own HLO; take StableHLO, as jax.jit(f).lower(x).as_text() gives it")
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


def _generic_function(stream: Stream, first: Token) -> Function:
    """`() <{sym_name = "main", ...}> ({^bb0(%x: T): ...}) : () -> ()`."""
    _, attributes, regions, _ = _generic(stream)
    if len(regions) != 1 or "sym_name" not in attributes:
        raise invalid(first.line, "a function has a name and a body")
    (body,) = regions
    public = attributes.get("sym_visibility", "public") == "public"
    return Function(str(attributes["sym_name"]), public, body.arguments, body, first.line)


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
    stream.known.append(set())
    for name, type_ in arguments:
        stream.define(name, type_.line)
    while not stream.skip("}"):
        operations.append(_operation(stream))
    stream.depth -= 1
    stream.known.pop()
    if not operations or not operations[-1].name.endswith("return"):
        raise invalid(stream.next.line, "operations do not end with a return")
    return Region(arguments, tuple(operations))


def _operation(stream: Stream) -> Operation:
    results: list[tuple[str, int]] = []
    stream.count()
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
    read = _generic if token.kind == "string" else _FORMS.get(name, plain)
    operands, attributes, regions, types = read(stream)
    skip_location(stream)
    for result, _ in results:
        stream.define(result, token.line)
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
    return operands, as_printed(attributes), regions, all_types(stream)


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


_FORMS: dict[str, Callable[[Stream], Parts]] = {
    "slice": sliced,
    "return": returned,
    "optimization_barrier": barrier,
    "sdy.sharding_constraint": placed_on,
    "while": _while,
    "reduce": _reduced,
    "convolution": convolved,
}
