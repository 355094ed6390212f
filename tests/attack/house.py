"""What a service holds, without a service: graphs, blobs, uploads and all handlers, in the process that attacks it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from gradserve.ir.errors import GradserveError, InvalidRequest
from gradserve.ir.limits import DEFAULT_LIMITS
from gradserve.jobs.answering import answers
from gradserve.questions.asked import QUESTIONS
from gradserve.runtime.control import Control
from gradserve.runtime.shared import Opened
from gradserve.service.calls.known import Known
from gradserve.service.calls.status import status_of
from gradserve.service.handlers.blobs import BlobHandlers
from gradserve.service.handlers.graphs import Graphs
from gradserve.service.handlers.streams import Streams
from gradserve.service.identity.caller import ANONYMOUS
from gradserve.service.storage.content import Content
from gradserve.service.storage.owners import Owned
from gradserve.service.storage.store import BlobStore, GraphStore
from gradserve.wire.extent import require_parseable
from gradserve.wire.methods import request_class
from tests.attack.trial import Ended, Outcome, context, stage

INTERNAL = grpc.StatusCode.INTERNAL.value[0]
METADATA_BYTES = 8 << 10
"""What gRPC takes of an error's details."""
SECONDS = 5.0
"""How long a call may take."""
_MOST_ANSWERS = 3
"""Of a stream; the others are no different."""


def parsed(kind: Any, data: bytes) -> Any:
    """The message in these bytes, as the service parses."""
    require_parseable(data, kind.DESCRIPTOR)
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidRequest("the bytes are no message") from None


class Rpc:
    """The call that a request came by."""

    def __init__(self, method: str) -> None:
        """One that nobody has made over a network."""
        self._message = request_class(method)
        self.caller = ANONYMOUS
        self.control = Control.after(SECONDS, lambda: None)
        self.places: Mapping[str, str] = {}
        self.memory: Opened | None = None
        self.known: Known | None = None
        self.request_id = ""

    def parse(self, data: bytes) -> Any:
        """As the service parses."""
        return parsed(self._message, data)

    def decoded(self) -> None:
        """Nobody times it."""

    def admit_next(self, data: bytes) -> None:
        """There is room."""

    def ran(self, report: Any) -> None:
        """Nobody counts it."""


class House:
    """What a service holds, without one: graphs, blobs, uploads, and the handlers of the methods that ask nothing."""

    def __init__(self, most_answers: int = _MOST_ANSWERS) -> None:
        """Empty; of a stream so many answers are looked at."""
        self._most_answers = most_answers
        self._owned = Owned(GraphStore(1 << 24, 100), BlobStore(1 << 24, 1 << 24), 1000)
        self.content = Content(self._owned, DEFAULT_LIMITS, 1 << 20)
        graphs, blobs = Graphs(self.content), BlobHandlers(self._owned)
        self._handlers: Mapping[str, Callable[..., Any]] = {
            "RegisterGraph": graphs.register_graph,
            "CheckGraph": graphs.check_graph,
            "GetGraph": graphs.get_graph,
            "FindMissingBlobs": blobs.find_missing_blobs,
            "WriteBlob": blobs.write_blob,
            "ReadBlob": blobs.read_blob,
            "StreamGradient": Streams(_Contexts(), self.content).stream_gradient,  # type: ignore[arg-type]
        }

    def meet(self, method: str, data: list[bytes], outcome: Outcome) -> list[Any]:
        """The replies to a request, or to the messages of a stream of them. A refusal is said as clients hear it."""
        rpc = Rpc(method)
        try:
            return self._met(method, data, rpc, outcome)
        except Ended as ended:
            if isinstance(ended.__cause__, GradserveError):
                with stage(outcome, "refuse"):
                    status = status_of(ended.__cause__, rpc.places, method, "")
                    assert status.code != INTERNAL
                    assert status.ByteSize() <= METADATA_BYTES
            raise

    def _met(self, method: str, data: list[bytes], rpc: Rpc, outcome: Outcome) -> list[Any]:
        if method in QUESTIONS:
            return self._answered(method, data[0], rpc, outcome)
        with stage(outcome, method):
            handler = self._handlers[method]
            if method == "StreamGradient":
                return list(handler(iter(data), rpc))
            if method == "WriteBlob":
                return [handler((rpc.parse(each) for each in data), rpc)]
            found = handler(rpc.parse(data[0]), rpc)
            return list(found) if isinstance(found, Iterator) else [found]
        return []

    def _answered(self, method: str, data: bytes, rpc: Rpc, outcome: Outcome) -> list[Any]:
        replies = []
        with stage(outcome, f"read {method}"):
            question = self.content.question(method, data, rpc)
        with stage(outcome, f"answer {method}"):
            for count, answer in enumerate(answers(context(), question, rpc.control)):
                replies.append(self.content.reply(question, answer, rpc))
                if count + 1 == self._most_answers:
                    break
        return replies


class _Contexts:
    """Of every caller a fresh one."""

    def of(self, _: Any) -> Any:
        return context()
