"""Questions and their requests."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import Any, Protocol

from google.protobuf.descriptor import Descriptor

from gradserve.ir.types import TensorType, type_of
from gradserve.questions.asked import QUESTIONS, Question
from gradserve.questions.call import Argument, Call
from gradserve.questions.derivations import DERIVATIONS, TANGENTS
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.explanation import Explain
from gradserve.v1 import tensor_pb2
from gradserve.wire.codec import codec_of
from gradserve.wire.methods import METHODS, new_request
from gradserve.wire.rules import broken
from gradserve.wire.source import Fill, Source, fill_inline
from gradserve.wire.tensors import write_type

EXPLAINED = "question"
"""The oneof of an ExplainGraphRequest: its fields are requests, each named like its method."""


class QuestionCodec(Protocol):
    """Writes questions of one method to requests, and reads them."""

    def write(self, message: Any, record: Any, fill: Fill) -> None:
        """Fills the empty request."""
        ...

    def read(self, message: Any, source: Source, path: str = "") -> Any:
        """The question."""
        ...

    def require_sayable(self, record: Any, path: str = "") -> None:
        """Sees that a request has room for every whole number of the question."""
        ...


def encode_question(question: Question, fill: Fill = fill_inline) -> Any:
    """The request of a question. Its graph is named by its digest; `fill` puts each array into an empty Tensor.

    Arrays are put into their places, so that large ones are not copied once more.
    """
    request = new_request(question.rpc)
    _codec(question.rpc).write(request, question, fill)
    return request


def decode_question(rpc: str, request: Any, source: Source) -> Question:
    """The question of a request to the method of that name; whether it fits its graph is for jobs to say.

    Raises:
        InvalidRequest: what it says has no meaning; names violations, with paths from the request on.
        BlobNotFound: it names blobs that are not there.
    """
    question: Question = _codec(rpc).read(request, source)
    return question


def require_sayable(question: Question) -> None:
    """Sees that a request has room for every whole number of the question.

    Raises:
        InvalidRequest: it has not, or something is no whole number.
    """
    _codec(question.rpc).require_sayable(question)


def derivation_of(rpc: str) -> Any:
    """The class of the derivation that a method answers."""
    return next(derivation for derivation in DERIVATIONS.values() if derivation.__name__ == rpc)


@functools.cache
def _codec(rpc: str) -> QuestionCodec:
    question: Any = QUESTIONS[rpc]
    request = METHODS[rpc].input_type
    if question is Differentiate:
        return _OfDerivation(derivation_of(rpc), request)
    return _OfExplanation(request) if question is Explain else codec_of(question, request)


class _OfDerivation:
    """The fields of a derivation are fields of the request, and so is what it takes."""

    def __init__(self, derivation: Any, request: Descriptor) -> None:
        known = request.fields_by_name
        self._call = codec_of(Call, known["call"].message_type)
        unsaid = frozenset({"wrt"} - {*known})  # of what is not differentiated
        self._derivation = codec_of(derivation, request, unsaid)
        self._takes = derivation.takes

    def write(self, message: Any, record: Differentiate, fill: Fill) -> None:
        message.call.SetInParent()
        self._call.write(message.call, record.call, fill)
        self._derivation.write(message, record.derivation, fill)
        vectors = getattr(message, self._takes) if self._takes else {}
        for name, vector in record.vectors.items():
            fill(vectors[name], vector)

    def read(self, message: Any, source: Source, path: str = "") -> Differentiate:
        call = self._call.read(message.call, source, f"{path}call.")
        derivation = self._derivation.read(message, source, path)
        if not self._takes:
            return Differentiate(call, derivation)
        vectors = source.named(getattr(message, self._takes), f"{path}{self._takes}")
        if self._takes == TANGENTS and not vectors:
            text = "there is none; give one for each input to differentiate"
            raise broken(f"{path}{TANGENTS}", "M5", text, "the tangents are missing")
        return Differentiate(call, derivation, vectors)

    def require_sayable(self, record: Differentiate, path: str = "") -> None:
        self._call.require_sayable(record.call, f"{path}call.")


class _OfExplanation:
    """The request of the question to explain, with types in the places of arrays."""

    def __init__(self, request: Descriptor) -> None:
        rpcs = {_snake_case(rpc): rpc for rpc in QUESTIONS}
        self._rpcs = {field.name: rpcs[field.name] for field in request.oneofs_by_name[EXPLAINED].fields}
        self._fields = {rpc: field for field, rpc in self._rpcs.items()}

    def write(self, message: Any, record: Explain, fill: Fill) -> None:
        rpc = record.question.rpc
        target = getattr(message, self._fields[rpc])
        target.SetInParent()
        _codec(rpc).write(target, record.question, _fill_type)

    def read(self, message: Any, source: Source, path: str = "") -> Explain:
        field = message.WhichOneof(EXPLAINED)
        if field is None:
            text = f"there is none; give one of {', '.join(self._rpcs)}"
            raise broken(f"{path}{EXPLAINED}", "M6", text, "the request has no question")
        # Paths begin at the question, as those of jobs do: who answers knows in which field it lies.
        return Explain(_codec(self._rpcs[field]).read(getattr(message, field), replace(source, types_alone=True)))

    def require_sayable(self, record: Explain, path: str = "") -> None:
        _codec(record.question.rpc).require_sayable(record.question, path)


def _fill_type(message: tensor_pb2.Tensor, argument: Argument) -> None:
    write_type(message, argument if isinstance(argument, TensorType) else type_of(argument))


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
