"""Messages that differ in the elements of their arrays alone: what lies between those is written and read once.

The lengths of arrays of the same types are the same, and so are all bytes around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType
from gradserve.v1 import tensor_pb2
from gradserve.wire.types import ELEMENT_TYPE_OF

Path: TypeAlias = tuple[str, ...]
"""Where a tensor lies in a message: names of fields, and keys of maps."""

MOST_AROUND = 1 << 16
"""Bytes around the arrays above which a message is taken as it comes."""
_INLINE = tensor_pb2.Tensor.DESCRIPTOR.fields_by_name["inline"]
_LAST_VARINT_BYTE = 10


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the elements of one array lie, and of what type they are."""

    path: Path
    start: int
    stop: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A message without its arrays."""

    pieces: tuple[bytes, ...]
    """The bytes before, between and behind the arrays."""
    slots: tuple[Slot, ...]
    size: int
    """Bytes of the whole."""

    def joined(self, arrays: Sequence[Array]) -> bytes:
        """The message with these arrays, one for each slot, of its type."""
        parts = [self.pieces[0]]
        for array, piece in zip(arrays, self.pieces[1:], strict=True):
            parts.append(array.tobytes())
            parts.append(piece)
        return b"".join(parts)

    def fits(self, data: bytes) -> bool:
        """Whether the data begins with this message, whatever its arrays hold."""
        at = 0
        for piece, slot in zip(self.pieces, self.slots, strict=False):
            if not data.startswith(piece, at):
                return False
            at = slot.stop
        return data.startswith(self.pieces[-1], at)

    def elements(self, data: bytes, slot: Slot) -> Array:
        """The read-only array of a slot in data that fits: a copy, so that it is aligned as any other."""
        found: Array = np.frombuffer(data[slot.start : slot.stop], slot.dtype)
        return found if len(slot.shape) == 1 else found.reshape(slot.shape)

    def own(self, data: bytes, slot: Slot) -> Array:
        """The same as an array that may be written to."""
        return np.ndarray(slot.shape, slot.dtype, data, slot.start).copy()


def frame_of(data: bytes, descriptor: Descriptor, arrays: Mapping[Path, Array]) -> Frame | None:
    """The frame of a message that holds exactly these arrays; None if anything about it is out of the common."""
    around = len(data) - sum(array.nbytes for array in arrays.values())
    if not 0 < around <= MOST_AROUND or not all(map(_is_common, arrays.values())):
        return None
    spans = list(_spans(data, 0, len(data), descriptor, ()))
    if len(spans) != len(arrays) or {path for path, _, _ in spans} != arrays.keys():
        return None
    slots = tuple(Slot(path, at, end, arrays[path].dtype, arrays[path].shape) for path, at, end in spans)
    if any(slot.stop - slot.start != arrays[slot.path].nbytes for slot in slots):
        return None
    bounds = [0, *(bound for slot in slots for bound in (slot.start, slot.stop)), len(data)]
    pieces = tuple(data[at:end] for at, end in zip(bounds[::2], bounds[1::2], strict=True))
    frame = Frame(pieces, slots, len(data))
    return frame if _means_its_slots(frame, data, descriptor) else None


def _means_its_slots(frame: Frame, data: bytes, descriptor: Descriptor) -> bool:
    """Whether protobuf reads the elements from the slots: it would not, where a field comes again that overrides them.

    Tried with all their bits turned: for a parser all contents of a field of bytes are alike.
    """
    turned = [~np.frombuffer(data[slot.start : slot.stop], np.uint8) for slot in frame.slots]
    message = message_factory.GetMessageClass(descriptor).FromString(frame.joined(turned))
    return all(_at(message, slot.path).inline == each.tobytes() for slot, each in zip(frame.slots, turned, strict=True))


def _at(message: Any, path: Path) -> Any:
    """What lies at a place in a message."""
    for step in path:
        message = message[step] if isinstance(message, Mapping) else getattr(message, step)
    return message


_COMMON = {each.dtype for each in ELEMENT_TYPE_OF.values() if each is not ElementType.BOOL}


def _is_common(array: Array) -> bool:
    """Whether all bytes of that length are elements of such an array, in the order of this machine."""
    return array.size > 0 and array.dtype in _COMMON and array.dtype.newbyteorder("<") == array.dtype


def _spans(data: bytes, start: int, stop: int, descriptor: Descriptor, path: Path) -> Iterator[tuple[Path, int, int]]:
    """Where the elements of tensors lie, with the path of each tensor."""
    for number, _, at, end in _delimited(data, start, stop):
        field = descriptor.fields_by_number.get(number)
        if field is None:
            continue
        inner = field.message_type
        if field is _INLINE or field.full_name == _INLINE.full_name:
            yield path, at, end
        elif inner is None:
            continue
        elif inner.GetOptions().map_entry:
            keys = [data[first:last] for key, _, first, last in _delimited(data, at, end) if key == 1]
            values = [(first, last) for key, _, first, last in _delimited(data, at, end) if key == 2]
            value = inner.fields_by_name["value"].message_type
            if keys and values and value is not None:
                yield from _spans(data, *values[-1], value, (*path, field.name, keys[-1].decode()))
        else:
            yield from _spans(data, at, end, inner, (*path, field.name))


def _delimited(data: bytes, at: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a correct message that have a length: number, where it begins, where its contents begin and end."""
    while at < stop:
        begin = at
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                _, at = _varint(data, at)
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                length, at = _varint(data, at)
                yield tag >> 3, begin, at, at + length
                at += length
            case _:  # a group, which none of our messages has
                return


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and where the next thing is."""
    number = 0
    for shift in range(_LAST_VARINT_BYTE):
        byte = data[at + shift]
        number |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return number, at + shift + 1
    raise AssertionError("protobuf has parsed a number of more than ten bytes")


def before(data: bytes, number: int) -> bytes:
    """The bytes of a correct message before the first field of that number, which has a length."""
    return next((data[:begin] for found, begin, _, _ in _delimited(data, 0, len(data)) if found == number), data)
