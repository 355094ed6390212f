"""Requests and replies of derivations like ones before: all but the numbers is known, and protobuf is not asked again.

The bytes are those that protobuf would write, and mean what it would read from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.call import Batch, Call, Options, arrays_of
from gradserve.questions.derivations import Derivation
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.v1 import execution_pb2
from gradserve.wire.answers import received, report_field
from gradserve.wire.frames import Frame, Path, before, frame_of
from gradserve.wire.methods import METHODS
from gradserve.wire.questions import encode_question
from gradserve.wire.source import Source

_ARGUMENTS: Path = ("call", "arguments")
KEY_BYTES = 76
"""The first bytes of a request, among which the graph's digest is."""


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """What requests say that differ in numbers alone."""

    frame: Frame
    names: tuple[str, ...]
    """The argument or vector in each slot."""
    vectors: frozenset[int]
    """The slots that hold vectors."""
    graph: execution_pb2.GraphRef
    derivation: Derivation
    batch: Batch | None
    options: Options

    def bytes_of(self, question: Differentiate) -> bytes:
        """The request of a question of the same types."""
        given = _given(question)
        return self.frame.joined([given[slot.path] for slot in self.frame.slots])

    def writer(self, arguments: Sequence[str], vectors: Sequence[str]) -> Callable[[Sequence[Array]], bytes]:
        """What makes requests of arrays that are given in the order of these names."""
        places = [
            len(arguments) + vectors.index(name) if position in self.vectors else arguments.index(name)
            for position, name in enumerate(self.names)
        ]
        return lambda arrays: self.frame.joined([arrays[place] for place in places])

    def fits(self, data: bytes) -> bool:
        """Whether these bytes are such a request."""
        return len(data) == self.frame.size and self.frame.fits(data)

    def question(self, data: bytes, source: Source) -> Differentiate:
        """The question of a request that fits.

        Raises:
            GraphNotRegistered: the graph is no longer known.
        """
        graph, frame = source.graph(self.graph), self.frame
        arguments: dict[str, Array] = {}
        vectors: dict[str, Array] = {}
        for position, (name, slot) in enumerate(zip(self.names, frame.slots, strict=True)):
            (vectors if position in self.vectors else arguments)[name] = frame.elements(data, slot)
        return Differentiate(Call(graph, arguments, self.batch, self.options), self.derivation, vectors)


def known_request(question: Differentiate, data: bytes | None = None, message: Any = None) -> KnownRequest | None:
    """What a request says, to be found again; None if something about it is out of the common.

    Without the bytes and the message that they are, both are those that `encode_question` makes.
    """
    message = encode_question(question) if message is None else message
    data = message.SerializeToString() if data is None else data
    if message.call.graph.WhichOneof("graph") != "digest":
        return None
    frame = frame_of(data, message.DESCRIPTOR, _given(question))
    if frame is None or (frame.slots and frame.slots[0].start < KEY_BYTES):
        return None
    names = tuple(slot.path[-1] for slot in frame.slots)
    vectors = frozenset(k for k, slot in enumerate(frame.slots) if slot.path[:-1] != _ARGUMENTS)
    graph = execution_pb2.GraphRef(digest=message.call.graph.digest)
    call = question.call
    return KnownRequest(frame, names, vectors, graph, question.derivation, call.batch, call.options)


@dataclass(frozen=True, slots=True)
class KnownReply:
    """What replies say, all but their reports, that differ in numbers alone."""

    rpc: str
    frame: Frame
    places: tuple[tuple[str, str], ...]
    """The role and the name of the array in each slot."""
    roles: tuple[str, ...]
    report_tag: int
    """The first byte of the report, which follows."""

    def bytes_of(self, answer: Derivatives) -> bytes:
        """The reply of an answer of the same types."""
        arrays = answer.arrays
        return self.frame.joined([arrays[role][name] for role, name in self.places])

    def fits(self, data: bytes) -> bool:
        """Whether these bytes are such a reply, with a report behind it."""
        size = self.frame.size
        return len(data) > size and data[size] == self.report_tag and self.frame.fits(data)

    def answer(self, data: bytes) -> Derivatives:
        """The answer of a reply that fits; its arrays may be written to."""
        frame = self.frame
        arrays: dict[str, dict[str, Array]] = {role: {} for role in self.roles}
        for (role, name), slot in zip(self.places, frame.slots, strict=True):
            arrays[role][name] = frame.own(data, slot)
        return received(self.rpc, arrays, data[frame.size :])


def known_reply(question: Differentiate, answer: Derivatives, data: bytes) -> KnownReply | None:
    """What the reply to a question says, to be found again; None if something about it is out of the common."""
    rpc, derivation = question.rpc, type(question.derivation)
    if derivation.dense:
        return None
    report = METHODS[rpc].output_type.fields_by_name[report_field(rpc)].number
    body = before(data, report)
    arrays, places = _found(question, answer)
    frame = frame_of(body, METHODS[rpc].output_type, arrays)
    if frame is None:
        return None
    return KnownReply(
        rpc,
        frame,
        tuple(places[slot.path] for slot in frame.slots),
        tuple(derivation.gives.values()),
        report << 3 | 2,
    )


def _given(question: Differentiate) -> dict[Path, Array]:
    """The arrays of a question by their places in its request."""
    found = {(*_ARGUMENTS, name): array for name, array in arrays_of(question.call.arguments).items()}
    if question.vectors:
        takes = question.derivation.takes
        found.update({(takes, name): array for name, array in arrays_of(question.vectors).items()})
    return found


def _found(question: Differentiate, answer: Derivatives) -> tuple[dict[Path, Array], dict[Path, tuple[str, str]]]:
    """The arrays of an answer by their places in its reply; and of each the role and the name."""
    fields: Mapping[str, Any] = METHODS[question.rpc].output_type.fields_by_name
    arrays: dict[Path, Array] = {}
    places: dict[Path, tuple[str, str]] = {}
    for field, role in question.derivation.gives.items():
        is_map = fields[field].message_type.GetOptions().map_entry
        for name, array in answer.arrays.get(role, {}).items():
            path = (field, name) if is_map else (field,)
            arrays[path], places[path] = array, (role, name)
    return arrays, places
