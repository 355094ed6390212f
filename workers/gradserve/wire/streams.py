"""The messages of streams of gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from gradserve.ir.errors import GradserveError, InvalidReply, InvalidRequest
from gradserve.questions.derivations import Gradient
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.report import Report
from gradserve.questions.streams import Block, Part
from gradserve.questions.transport import is_rounded
from gradserve.v1 import derivative_service_pb2
from gradserve.v1 import stream_pb2 as pb
from gradserve.wire.answers import received
from gradserve.wire.errors import decode_error
from gradserve.wire.questions import decode_question, encode_question
from gradserve.wire.rules import broken
from gradserve.wire.source import Fill, Source, fill_inline, fill_narrow

_VALUE, _GRADIENT = "value", "gradient"


def encode_start(question: Differentiate) -> bytes:
    """The first message of a stream that asks this question, at points to come."""
    asked = replace(question, call=replace(question.call, arguments={}))
    request = encode_question(asked)
    return pb.StreamGradientRequest(call=request.call, wrt=request.wrt).SerializeToString()


def encode_block(number: int, block: Block, fill: Fill = fill_inline) -> bytes:
    """The message of a block; `fill` puts each array into an empty Tensor."""
    message = pb.StreamGradientRequest(id=number, points=block.points)
    for name, array in block.arguments.items():
        fill(message.arguments[name], array)
    return message.SerializeToString()


def fill_of(question: Differentiate) -> Fill:
    """What puts arrays of the stream into messages: as they are, or as float32 where they travel so."""
    return fill_narrow if is_rounded(question) else fill_inline


def decode_start(message: pb.StreamGradientRequest, source: Source) -> Differentiate:
    """The question of the first message.

    Raises:
        InvalidRequest: it is none, or has arguments already; as `decode_question`.
    """
    if not message.HasField("call"):
        raise broken("call", "M7", "the first message of a stream says what is asked", "the stream has no question")
    if message.arguments or message.call.arguments:
        field = "arguments" if message.arguments else "call.arguments"
        raise broken(field, "M8", "arguments come in later messages", "the first message has arguments")
    request = derivative_service_pb2.GradientRequest(call=message.call, wrt=message.wrt)
    question = decode_question(Gradient.__name__, request, source)
    assert isinstance(question, Differentiate)
    return question


def decode_block(message: pb.StreamGradientRequest, source: Source) -> Block:
    """The block of a later message.

    Raises:
        InvalidRequest: an array has no meaning, or there is another question.
        BlobNotFound: arrays are blobs that are not there.
    """
    if message.HasField("call") or message.wrt:
        raise broken(
            "call" if message.HasField("call") else "wrt",
            "M9",
            "only the first message has one",
            "the stream has a second question",
        )
    return Block(source.named(message.arguments, "arguments"), message.points)


def encode_part(number: int, part: Part, error: bytes, fill: Fill = fill_inline) -> Any:
    """The reply of a part, all but its report; `error` is the status if there is no answer."""
    reply = pb.StreamGradientResponse(id=number, first=part.first, points=part.points, error=error)
    if isinstance(part.found, Derivatives):
        for array in part.found.arrays.get(_VALUE, {}).values():
            fill(reply.value, array)
        for name, array in part.found.arrays.get(_GRADIENT, {}).items():
            fill(reply.gradients[name], array)
    return reply


def decode_part(question: Differentiate, data: bytes) -> tuple[int, Part]:
    """The number of a message, and what belongs to points of it. Arrays may be written to.

    Raises:
        InvalidReply: the bytes are no reply.
    """
    try:
        reply = pb.StreamGradientResponse.FromString(data)
        return reply.id, Part(reply.first, reply.points, _found(question, reply))
    except DecodeError:
        raise InvalidReply("what came back is no reply of a stream") from None
    except InvalidRequest as error:
        raise InvalidReply("what came back is no answer of a stream", error.violations) from None


def _found(question: Differentiate, reply: pb.StreamGradientResponse) -> Derivatives | GradserveError:
    if reply.error:
        status = status_pb2.Status.FromString(reply.error)
        return decode_error(status) or GradserveError(status.message)
    source, name = Source(writable=True), question.call.graph.outputs[0].name
    arrays = {_VALUE: {name: source.one(reply.value, _VALUE)}, _GRADIENT: source.named(reply.gradients, "gradients")}
    rest = pb.StreamGradientResponse(report=reply.report).SerializeToString()
    return received("StreamGradient", arrays, rest)


def report_of(part: Part) -> Report | None:
    """What a part cost; None if it is an error."""
    return part.found.report if isinstance(part.found, Derivatives) else None
