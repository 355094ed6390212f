"""What hostile bytes and texts are sent through, each by a number that makes them anew.

A target is a function of a number: it makes one input and answers what became of it. Inputs are correct ones with
changes, for random bytes never get past a parser.
"""

import functools
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from gradserve.client.importers import from_stablehlo
from gradserve.ir.check import check
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.limits import DEFAULT_LIMITS
from gradserve.jobs.answering import answers
from gradserve.ops import OP_SET
from gradserve.questions.asked import QUESTIONS
from gradserve.runtime.control import Control
from gradserve.runtime.shared import Opened
from gradserve.service.content import Content
from gradserve.service.identity.caller import ANONYMOUS
from gradserve.service.known import Known
from gradserve.service.owners import Owned
from gradserve.service.store import BlobStore, GraphStore
from gradserve.text.parsing import parse
from gradserve.text.printing import to_text
from gradserve.v1 import graph_pb2
from gradserve.wire import decode_graph, encode_graph, encode_tensor
from gradserve.wire.extent import require_parseable
from gradserve.wire.methods import SERVICES
from tests.attack.bytes import garbled, mangled
from tests.attack.mutate import mutated
from tests.attack.seeds import seeds
from tests.attack.trial import Ended, Outcome, context, graph_of, stage, try_seed

CORPUS = Path(__file__).parent / "corpus"
_METHODS = [method for service in SERVICES for method in service.methods]
_MESSAGES: Mapping[str, Any] = {m.name: message_factory.GetMessageClass(m.input_type) for m in _METHODS}
_SECONDS = 5.0
_TEXTS = ("w", "x", "y", "loss", "n", "numpy", "fused", "", "ab" * 32, "\u1234")
_WHOLE = (0, 1, 2, 3, 7, 100, -1, 2**31 - 1, -(2**31))


def try_graph_bytes(seed: int) -> Outcome:
    """A graph's bytes with changes, decoded, checked and named."""
    dice, outcome = random.Random(seed), Outcome()
    known = seeds()
    data = dice.choice(known)
    if dice.random() < 0.6:
        data = mutated(graph_pb2.Graph.FromString(data), dice).SerializeToString()
    if dice.random() < 0.4:
        data = mangled(data, dice.choice(known), dice)
    with suppress(Ended):
        with stage(outcome, "parse"):
            message = _parsed(graph_pb2.Graph, data)
        with stage(outcome, "decode"):
            graph = decode_graph(message, OP_SET)
        with stage(outcome, "check"):
            assert not check(graph)
            assert decode_graph(encode_graph(graph, 1 << 30), OP_SET).digest == graph.digest
    return outcome


def try_text(seed: int) -> Outcome:
    """A graph's text with changes, parsed and printed."""
    dice, outcome = random.Random(seed), Outcome()
    text = garbled(dice.choice(_texts()), dice.choice(_texts()), dice)
    with suppress(Ended):
        with stage(outcome, "parse text"):
            graph = parse(text, OP_SET)
        with stage(outcome, "print text"):
            assert parse(to_text(graph), OP_SET).digest == graph.digest
    return outcome


def try_stablehlo(seed: int) -> Outcome:
    """A StableHLO program's text with changes, imported."""
    dice, outcome = random.Random(seed), Outcome()
    text = garbled(dice.choice(_programs()), dice.choice(_programs()), dice)
    with suppress(Ended), stage(outcome, "import StableHLO"):
        assert not check(from_stablehlo(text, most=10).graph)
    return outcome


def try_request(seed: int) -> Outcome:
    """A request of any method with any fields, its bytes perhaps with changes, read and, if it can be, answered."""
    dice, outcome = random.Random(seed), Outcome()
    method = dice.choice(sorted(QUESTIONS))
    message = _MESSAGES[method]()
    _fill(message, dice, 0)
    with suppress(ValueError):  # a text that cannot be encoded
        data = message.SerializeToString()
        if dice.random() < 0.3:
            data = mangled(data, data[::-1], dice)
        with suppress(Ended):
            rpc = _Rpc(method)
            with stage(outcome, f"read {method}"):
                question = _content().question(method, data, rpc)
            with stage(outcome, f"answer {method}"):
                found = answers(context(), question, Control.after(_SECONDS, lambda: None))
                answer = next(found)
            with stage(outcome, f"reply {method}"):
                _content().reply(question, answer, rpc)
    return outcome


class _Rpc:
    """The call that a request came by."""

    def __init__(self, method: str) -> None:
        self._message = _MESSAGES[method]
        self.caller = ANONYMOUS
        self.control = Control.after(_SECONDS, lambda: None)
        self.places: Mapping[str, str] = {}
        self.memory: Opened | None = None
        self.known: Known | None = None

    def parse(self, data: bytes) -> Any:
        return _parsed(self._message, data)


def _parsed(kind: Any, data: bytes) -> Any:
    """As the service parses."""
    require_parseable(data, kind.DESCRIPTOR)
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidRequest("the bytes are no message") from None


