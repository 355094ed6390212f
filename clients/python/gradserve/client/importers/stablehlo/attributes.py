"""Attributes: numbers, words, lists and dicts of them, and the elements of constants."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from gradserve.client.importers.lax.elements import of_half
from gradserve.client.importers.stablehlo.stream import OPEN, Stream
from gradserve.client.importers.stablehlo.syntax import ArrayType, Dense, array_type
from gradserve.client.importers.stablehlo.tokens import Token, invalid
from gradserve.ir.types import Array
from gradserve.numpy.arguments import Unsupported

_ELEMENT = re.compile(r"[-+]?(?:0x[0-9A-Fa-f]+|[\w.]+(?:[-+]\d+)?)")


def attribute(stream: Stream) -> Any:
    """The attribute that comes: a number, a text, a list, a dict, or the elements of a constant."""
    stream.deeper()
    found = _attribute(stream)
    stream.depth -= 1
    return found


def _attribute(stream: Stream) -> Any:
    token = stream.next
    if token.text == "[" and token.kind == "mark":
        return listed(stream, "[", "]")
    if token.text == "{" and token.kind == "mark":
        return named(stream, "{", "}")
    if token.text == "<" and token.kind == "mark":
        return named(stream, "<", ">")
    if token.text == "(" and token.kind == "mark":
        return _function_type(stream)
    if token.kind == "alias":
        stream.take()
        return _of_dialect(stream, token)
    if token.text == "array" and stream.after.text == "<":
        return _flat_array(stream)
    stream.take()
    if token.kind == "dense":
        stream.expect(":")
        return Dense(token.text, array_type(stream.of_kind("type")))
    if token.kind == "number":
        if stream.next.text == ":" and stream.after.kind == "word":
            stream.take()
            stream.take()
        return number(token)
    if token.kind in ("string", "word", "symbol", "type"):
        return {"true": True, "false": False}.get(token.text, token.text.strip('"'))
    raise invalid(token.line, f"{token.text[:40]!r} is no attribute")


def _function_type(stream: Stream) -> None:
    """Passes `(T, T) -> T`: the body of the function says the same."""
    stream.skip_group()
    stream.expect("->")
    if stream.next.text == "(":
        stream.skip_group()
    else:
        stream.take()


def _of_dialect(stream: Stream, token: Token) -> Any:
    if stream.next.text != "<":
        return token.text
    if token.text in ("#stablehlo.gather", "#stablehlo.scatter", "#stablehlo.conv", "#stablehlo.dot"):
        if token.text == "#stablehlo.conv":
            stream.expect("<")
            found = convolution_axes(stream)
            stream.expect(">")
            return found
        return named(stream, "<", ">")
    words = [stream.take()]
    while words[-1].kind != "end" and stream.next.text != ">":
        if stream.next.text in OPEN:
            stream.skip_group()
        else:
            words.append(stream.take())
    stream.expect(">")
    return words[-1].text


def listed(stream: Stream, first: str, last: str) -> list[Any]:
    """A list in brackets."""
    stream.expect(first)
    found: list[Any] = []
    while not stream.skip(last):
        found.append(attribute(stream))
        if not stream.skip(","):
            stream.expect(last)
            break
    return found


def named(stream: Stream, first: str, last: str) -> dict[str, Any]:
    """A dict in brackets."""
    stream.expect(first)
    found: dict[str, Any] = {}
    while not stream.skip(last):
        key = stream.take()
        if key.kind not in ("word", "string"):
            raise invalid(key.line, f"{key.text[:40]!r} is no name of an attribute")
        found[key.text.strip('"')] = attribute(stream) if stream.skip("=") else True
        if not stream.skip(","):
            stream.expect(last)
            break
    return found


def _flat_array(stream: Stream) -> list[Any]:
    stream.take()
    stream.expect("<")
    stream.take()
    found: list[Any] = []
    if stream.skip(":"):
        found.append(attribute(stream))
        while stream.skip(","):
            found.append(attribute(stream))
    stream.expect(">")
    return found


def convolution_axes(stream: Stream) -> list[list[Any]]:
    """The axes of operand, kernel and result: `[b, f, 0]x[o, i, 0]->[b, f, 0]`, or `raw` and each by its name."""
    if stream.skip("raw"):
        return _named_axes(stream)
    first = listed(stream, "[", "]")
    stream.expect("x")
    second = listed(stream, "[", "]")
    stream.expect("->")
    return [first, second, listed(stream, "[", "]")]


def _named_axes(stream: Stream) -> list[list[Any]]:
    """`input_batch_dimension = 0, ...`, up to the bracket that closes."""
    line, told = stream.next.line, dict[str, Any]()
    while stream.next.text != ">":
        key = stream.of_kind("word")
        stream.expect("=")
        told[key.text] = attribute(stream)
        if not stream.skip(","):
            break
    found = []
    for side, first, second in (("input", "b", "f"), ("kernel", "o", "i"), ("output", "b", "f")):
        names = {letter: f"{side}_{_AXES[side == 'kernel', letter]}_dimension" for letter in (first, second)}
        spatial = told.get(f"{side}_spatial_dimensions")
        places = {told.get(name): letter for letter, name in names.items()}
        places |= {place: k for k, place in enumerate(spatial if isinstance(spatial, list) else [])}
        if set(places) != set(range(len(places))):
            raise invalid(line, f"the axes of the {side} of a convolution are not told")
        found.append([places[k] for k in range(len(places))])
    return found


_AXES = {
    (False, "b"): "batch",
    (False, "f"): "feature",
    (True, "o"): "output_feature",
    (True, "i"): "input_feature",
}


def number(token: Token) -> int | float:
    """The number that a token writes."""
    try:
        return int(token.text, 16 if "x" in token.text else 10)
    except ValueError:
        return float(token.text)


def elements(dense: Dense, line: int) -> Array:
    """The elements of a constant; a single one for all if they are alike.

    Raises:
        InvalidGraph: they do not fit the type.
    """
    dtype, size = dense.type.dtype, math.prod(dense.type.shape)
    text = dense.text.partition("<")[2][:-1].strip()
    if dtype is None:
        raise Unsupported(f"no graph has elements of {dense.type.elements}", "convert to f32 or f64")
    if not dense.text.startswith("dense<"):
        raise invalid(line, f"a constant of {dense.type} is not in the text")
    if text.startswith('"'):
        return _packed(text.strip('"'), dtype, dense.type, line)
    part = np.empty(0, dtype).real.dtype
    try:
        values = np.array([_element(each, part, dense.type) for each in _ELEMENT.findall(text)], part).view(dtype)
    except (ValueError, OverflowError):
        raise invalid(line, f"{text[:40]!r} are no elements of {dense.type}") from None
    if len(values) != size and (len(values) != 1 or "[" in text):
        raise invalid(line, f"{len(values)} elements are given for {dense.type}")
    return values.reshape(dense.type.shape if len(values) == size else ())


def _packed(text: str, dtype: np.dtype[Any], type_: ArrayType, line: int) -> Array:
    """Elements by their bytes in hexadecimal, little endian; truth values by bits or by bytes, or one byte for all."""
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise invalid(line, "a constant's bytes are no hexadecimal digits") from None
    size = math.prod(type_.shape)
    if dtype == np.bool_:
        given = np.frombuffer(data, np.uint8)
        if len(data) == size and (size > 1 or data[0] in (0, 1)):
            return given.astype(bool).reshape(type_.shape)
        if len(data) != -(-size // 8) and len(data) != 1:
            raise invalid(line, f"{len(data)} bytes are given for {type_}")
        bits = np.unpackbits(given, bitorder="little")
        if len(data) == 1 and size > 8:
            return np.asarray(data[0] != 0)
        return bits[:size].astype(bool).reshape(type_.shape)
    if type_.half is not None:
        if len(data) not in (2, 2 * size):
            raise invalid(line, f"{len(data)} bytes are given for {type_}")
        halves = of_half(np.frombuffer(data, "<u2").astype(np.uint16), type_.half)
        return halves.reshape(type_.shape if len(data) == 2 * size else ())
    if len(data) == dtype.itemsize:
        return np.asarray(np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype)[0])
    if len(data) != size * dtype.itemsize:
        raise invalid(line, f"{len(data)} bytes are given for {type_}")
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(type_.shape)


def _element(text: str, dtype: np.dtype[Any], type_: ArrayType) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if dtype.kind == "f" and "x" in text:
        bits = int(text, 16)
        if type_.half is not None:
            return of_half(np.array([bits], np.uint16), type_.half)[0]
        return np.array(bits, f"uint{dtype.itemsize * 8}").view(dtype)[()]
    return float(text) if dtype.kind == "f" else int(text, 16 if "x" in text else 10)
