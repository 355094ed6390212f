"""Requests of every method: with all that they must have, about graphs of all kinds, and with a few changes."""

import functools
import hashlib
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType
from gradserve.ops import OP_SET
from gradserve.questions.asked import QUESTIONS
from gradserve.text.parsing import parse
from gradserve.v1 import graph_pb2, stream_token_pb2
from gradserve.wire import encode_graph, encode_tensor
from gradserve.wire.methods import new_request, request_class
from tests.attack.bytes import mangled
from tests.attack.house import House, Rpc
from tests.attack.messages import TEXTS, shaken, value
from tests.attack.mutate import mutated
from tests.attack.seeds import program, seeds
from tests.attack.trial import Ended, Outcome, given, numbers, stage

METHODS = sorted(QUESTIONS)
_VARIANTS = 4
"""How many inputs in a row are changes of one request."""
_OF_SESSIONS = ("RegisterGraph", "RegisterGraph", "CheckGraph", "GetGraph", "FindMissingBlobs",
                "WriteBlob", "WriteBlob", "ReadBlob", "StreamGradient", "Gradient", "Evaluate")  # fmt: skip
_RARE = 0.05
"""How often a field is given that a request need not have."""


def try_request(seed: int) -> Outcome:
    """A request of any method that asks a question, perhaps with changes, answered; a stream's token is sent again."""
    dice, outcome = random.Random(seed), Outcome()
    method, sound = _sound(seed // _VARIANTS)
    kind: Any = request_class(method)
    data = changed(kind, sound, dice) if seed % _VARIANTS else sound
    house = _house()
    with suppress(Ended):
        replies = house.meet(method, [data], outcome)
        token = getattr(replies[-1], "token", b"") if replies else b""
        if token:
            again = kind.FromString(data)
            again.resume = changed(stream_token_pb2.StreamToken, token, dice) if dice.random() < 0.8 else token
            house.meet(method, [again.SerializeToString()], outcome)
    return outcome


def try_reading(seed: int) -> Outcome:
    """A request of any method that asks a question, with changes, read and no more."""
    dice, outcome = random.Random(seed), Outcome()
    method, sound = _sound(seed // 16)
    with suppress(Ended), stage(outcome, f"read {method}"):
        _house().content.question(method, changed(request_class(method), sound, dice), Rpc(method))
    return outcome


def try_session(seed: int) -> Outcome:
    """Several calls after each other that register and get graphs, write and read blobs, and stream gradients."""
    dice, outcome, house = random.Random(seed), Outcome(), House()
    known = [digest for _ in range(2) if (digest := dice.choice(TEXTS))]
    for _ in range(dice.choice((2, 3, 5))):
        method = dice.choice(_OF_SESSIONS)
        messages = [changed(request_class(method), m.SerializeToString(), dice) if dice.random() < 0.4
                    else m.SerializeToString() for m in _calls(method, known, dice)]  # fmt: skip
        with suppress(Ended):
            for reply in house.meet(method, messages, outcome):
                known += [reply.digest] if getattr(reply, "digest", "") else []
    return outcome


def changed(kind: Any, data: bytes, dice: random.Random) -> bytes:
    """The bytes of a message with one to three changes of fields, or of bytes."""
    if dice.random() < 0.25:
        return mangled(data, data[::-1], dice)
    message = kind.FromString(data)
    for _ in range(dice.choice((1, 1, 2, 3))):
        shaken(message, dice)
    found: bytes = message.SerializeToString()
    return found


@functools.lru_cache(4)
def _sound(seed: int) -> tuple[str, bytes]:
    """A method and a request of it that has all that it must have."""
    dice = random.Random(seed)
    method = dice.choice(METHODS)
    request = new_request(method)
    graph = dice.choice(_graphs()) if dice.random() < 0.5 else program(dice)
    asked = request
    if method == "ExplainGraph":
        asked = getattr(request, dice.choice([field.name for field in request.DESCRIPTOR.fields]))
    asked_of(asked, graph, dice)
    data: bytes = request.SerializeToString()
    return method, data


def asked_of(message: Any, graph: Graph, dice: random.Random) -> None:
    """Fills a request about a graph in."""
    types = {i.name: given(i.type, dice) for i in graph.inputs}
    real = [name for name, type_ in types.items() if type_.is_float]
    wrt = real if dice.random() < 0.7 else real[:1]
    known = {field.name for field in message.DESCRIPTOR.fields}
    points = () if known.isdisjoint(_OF_MANY_POINTS) or dice.random() < 0.8 else (2,)
    _call(message.call, graph, types, points, dice)
    for field in message.DESCRIPTOR.fields:
        name = field.name
        if name == "wrt":
            message.wrt.extend(wrt)
        elif name in ("tangents", "direction", "right"):
            for each in wrt if name != "tangents" or "claimed" not in known else ():
                _fill(getattr(message, name)[each], _leading(points, types[each]), dice)
        elif name == "cotangents":
            for output, type_ in graph.output_types.items():
                _fill(message.cotangents[output], _leading(points, given(type_, dice)), dice)
        elif name == "loss" and dice.random() < 0.5:
            message.loss = graph.outputs[0].name
        elif name == "order":
            message.order = dice.choice((1, 2, 5, 10) if "direction" in known else (1, 2))
        elif name in ("count", "directions", "max_probes", "max_products", "steps"):
            setattr(message, name, dice.choice((2, 3, 5, 10)))
        elif not field.message_type and dice.random() < _RARE:
            if field.is_repeated:
                getattr(message, name).append(value(field, dice))
            else:
                setattr(message, name, value(field, dice))


_OF_MANY_POINTS = ("holomorphic", "tangents", "cotangents")
"""Fields of requests that take batches."""


def _leading(points: tuple[int, ...], type_: TensorType) -> TensorType:
    return type_.with_shape((*points, *type_.shape))


def _call(
    call: Any, graph: Graph, types: Mapping[str, TensorType], points: tuple[int, ...], dice: random.Random
) -> None:
    call.graph.inline.CopyFrom(encode_graph(graph))
    if points:
        call.batch.inputs.extend(types)
        call.batch.reduction = dice.randrange(4)
    for name, type_ in types.items():
        _fill(call.arguments[name], _leading(points, type_), dice)
    if dice.random() < _RARE:
        call.options.executor = dice.choice(("numpy", "fused", "xla"))
    if dice.random() < _RARE:
        call.options.kinks = dice.randrange(4)
    if dice.random() < _RARE:
        call.options.count_kinks = True


def _fill(tensor: Any, type_: TensorType, dice: random.Random) -> None:
    array = numbers(type_, np.random.default_rng(dice.randrange(2**32)), dice.random() < 0.4)
    tensor.CopyFrom(encode_tensor(array))


def _calls(method: str, known: list[str], dice: random.Random) -> list[Any]:
    """The messages of one call of a session."""
    request = new_request(method)
    digest = dice.choice(known) if known else "ab" * 32
    match method:
        case "RegisterGraph" | "CheckGraph":
            request.graph.CopyFrom(graph_message(dice))
        case "GetGraph":
            request.digest = digest
        case "FindMissingBlobs":
            request.digests.extend([digest, *known][:5])
        case "WriteBlob":
            return _chunks(dice)
        case "ReadBlob":
            request.digest, request.offset = digest, dice.choice((0, 0, 1, 100, -1, 2**63 - 1))
        case _:
            graph = dice.choice(_graphs())
            if method == "StreamGradient":
                return _stream(graph, dice)
            asked_of(request, graph, dice)
            if dice.random() < 0.7:
                request.call.graph.digest = digest
    return [request]


def _chunks(dice: random.Random) -> list[Any]:
    data = dice.choice((b"", bytes(24), bytes(range(80))))
    digest = hashlib.sha256(data).hexdigest()
    cut = dice.choice((0, 1, len(data) // 2, len(data)))
    pieces = [(0, data[:cut]), (cut, data[cut:])]
    if dice.random() < 0.3:
        pieces = [(offset + dice.choice(_SHIFTS), piece) for offset, piece in pieces]
    size = len(data) if dice.random() < 0.8 else dice.choice((0, 1, 2**40, -1, 2**63 - 1))
    return [_chunk(digest, size, offset, piece) for offset, piece in pieces]


_SHIFTS = (0, 0, 1, -1, 2**62)


def _chunk(digest: str, size: int, offset: int, piece: bytes) -> Any:
    message = new_request("WriteBlob")
    message.digest, message.size, message.offset, message.data = digest, size, offset, piece
    return message


def _stream(graph: Graph, dice: random.Random) -> list[Any]:
    """A stream's messages: what is asked, and points."""
    types = {i.name: given(i.type, dice) for i in graph.inputs}
    moving = [name for name in types if dice.random() < 0.7]
    first = new_request("StreamGradient")
    first.call.graph.inline.CopyFrom(encode_graph(graph))
    first.wrt.extend(name for name, type_ in types.items() if type_.is_float)
    for name in types:
        if name not in moving:
            _fill(first.call.arguments[name], types[name], dice)
    messages = [first]
    for k in range(dice.randrange(4)):
        message = new_request("StreamGradient")
        message.id, message.points = k, dice.choice((1, 1, 2, 3, 0, 2**32 - 1))
        for name in moving:
            shape = (message.points, *types[name].shape) if 1 < message.points < 9 else types[name].shape
            _fill(message.arguments[name], types[name].with_shape(shape), dice)
        messages.append(message)
    return messages


def graph_message(dice: random.Random) -> graph_pb2.Graph:
    """A graph with changes or without."""
    message = graph_pb2.Graph.FromString(dice.choice(seeds())) if dice.random() < 0.5 else encode_graph(program(dice))
    return mutated(message, dice) if dice.random() < 0.6 else message


@functools.cache
def _graphs() -> list[Graph]:
    texts = [
        """graph (%0 "w": f64[3]) {
  %1: f64[3] = mul %0, %0
  %2: f64[] = reduce_sum %1 {axes=[0]}
  return "loss" %2
}""",
        """graph (%0 "w": f64[3], %1 "x": f64[3]) {
  %2: f64[3] = tanh %0
  %3: f64[3] = mul %2, %1
  %4: f64[] = reduce_sum %3 {axes=[0]}
  return "y" %3, "loss" %4
}""",
        """graph (%0 "w": f64[n]) {
  %1: f64[n] = exp %0
  %2: f64[] = reduce_sum %1 {axes=[0]}
  return "loss" %2
}""",
        """graph (%0 "w": c128[3]) {
  %1: f64[3] = abs %0
  %2: f64[] = reduce_max %1 {axes=[0]}
  return "loss" %2
}""",
    ]
    return [parse(text, OP_SET) for text in texts]


@functools.cache
def _house() -> House:
    return House()