def _fill(message: Any, dice: random.Random, depth: int) -> None:
    """Gives a message some of its fields, more of those that make sense."""
    for field in message.DESCRIPTOR.fields:
        if dice.random() > (0.9 if field.name in ("call", "graph", "arguments", "wrt") else 0.35) or depth > 6:
            continue
        if field.message_type and field.message_type.name == "Call":
            _fill_call(message.call, dice)
        elif field.name == "wrt" and dice.random() < 0.7:
            message.wrt.append("w")
        elif field.is_repeated and field.message_type and field.message_type.GetOptions().map_entry:
            for _ in range(dice.choice((1, 1, 2))):
                entries, name = getattr(message, field.name), dice.choice(_TEXTS[:4])
                held = field.message_type.fields_by_name["value"].message_type
                if held and held.name == "Tensor":
                    _fill_tensor(entries[name], dice)
        elif field.message_type and field.message_type.name == "Tensor" and not field.is_repeated:
            _fill_tensor(getattr(message, field.name), dice)
        elif field.message_type:
            one = getattr(message, field.name)
            _fill(one.add() if field.is_repeated else one, dice, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(_value(field, dice) for _ in range(dice.choice((0, 1, 1, 2))))
        else:
            setattr(message, field.name, _value(field, dice))


def _value(field: FieldDescriptor, dice: random.Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            text = dice.choice(_TEXTS)
            return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
        case FieldDescriptor.CPPTYPE_BOOL:
            return dice.random() < 0.5
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return dice.choice((0.0, 1.0, -1.0, 0.1, 1e-300, 1e300, float("nan"), float("inf")))
        case FieldDescriptor.CPPTYPE_ENUM:
            return dice.choice([value.number for value in (field.enum_type.values if field.enum_type else ())] + [99])
        case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
            return abs(dice.choice(_WHOLE))
        case _:
            return dice.choice(_WHOLE)


def _fill_call(message: Any, dice: random.Random) -> None:
    """Gives a call a graph and its arguments; of the rest, now and then, anything."""
    if dice.random() < 0.2:
        _fill(message, dice, 1)
    _choose_graph(message.graph, dice)
    for given in message.graph.inline.inputs:
        tensor = message.arguments[given.name]
        if dice.random() < 0.9:
            array = np.array([dice.choice((0.5, -1.0, 2.0, 0.0, float("inf"))) for _ in range(3)])
            tensor.CopyFrom(encode_tensor(array))
        else:
            _fill_tensor(tensor, dice)


def _choose_graph(message: Any, dice: random.Random) -> None:
    if dice.random() < 0.8:
        message.inline.CopyFrom(dice.choice(_losses()))
    elif dice.random() < 0.5:
        message.inline.CopyFrom(graph_of(dice.randrange(2**32)))
    else:
        message.digest = dice.choice(_TEXTS)


def _fill_tensor(message: Any, dice: random.Random) -> None:
    message.element_type = dice.choice((5, 5, 5, 5, 4, 3, 7, 0, 99))
    message.shape.extend(dice.choice(((3,), (3,), (3,), (), (2, 3), (0,), (-1,), (2**40,))))
    count = 1
    for length in message.shape:
        count *= length
    if 0 <= count < 100 and dice.random() < 0.9:
        message.inline = dice.choice((dice.randbytes, bytes))(8 * count)
    elif dice.random() < 0.5:
        message.blob = "ab" * 32


@functools.cache
def _losses() -> list[graph_pb2.Graph]:
    texts = [
        """graph (%0 "w": f64[3]) {
  %1: f64[3] = mul %0, %0
  %2: f64[] = reduce_sum %1 {axes=[0]}
  return "loss" %2
}""",
        """graph (%0 "w": f64[3], %1 "x": f64[3]) {
  %2: f64[3] = tanh %0
  %3: f64[3] = mul %2, %1
  return "y" %3
}""",
        """graph (%0 "w": f64[n]) {
  %1: f64[n] = exp %0
  %2: f64[] = reduce_sum %1 {axes=[0]}
  return "loss" %2
}""",
    ]
    return [encode_graph(parse(text, OP_SET)) for text in texts]


@functools.cache
def _texts() -> list[str]:
    return [to_text(decode_graph(graph_pb2.Graph.FromString(data), OP_SET)) for data in seeds()[::3]]


@functools.cache
def _programs() -> list[str]:
    return [path.read_text() for path in sorted(CORPUS.glob("*.mlir"))]


@functools.cache
def _content() -> Content:
    graphs, blobs = GraphStore(1 << 24, 100), BlobStore(1 << 24, 1 << 24)
    return Content(Owned(graphs, blobs, 1000), DEFAULT_LIMITS, 1 << 20)


TARGETS: Mapping[str, Callable[[int], Outcome]] = MappingProxyType(
    {
        "graphs": try_seed,
        "bytes": try_graph_bytes,
        "requests": try_request,
        "text": try_text,
        "stablehlo": try_stablehlo,
    }
)
"""Graphs go through every pass, deriving and planning by every derivation; requests are answered, the others read."""
