"""How fields of records are written to messages and read from them: a pair of functions for each kind of field."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any, TypeAlias, TypeVar

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType
from gradserve.v1 import graph_pb2
from gradserve.wire.rules import broken, require_count
from gradserve.wire.source import Fill, Source
from gradserve.wire.types import decode_type, encode_type

Write: TypeAlias = Callable[[Any, Any, Fill], None]
"""Puts the value of a field into a message that has none."""
Read: TypeAlias = Callable[[Any, Source, str], Any]
"""The value of a field in a message; the path before the field's name is for violations."""
Pair: TypeAlias = tuple[Write, Read]
T = TypeVar("T")

_SCALARS = (bool, int, float, str, bytes)
_SIGNED = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64)
NANO = 1e-9


def is_plain(hint: Any, found: FieldDescriptor) -> bool:
    """Whether messages hold the field as records do."""
    plain = hint in _SCALARS and found.message_type is None
    return plain and not found.has_presence and not (hint is int and found.type in _SIGNED)


def is_mapping(hint: Any, of: Any) -> bool:
    """Whether it is the hint of a mapping from names to such values."""
    return typing.get_origin(hint) is Mapping and typing.get_args(hint)[1] == of


def field_of(hint: Any, found: FieldDescriptor, default: Any, codec_of: Callable[..., Any]) -> Pair:
    """The functions of a field; `default` is MISSING if the record has none.

    Raises:
        TypeError: no message has such a field.
    """
    name, origin, arguments = found.name, typing.get_origin(hint), typing.get_args(hint)
    if hint is Graph:
        return _graph(name)
    if hint in _SCALARS:
        return _duration(name) if found.message_type is not None else _guarded(name, found, default)
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return _enum(name, _Names(hint, _inside(found.enum_type).values, default))
    if _holds_array(hint):
        return _array(name)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _record(name, codec_of(hint, found.message_type), default)
    if origin is types.UnionType and len(arguments) == 2 and arguments[1] is type(None):
        return _optional(name, field_of(arguments[0], found, MISSING, codec_of))
    if origin is tuple:
        item = arguments[0]
        if item in _SCALARS:
            return _scalars(name)
        return _records(name, codec_of(item, found.message_type))
    if origin is Mapping:
        item = arguments[1]
        return _arrays(name) if _holds_array(item) else _lists(name, found)
    raise TypeError(f"{found.full_name} cannot hold {hint}")


def _holds_array(hint: Any) -> bool:
    """Whether values are arrays, or perhaps types in their places."""
    if typing.get_origin(hint) is types.UnionType:
        return {_holds_array(each) or each is TensorType for each in typing.get_args(hint)} == {True}
    return typing.get_origin(hint) is np.ndarray


def _graph(name: str) -> Pair:
    def write(message: Any, value: Graph, fill: Fill) -> None:
        getattr(message, name).digest = value.digest

    return write, lambda message, source, path: source.graph(getattr(message, name))


def _duration(name: str) -> Pair:
    def write(message: Any, value: float, fill: Fill) -> None:
        write_seconds(getattr(message, name), value)

    def read(message: Any, source: Source, path: str) -> float:
        duration = getattr(message, name)
        return float(duration.seconds + NANO * duration.nanos)

    return write, read


def write_seconds(duration: Any, seconds: float) -> None:
    """Fills a Duration, to the nearest nanosecond."""
    duration.seconds, duration.nanos = divmod(round(seconds / NANO), 10**9)


def _guarded(name: str, found: FieldDescriptor, default: Any) -> Pair:
    """A scalar that may be absent, or a number of a signed type, which has to be one that counts something."""
    optional, signed = found.has_presence, found.type in _SIGNED

    def write(message: Any, value: Any, fill: Fill) -> None:
        if not optional or value != default:
            setattr(message, name, value)

    def read(message: Any, source: Source, path: str) -> Any:
        value = default if optional and not message.HasField(name) else getattr(message, name)
        if signed:
            require_count(value, f"{path}{name}")
        return value

    return write, read


def _inside(descriptor: T | None) -> T:
    """The descriptor of what a field holds, which is a message or an enum."""
    assert descriptor is not None
    return descriptor


