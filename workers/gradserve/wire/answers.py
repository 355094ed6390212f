"""Answers and their replies."""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping
from typing import Any, Protocol

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from gradserve.ir.errors import InvalidReply
from gradserve.questions.asked import QUESTIONS, Answer, Question
from gradserve.questions.derivations import Derivation
from gradserve.questions.derivatives import Derivatives, Differentiate, ReportedLater
from gradserve.questions.report import Report
from gradserve.wire.codec import codec_of
from gradserve.wire.methods import METHODS, new_reply, reply_class
from gradserve.wire.questions import derivation_of
from gradserve.wire.reports import decode_report, report_codec
from gradserve.wire.source import Fill, Source, fill_inline

_BLOCKS = "blocks"


class AnswerCodec(Protocol):
    """Writes answers of one method to replies, all but their reports, and reads them."""

    def write(self, message: Any, record: Any, fill: Fill) -> None:
        """Fills the empty reply."""
        ...

    def read(self, message: Any, source: Source, question: Question) -> Any:
        """The answer."""
        ...


def encode_answer(question: Question, answer: Answer, fill: Fill = fill_inline) -> Any:
    """The reply that gives an answer, all but its report; `fill` puts each array into an empty Tensor."""
    reply = new_reply(question.rpc)
    _codec(question.rpc).write(reply, answer, fill)
    return reply


def decode_answer(question: Question, reply: Any, source: Source) -> Answer:
    """The answer in a reply to a question.

    Raises:
        InvalidRequest: what it says has no meaning here.
        BlobNotFound: arrays are blobs, and are not there.
    """
    return _codec(question.rpc).read(reply, source, question)


def reply_of(question: Question, data: bytes) -> Any:
    """The reply in its bytes.

    Raises:
        InvalidReply: they are none.
    """
    try:
        return reply_class(question.rpc).FromString(data)
    except DecodeError:
        raise InvalidReply(f"what came back is no reply of {question.rpc}") from None


@functools.cache
def report_field(rpc: str) -> str:
    """The field for the report, of the method's answer and of its reply; empty if there is none."""
    hints = typing.get_type_hints(QUESTIONS[rpc].answer)
    return next((name for name, hint in hints.items() if hint is Report), "")


@functools.cache
def _codec(rpc: str) -> AnswerCodec:
    reply = METHODS[rpc].output_type
    if QUESTIONS[rpc] is Differentiate:
        return _OfDerivation(derivation_of(rpc), reply)
    return _OfRecord(QUESTIONS[rpc].answer, reply, report_field(rpc))


class _OfRecord:
    """The fields of the record are fields of the reply."""

    def __init__(self, answer: type, reply: Descriptor, report: str) -> None:
        self._codec = codec_of(answer, reply, frozenset({report} - {""}))
        self._report = report
        self.write = self._codec.write

    def read(self, message: Any, source: Source, question: Question) -> Any:
        values = self._codec.values(message, source)
        if self._report:
            values[self._report] = report_codec().read(getattr(message, self._report), source)
        return self._codec.record(**values)


def received(rpc: str, arrays: Mapping[str, Mapping[str, Any]], rest: bytes) -> Derivatives:
    """The answer of these arrays, with the report in the rest of its reply."""
    return ReportedLater(arrays, functools.partial(_report_in, rpc, rest), {}, Derivatives.mode)


def _report_in(rpc: str, rest: bytes) -> Report:
    message: Any = reply_class(rpc).FromString(rest)
    found: Report = report_codec().read(message.report, Source())
    return found


class _OfDerivation:
    """What a derivation gives, each role in its field; and the blocks of a dense one."""

    def __init__(self, derivation: type[Derivation], reply: Descriptor) -> None:
        self._gives = [(field, role, _is_map(reply.fields_by_name[field])) for field, role in derivation.gives.items()]
        self._dense = derivation.dense
        # What is left of the record is how a dense derivative was accumulated.
        others = {"arrays", "report", "blocks"} | ({"mode"} - {*reply.fields_by_name})
        self._rest = codec_of(Derivatives, reply, frozenset(others))

    def write(self, message: Any, record: Derivatives, fill: Fill) -> None:
        self._rest.write(message, record, fill)
        for field, role, is_map in self._gives:
            target = getattr(message, field)
            for name, array in record.arrays.get(role, {}).items():
                fill(target[name] if is_map else target, array)
        if self._dense:
            for row, columns in record.blocks.items():
                for column, array in columns.items():
                    fill(message.blocks.add(row=row, column=column).tensor, array)

    def read(self, message: Any, source: Source, question: Any) -> Derivatives:
        arrays: dict[str, Mapping[str, Any]] = {}
        for field, role, is_map in self._gives:
            if is_map:
                arrays[role] = source.named(getattr(message, field), field)
            elif message.HasField(field):
                arrays[role] = {question.call.graph.outputs[0].name: source.one(getattr(message, field), field)}
            else:
                arrays[role] = {}
        blocks: dict[str, dict[str, Any]] = {}
        if self._dense:
            found = source.named({str(k): block.tensor for k, block in enumerate(message.blocks)}, _BLOCKS)
            for block, array in zip(message.blocks, found.values(), strict=True):
                blocks.setdefault(block.row, {})[block.column] = array
        mode = self._rest.values(message, source).get("mode", Derivatives.mode)
        # As bytes, because a message inside the reply would keep all of the reply in memory.
        tell = functools.partial(decode_report, message.report.SerializeToString())
        return ReportedLater(arrays, tell, blocks, mode)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
