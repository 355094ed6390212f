"""Records to messages and back, by the type hints of the records: compiled once for each kind, run for every call.

A field of a record is the field of its message that has the same name:

    bool, int, float, str      the scalar; float seconds may be a Duration
    StrEnum                    the enum whose values have the names of the members; UNSPECIFIED is the record's default,
                               or else the member that the enum does not name
    a record                   the message; one that equals the default is left out
    X | None                   unset for None
    tuple[X, ...]              repeated
    Array, Argument            Tensor
    Mapping[str, X]            a map of tensors, or of messages whose only field is a list of tensors
    Mapping[str, TensorType]   the Inputs of that name in the field `signature`
    Graph                      GraphRef: a digest on the way out, whatever `Source.graph` takes on the way in

An `optional` scalar that is unset has the record's default. Fields with `HERE` in their metadata are in no message.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field
from numbers import Integral
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gradserve.ir.errors import InvalidRequest
from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType
from gradserve.questions.shown import HERE
from gradserve.wire.fields import Read, Write, field_of, is_mapping, is_plain, signature_of
from gradserve.wire.source import Fill, Source

_BITS = {
    FieldDescriptor.TYPE_UINT32: 32,
    FieldDescriptor.TYPE_UINT64: 64,
    FieldDescriptor.TYPE_INT32: 31,
    FieldDescriptor.TYPE_INT64: 63,
}


class Codec:
    """Writes records of one class to messages of one type, and reads them."""

    def __init__(self, record: type, descriptor: Descriptor, without: frozenset[str] = frozenset()) -> None:
        """Compiles all fields but those in `without`.

        Raises:
            TypeError: a field is not in the message, or has a type that no message has.
        """
        self.record = record
        self._plain: list[str] = []
        """Fields that messages hold as records do."""
        self._fields: list[tuple[str, Write, Read]] = []
        self._counts: list[tuple[str, int]] = []
        """Whole numbers, with the bits that they have in the message."""
        self._nested: list[tuple[str, Codec]] = []
        hints = typing.get_type_hints(record)
        for declared in dataclasses.fields(record):
            if declared.name not in without and HERE not in declared.metadata:
                self._compile(declared, hints[declared.name], descriptor)
        self._values = _values_of(self._plain)

    def write(self, message: Any, record: Any, fill: Fill) -> None:
        """Fills the empty message; `fill` puts an array into an empty Tensor."""
        if self._plain:
            for name, value in zip(self._plain, self._values(record), strict=True):
                setattr(message, name, value)
        for name, write, _ in self._fields:
            write(message, getattr(record, name), fill)

    def read(self, message: Any, source: Source, path: str = "") -> Any:
        """The record.

        Raises:
            InvalidRequest: a number or an array has no meaning; names the field, below `path`.
            BlobNotFound: arrays are named by digests that are not there.
        """
        return self.record(**self.values(message, source, path))

    def values(self, message: Any, source: Source, path: str = "") -> dict[str, Any]:
        """The fields of the record by name; raises what `read` does."""
        values = dict(zip(self._plain, self._values(message), strict=True)) if self._plain else {}
        for name, _, read in self._fields:
            values[name] = read(message, source, path)
        return values

    def require_sayable(self, record: Any, path: str = "") -> None:
        """Sees that the message has room for every whole number of the record.

        Raises:
            InvalidRequest: it has not, or something is no whole number.
        """
        for name, bits in self._counts:
            for value in _each(getattr(record, name)):
                if not isinstance(value, Integral) or not 0 <= int(value) < 1 << bits:
                    text = f"it must be a whole number from 0 to 2^{bits} - 1"
                    raise InvalidRequest(f"{path}{name} is {value}; {text}")
        for name, codec in self._nested:
            for each in _each(getattr(record, name)):
                codec.require_sayable(each, f"{path}{name}.")

    def _compile(self, declared: Field[Any], hint: Any, descriptor: Descriptor) -> None:
        name = declared.name
        if is_mapping(hint, TensorType):
            self._fields.append((name, *signature_of(name)))
            return
        found = descriptor.fields_by_name.get(name)
        if found is None:
            raise TypeError(f"{descriptor.full_name} has no field {name}, which {self.record.__name__} has")
        item = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint
        if item is int:
            self._counts.append((name, _BITS[found.type]))
        elif isinstance(item, type) and dataclasses.is_dataclass(item) and item is not Graph:
            self._nested.append((name, codec_of(item, found.message_type)))
        if is_plain(hint, found):
            self._plain.append(name)
        else:
            self._fields.append((name, *field_of(hint, found, _default(declared), codec_of)))


@functools.cache
def codec_of(record: Any, descriptor: Descriptor, without: frozenset[str] = frozenset()) -> Codec:
    """The codec of these two, compiled once."""
    return Codec(record, descriptor, without)


def _each(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


def _default(declared: Field[Any]) -> Any:
    """The default of a field; MISSING if there is none."""
    factory = declared.default_factory
    return declared.default if factory is MISSING else factory()


def _values_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """A function that gives these attributes of an object."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda found: tuple(getattr(found, name) for name in names)
