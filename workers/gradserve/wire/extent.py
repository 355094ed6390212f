"""How many parts a message has, told from its bytes before anything is made of them.

Two bytes may be a message: a graph of 64 MiB can hold 32 million empty nodes, which take gigabytes once they are
parsed. So the fields of large messages are walked over first; arrays are skipped as one.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor

from gradserve.ir.errors import InvalidRequest, LimitExceeded
from gradserve.ir.limits import DEFAULT_LIMITS, GraphLimits

SMALL_BYTES = 64 << 10
"""Messages up to this are not looked through: whatever they say, they take few MiB."""
MOST_PARTS = 30_000
"""Parts of one kind, such as names, of which graphs have no limit of their own."""
NUMBER_BYTES = 3 << 20
"""Bytes of lists of whole numbers, each of which takes eight times as much once it is parsed."""
_NUMBERS = "whole numbers"
_OTHERS = "fields that hold no parts"
_OF_GRAPHS = {"Node": "nodes", "Input": "inputs", "Output": "outputs", "Origin": "origins"}
"""What graphs have limits for, by the message that says it."""
_OF_NODES = {"TensorType": 3, "Dimension": 10, "AttributesEntry": 4, "Attribute": 4, _OTHERS: 20}
"""How many of these there may be for each node that a graph may have; among the last are fields that nobody knows."""
_TOLD = 1_200_000
"""How many parts of a graph are told exactly; more are not waited for."""
_LONGEST_BLOCK = 1 << 20
"""Bytes of copies of one part that are looked for as one."""
_DEPTH = 100
"""What protobuf takes of messages in each other."""
_ONE_BY_ONE = 4
"""What a number counts for that is sent as a field of its own."""
_LEAF_BYTES = 8
"""Messages up to this are counted and not entered: they have a few parts each."""
_WHOLE: set[int] = {
    FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_ENUM,
}  # fmt: skip


class _Field(NamedTuple):
    """What is counted of a field, and the message within its parts."""

    counted: str
    inner: Any = None


def require_parseable(data: bytes, descriptor: Any, limits: GraphLimits = DEFAULT_LIMITS) -> None:
    """Refuses the bytes of a message, described so, that would take far more memory than they are long.

    `limits` are those of a graph in it.

    Raises:
        LimitExceeded: it has too many parts.
        InvalidRequest: it is cut off, or nested too deep.
    """
    if len(data) > SMALL_BYTES:
        try:
            walk = _Walk(data, limits)
            walk.over(0, len(data), descriptor, 0)
            walk.refuse_over()
        except IndexError:
            raise InvalidRequest("the bytes are cut off amid a field") from None


class _Walk:
    def __init__(self, data: bytes, limits: GraphLimits) -> None:
        self._data = data
        self._limits = limits
        self._over = ""
        self._most = {_NUMBERS: NUMBER_BYTES} | {name: each * limits.nodes for name, each in _OF_NODES.items()}
        self._most |= {name: getattr(limits, limit) for name, limit in _OF_GRAPHS.items()}
        self._counts: Counter[str] = Counter()
        self._others = 0

    def over(self, at: int, end: int, descriptor: Any, depth: int) -> None:
        """Walks over the fields of a message that lies there."""
        if depth > _DEPTH:
            raise InvalidRequest(f"the bytes are nested over {_DEPTH} messages deep")
        data, fields = self._data, _fields(descriptor)
        while at < end:
            start = at
            tag, at = self._number(at)
            field, kind = fields.get(tag >> 3), tag & 7
            if field is None:
                self._others += 1
                if self._others > self._most[_OTHERS]:
                    self._count(_OTHERS, self._others)
            if kind == 2:
                length, at = self._number(at)
                inside, at = at, at + length
                if field is None:
                    continue
                counted, inner = field
                if inner is not None and length > _LEAF_BYTES and not self._over:
                    self._count(counted, 1)
                    self.over(inside, min(at, end), inner, depth + 1)
                else:
                    at = self._count_alike(counted, length if counted is _NUMBERS else 1, start, at, end)
            elif kind == 0:
                while data[at] > 0x7F:
                    at += 1
                at += 1
                if field is not None:
                    at = self._count_alike(field.counted, _ONE_BY_ONE, start, at, end)
            elif kind in (1, 5):
                at += 8 if kind == 1 else 4
            else:
                raise InvalidRequest(f"the bytes hold a field of kind {kind}, which no message has")

    def _number(self, at: int) -> tuple[int, int]:
        """The number that lies there, and where it ends."""
        data = self._data
        found = data[at]
        if found < 0x80:
            return found, at + 1
        found &= 0x7F
        for shift in range(7, 70, 7):
            at += 1
            byte = data[at]
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return found, at + 1
        raise InvalidRequest("the bytes hold a number of more than 64 bits")

    def _count_alike(self, counted: str, each: int, start: int, stop: int, end: int) -> int:
        """Counts a part that lies there and its copies behind it, each for so much; where the last of them ends."""
        copies = _copies(self._data, start, stop, end)
        self._count(counted, copies * each)
        return start + copies * (stop - start)

    def _count(self, counted: str, count: int) -> None:
        self._counts[counted] += count
        most = self._most.get(counted, MOST_PARTS)
        if self._counts[counted] <= most:
            return
        if counted in _OF_GRAPHS:
            self._over = counted  # the rest is counted, to tell how many there are, and not entered
            if self._counts[counted] < _TOLD:
                return
        self.refuse_over()
        what = f"more than {most} bytes of" if counted is _NUMBERS else f"more than {most} times"
        raise LimitExceeded("message_parts", f"the request has {what} {counted}")

    def refuse_over(self) -> None:
        """Refuses a graph with more parts than it may have, if that was seen."""
        if self._over:
            self._limits.require(**{_OF_GRAPHS[self._over]: self._counts[self._over]})


@functools.cache
def _fields(descriptor: Any) -> Mapping[int, _Field]:
    """The fields whose parts take memory, however short they are."""
    found = {}
    for field in descriptor.fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            found[field.number] = _Field(field.message_type.name, field.message_type)
        elif field.is_repeated:
            found[field.number] = _Field(_NUMBERS if field.type in _WHOLE else field.name)
    return found


def _copies(data: bytes, start: int, stop: int, end: int) -> int:
    """How many copies of what lies there are one behind the other: floods are of one part over and over."""
    size, found, grows = stop - start, 1, True
    block = int(size <= _LONGEST_BLOCK)
    while block:
        copies = data[start : start + block * size]
        if stop + len(copies) <= end and data.startswith(copies, stop):
            found, stop = found + block, stop + len(copies)
            block = 2 * block if grows and len(copies) < _LONGEST_BLOCK else block
        else:
            block, grows = block // 2, False
    return found
