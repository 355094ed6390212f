"""The elements of a constant in text form: nested lists of numbers to arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from gradserve.ir.shapes import MAX_RANK
from gradserve.ir.types import Array, TensorType
from gradserve.text.tokens import Line, SyntaxFault, Token

Nested: TypeAlias = "Token | list[Nested]"


def parse_elements(line: Line, type_: TensorType) -> Array:
    """The array that is written next.

    Raises:
        SyntaxFault: no array of this type is.
    """
    if not type_.is_concrete:
        raise SyntaxFault(f"the type {type_} of a constant holds a symbol; write its length")
    if type_.is_complex:
        parts = parse_elements(line, type_.part.with_shape((*type_.lengths, 2)))
        return parts.view(type_.element_type.dtype).reshape(type_.lengths)
    nested = _nested(line, MAX_RANK + 1)
    if type_.size == 0:
        if nested != []:
            raise SyntaxFault(f"a constant of type {type_} is written []")
        return np.zeros(type_.lengths, type_.element_type.dtype)
    tokens = list(_flat(nested, type_.lengths, type_))
    flat = np.empty(len(tokens), type_.element_type.dtype)
    for k, token in enumerate(tokens):
        _store(flat, k, token, type_)
    return flat.reshape(type_.lengths)


def _nested(line: Line, depth: int) -> Nested:
    if not line.accept("mark", "["):
        token = line.token
        if token.kind not in ("number", "word", "nan"):
            raise SyntaxFault(f"expected an element, not {token.text[:64]!r}, at column {token.column}")
        line.take(token.kind)
        return token
    if not depth:
        raise SyntaxFault(f"lists are nested deeper than {MAX_RANK}")
    parts: list[Nested] = []
    while not line.accept("mark", "]"):
        if parts:
            line.take("mark", ",")
        parts.append(_nested(line, depth - 1))
    return parts


def _flat(nested: Nested, lengths: tuple[int, ...], type_: TensorType) -> Iterator[Token]:
    if isinstance(nested, Token):
        if lengths:
            raise SyntaxFault(f"expected a list, not {nested.text!r}, at column {nested.column}, for {type_}")
        yield nested
    elif not lengths or len(nested) != lengths[0]:
        raise SyntaxFault(f"a list of {len(nested)} does not fit {type_}")
    else:
        for part in nested:
            yield from _flat(part, lengths[1:], type_)


def _store(flat: Array, k: int, token: Token, type_: TensorType) -> None:
    name = type_.element_type.value
    fault = SyntaxFault(f"{token.text[:64]!r} at column {token.column} is no {name}")
    try:
        if flat.dtype == np.bool_:
            flat[k] = {"true": True, "false": False}[token.text]
        elif not type_.is_float:
            flat[k] = int(token.text)
        elif token.kind == "nan":
            _store_bits(flat, k, int(token.text[4:-1], 16))
        elif token.text in ("nan", "inf", "-inf"):
            flat[k] = float(token.text)
        else:
            flat[k] = _finite(flat.dtype.type, token.text)
    except (KeyError, ValueError, OverflowError):
        raise fault from None


def _store_bits(flat: Array, k: int, bits: int) -> None:
    flat.view(f"u{flat.itemsize}")[k] = bits
    if not np.isnan(flat[k]):
        raise ValueError("bits of a number")


def _finite(kind: Any, text: str) -> Any:
    with np.errstate(over="ignore"):
        number = kind(float(text))
    if not np.isfinite(number):
        raise OverflowError
    return number
