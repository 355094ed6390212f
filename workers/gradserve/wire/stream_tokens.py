"""Tokens of streams: where the work on a question stands, as bytes that clients keep."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from gradserve.ir.errors import BlobNotFound, InvalidRequest
from gradserve.questions.report import Report
from gradserve.questions.resuming import FIELD, MOST_BYTES, Standing, State, broken_token
from gradserve.v1 import stream_token_pb2
from gradserve.wire.reports import report_codec
from gradserve.wire.source import Source, fill_inline
from gradserve.wire.tensors import decode_tensors, write_tensor

VERSION = 1
_MOST_COUNTED = 1 << 31
"""Chunks that a token may tell of: further ones are added to them, and must still be sayable."""


def encode_token(digest: bytes, state: State, report: Report) -> bytes:
    """The token of a question with this digest; empty if the state is above `MOST_BYTES`."""
    if sum(array.nbytes for array in state.values()) > MOST_BYTES:
        return b""
    message = stream_token_pb2.StreamToken(version=VERSION, question=digest)
    for name, array in state.items():
        write_tensor(message.state[name], array)
    report_codec().write(message.report, report, fill_inline)
    return message.SerializeToString()


def decode_token(token: bytes, digest: bytes) -> Standing:
    """Where the work on the question with this digest stood.

    Raises:
        InvalidRequest: it is no token, or that of another question.
    """
    try:
        message = stream_token_pb2.StreamToken.FromString(token)
    except DecodeError:
        raise broken_token("M7", "these bytes are none") from None
    if message.version != VERSION:
        raise broken_token("M7", f"it has the version {message.version}, and this service takes {VERSION}")
    if message.question != digest:
        raise broken_token("M8", "it is one of another question: of other arguments, options or another graph")
    try:
        report: Report = report_codec().read(message.report, Source(), f"{FIELD}.")
        if max(report.chunks, report.retries) >= _MOST_COUNTED or max(report.batch_size, report.peak_bytes) >= 1 << 63:
            raise broken_token("M7", "what it says of the work so far is more than anybody does")
        return Standing(decode_tensors(message.state, None, FIELD), report)
    except (InvalidRequest, BlobNotFound) as error:
        raise broken_token("M7", f"what it holds is damaged ({error})") from None
