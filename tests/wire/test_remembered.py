"""Requests and replies read and written as ones before mean what protobuf says they mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gradserve import wire
from gradserve.questions.call import Batch, Call, arrays_of
from gradserve.questions.derivations import DERIVATIONS, Gradient, Hvp, Jacobian, Mode
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.report import Report
from gradserve.v1 import derivative_service_pb2
from gradserve.wire.methods import request_class
from gradserve.wire.reports import Reports, write_report
from gradserve.wire.source import Source
from tests.attack.bytes import field
from tests.wire.records import GRAPHS, answers, questions, records, same
from tests.wire.test_records import SOURCE, reply_of

LAW = settings(max_examples=8)
W = np.array([1.0, -2.0, 3.0])


def fresh(arrays: Any) -> Any:
    """Other numbers of the same types."""
    return {name: np.random.default_rng(1).integers(0, 9, a.shape).astype(a.dtype) for name, a in arrays.items()}


def asked(question: Differentiate) -> Differentiate:
    call = replace(question.call, arguments=fresh(question.call.arguments))
    return Differentiate(call, question.derivation, fresh(question.vectors))


@pytest.mark.parametrize("rpc", [each.__name__ for each in DERIVATIONS.values()])
@LAW
@given(st.data())
def test_a_known_request_says_what_protobuf_reads(rpc, data):
    question = data.draw(questions(rpc))
    known = wire.known_request(question)
    assume(known is not None)
    assert known is not None
    other = asked(question)
    sent = known.bytes_of(other)
    assert known.fits(sent)
    assert same(known.question(sent, SOURCE), wire.decode_question(rpc, request_class(rpc).FromString(sent), SOURCE))
    assert same(known.question(sent, SOURCE).vectors, other.vectors)
    arguments, vectors = (data.draw(st.permutations([*given])) for given in (other.call.arguments, other.vectors))
    write = known.writer(arguments, vectors)
    leaves = [arrays_of(other.call.arguments)[name] for name in arguments]
    leaves += [arrays_of(other.vectors)[name] for name in vectors]
    assert write(leaves) == sent


@pytest.mark.parametrize("rpc", [each.__name__ for each in DERIVATIONS.values() if not each.dense])
@LAW
@given(st.data())
def test_a_known_reply_says_what_protobuf_reads(rpc, data):
    question = data.draw(questions(rpc))
    answer = data.draw(answers(question))
    sent = reply_of(question, answer).SerializeToString()
    known = wire.known_reply(question, answer, sent)
    assume(known is not None)
    assert known is not None
    other = replace(answer, arrays={role: fresh(arrays) for role, arrays in answer.arrays.items()})
    body = known.bytes_of(other)
    whole = body + sent[len(body) :]
    assert known.fits(whole)
    writable = Source(writable=True)
    found, expected = known.answer(whole), wire.decode_answer(question, wire.reply_of(question, whole), writable)
    assert same(dict(found.arrays), dict(expected.arrays))
    assert same(found.report, expected.report)
    assert all(a.flags.writeable and a.flags.owndata for arrays in found.arrays.values() for a in arrays.values())


def gradient(**more: Any) -> Differentiate:
    return Differentiate(Call(GRAPHS[0], {"w": W}, **more), Gradient())


def test_most_small_calls_are_known():
    assert wire.known_request(gradient()) is not None
    assert wire.known_request(gradient(batch=Batch(("w",)))) is not None
    assert wire.known_request(Differentiate(Call(GRAPHS[0], {"w": W}), Hvp(), {"w": W})) is not None


def changed(data: bytes) -> list[bytes]:
    """The request with one of its bytes changed, in all ways that lie outside the array."""
    known = wire.known_request(gradient())
    assert known is not None
    inside = {k for slot in known.frame.slots for k in range(slot.start, slot.stop)}
    return [data[:k] + bytes([data[k] ^ 1]) + data[k + 1 :] for k in range(len(data)) if k not in inside]


def test_what_differs_in_any_other_byte_is_not_taken_for_known():
    known = wire.known_request(gradient())
    assert known is not None
    data = known.bytes_of(gradient())
    assert known.fits(data)
    assert not any(known.fits(other) for other in [*changed(data), data + b"\0", data[:-1]])


@pytest.mark.parametrize("twice", ["inline", "blob", "call", "argument"])
def test_a_request_that_says_something_twice_is_not_remembered(twice):
    message = wire.encode_question(gradient())
    data = message.SerializeToString()
    again = derivative_service_pb2.GradientRequest()
    tensor = again.call.arguments["w"]
    if twice == "inline":
        tensor.inline = W.tobytes()
    elif twice == "blob":
        tensor.blob = "0" * 64
    elif twice == "argument":
        wire.write_tensor(tensor, W)
    else:
        again.call.CopyFrom(message.call)
    data += again.SerializeToString()
    merged = derivative_service_pb2.GradientRequest.FromString(data)
    assert wire.known_request(gradient(), data, merged) is None


NUMBER = np.array([1.0])
NAMES = [chr(code) for code in range(ord("a"), ord("z"))]


def overridden(again: bytes, shorter: int) -> bytes:
    """A request of many numbers, behind the first of which there is something; some lengths take a byte less."""
    arguments = b""
    for place, name in enumerate(NAMES):
        shape = b"\x10\x01" if place < shorter else field(2, b"\x01")
        tensor = b"\x08\x05" + shape + field(3, NUMBER.tobytes()) + (again if place == 0 else b"")
        arguments += field(2, field(1, name.encode()) + field(2, tensor))
    return field(1, field(1, field(2, b"0" * 64)) + arguments)


@pytest.mark.parametrize("behind", [b"", b"\xfb\x07\xfc\x07"])  # nothing, or a group, which no message of ours has
@pytest.mark.parametrize("again", [field(4, b"0" * 64), field(3, NUMBER.tobytes())])  # a blob, or other elements
def test_elements_that_something_behind_them_overrides_are_not_remembered(again, behind):
    """Of the length of what protobuf would write they were, and the next such request was answered by them."""
    kind = derivative_service_pb2.GradientRequest
    made = [overridden(behind + again, shorter) for shorter in range(len(NAMES))]
    (data,) = [each for each in made if kind.FromString(each).ByteSize() == len(each)]
    question = Differentiate(Call(GRAPHS[0], dict.fromkeys(NAMES, NUMBER)), Gradient())
    assert wire.known_request(question, data, kind.FromString(data)) is None


def test_truths_and_nothing_are_read_by_protobuf():
    for array in (np.array([True, False]), np.zeros(0)):
        assert wire.known_request(Differentiate(Call(GRAPHS[0], {"w": array}), Gradient())) is None


def test_dense_replies_are_read_by_protobuf():
    question = Differentiate(Call(GRAPHS[0], {"w": W}), Jacobian())
    answer = Derivatives({"value": {}}, Report(), {"y": {"w": W}}, Mode.FORWARD)
    assert wire.known_reply(question, answer, reply_of(question, answer).SerializeToString()) is None


@LAW
@given(records(Report), st.lists(st.floats(0, 1e6), min_size=5, max_size=5))
def test_reports_that_are_remembered_are_those_that_are_written(report, seconds):
    reply = derivative_service_pb2.GradientResponse
    reports, message = Reports(reply), reply()
    write_report(message.report, report, seconds)
    for _ in range(2):
        assert reply.FromString(reports.bytes_of(report, seconds)).SerializeToString() == message.SerializeToString()