class _Names:
    """The numbers of an enum's members, by the names of the proto's values."""

    def __init__(self, members: type[enum.StrEnum], values: Any, default: Any) -> None:
        numbers = {value.name: value.number for value in values}
        (unspecified,) = (name for name, number in numbers.items() if number == 0)
        prefix = unspecified.removesuffix("UNSPECIFIED")
        self.number = {member: numbers.get(prefix + member.name, 0) for member in members}
        self.member: dict[int, enum.StrEnum] = {number: member for member, number in self.number.items()}
        if default is not MISSING:
            self.member[0] = default

    def read(self, number: int, field: str) -> enum.StrEnum:
        member = self.member.get(number)
        if member is None:
            known = ", ".join(map(str, sorted(self.member)))
            raise broken(field, "M2", f"{number} has no meaning here; known are {known}")
        return member


def _enum(name: str, names: _Names) -> Pair:
    def write(message: Any, value: enum.StrEnum, fill: Fill) -> None:
        setattr(message, name, names.number[value])

    return write, lambda message, source, path: names.read(getattr(message, name), f"{path}{name}")


def _record(name: str, codec: Any, default: Any) -> Pair:
    """A record; one that equals the default is left out."""
    if default is MISSING:
        return _present(name, codec.write), lambda message, source, path: codec.read(
            getattr(message, name), source, f"{path}{name}."
        )

    def write(message: Any, value: Any, fill: Fill) -> None:
        if value is not default and value != default:
            codec.write(getattr(message, name), value, fill)

    def read(message: Any, source: Source, path: str) -> Any:
        return codec.read(getattr(message, name), source, f"{path}{name}.") if message.HasField(name) else default

    return write, read


def _present(name: str, write: Write) -> Write:
    """Writes a message that is there, however little it says."""

    def written(message: Any, value: Any, fill: Fill) -> None:
        target = getattr(message, name)
        target.SetInParent()
        write(target, value, fill)

    return written


def _optional(name: str, some: Pair) -> Pair:
    write_some, read_some = some

    def write(message: Any, value: Any, fill: Fill) -> None:
        if value is not None:
            write_some(message, value, fill)

    def read(message: Any, source: Source, path: str) -> Any:
        return read_some(message, source, path) if message.HasField(name) else None

    return write, read


def _scalars(name: str) -> Pair:
    def write(message: Any, value: tuple[Any, ...], fill: Fill) -> None:
        if value:
            getattr(message, name).extend(value)

    return write, lambda message, source, path: tuple(getattr(message, name))


def _records(name: str, codec: Any) -> Pair:
    def write(message: Any, value: tuple[Any, ...], fill: Fill) -> None:
        target = getattr(message, name)
        for each in value:
            codec.write(target.add(), each, fill)

    def read(message: Any, source: Source, path: str) -> tuple[Any, ...]:
        found = getattr(message, name)
        return tuple(codec.read(each, source, f"{path}{name}[{k}].") for k, each in enumerate(found))

    return write, read


def _array(name: str) -> Pair:
    def write(message: Any, value: Any, fill: Fill) -> None:
        fill(getattr(message, name), value)

    return write, lambda message, source, path: source.one(getattr(message, name), f"{path}{name}")


def _arrays(name: str) -> Pair:
    def write(message: Any, value: Mapping[str, Any], fill: Fill) -> None:
        target = getattr(message, name)
        for key, array in value.items():
            fill(target[key], array)

    return write, lambda message, source, path: source.named(getattr(message, name), f"{path}{name}")


def _lists(name: str, found: FieldDescriptor) -> Pair:
    """A mapping to tuples of arrays: a map of messages whose only field is a list of tensors."""
    entry = _inside(_inside(found.message_type).fields_by_name["value"].message_type)
    (inner,) = (field.name for field in entry.fields)

    def write(message: Any, value: Mapping[str, tuple[Any, ...]], fill: Fill) -> None:
        target = getattr(message, name)
        for key, arrays in value.items():
            tensors = getattr(target[key], inner)
            for array in arrays:
                fill(tensors.add(), array)

    def read(message: Any, source: Source, path: str) -> dict[str, tuple[Any, ...]]:
        return {
            key: tuple(source.one(each, f"{path}{name}") for each in getattr(entry, inner))
            for key, entry in getattr(message, name).items()
        }

    return write, read


def signature_of(name: str) -> Pair:
    """A mapping to types: the inputs or the outputs of a signature, in their order."""

    def write(message: Any, value: Mapping[str, TensorType], fill: Fill) -> None:
        rows = [graph_pb2.Input(name=key, type=encode_type(type_)) for key, type_ in value.items()]
        getattr(message.signature, name).extend(rows)

    def read(message: Any, source: Source, path: str) -> dict[str, TensorType]:
        rows = getattr(message.signature, name)
        return {row.name: decode_type(row.type, f"{path}signature.{name}[{k}].type") for k, row in enumerate(rows)}

    return write, read
