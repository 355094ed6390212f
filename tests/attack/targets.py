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

from gradserve.client.importers import from_stablehlo
from gradserve.ir.check import check
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.text.printing import to_text
from gradserve.v1 import graph_pb2
from gradserve.wire import decode_graph, encode_graph
from tests.attack.bytes import garbled, mangled
from tests.attack.house import parsed
from tests.attack.messages import shaken
from tests.attack.requests import graph_message, try_reading, try_request, try_session
from tests.attack.seeds import program, seeds
from tests.attack.trial import Ended, Outcome, stage, try_seed

CORPUS = Path(__file__).parent / "corpus"
_VARIANTS = 8
"""How many inputs in a row are changes of one graph."""


def try_graph_bytes(seed: int) -> Outcome:
    """A graph's bytes with changes, decoded, checked and named."""
    dice, outcome = random.Random(seed), Outcome()
    data = _graph(seed // _VARIANTS)
    if seed % _VARIANTS and dice.random() < 0.7:
        message = graph_pb2.Graph.FromString(data)
        for _ in range(dice.choice((1, 1, 2))):
            shaken(message, dice)
        data = message.SerializeToString()
    elif seed % _VARIANTS:
        data = mangled(data, dice.choice(seeds()), dice)
    with suppress(Ended):
        with stage(outcome, "parse"):
            message = parsed(graph_pb2.Graph, data)
        with stage(outcome, "decode"):
            graph = decode_graph(message, OP_SET)
        with stage(outcome, "check"):
            assert not check(graph)
            if dice.random() < 0.25:
                assert decode_graph(encode_graph(graph, 1 << 30), OP_SET).digest == graph.digest
    return outcome


def try_text(seed: int) -> Outcome:
    """A graph's text with changes, parsed and printed."""
    dice, outcome = random.Random(seed), Outcome()
    text = garbled(_text(seed // _VARIANTS), dice.choice(_texts()), dice)
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


@functools.lru_cache(1)
def _graph(seed: int) -> bytes:
    """A graph, with changes that fit or without."""
    data: bytes = graph_message(random.Random(seed)).SerializeToString()
    return data


@functools.cache
def _texts() -> list[str]:
    return [to_text(decode_graph(graph_pb2.Graph.FromString(data), OP_SET)) for data in seeds()[::3]]


@functools.lru_cache(1)
def _text(seed: int) -> str:
    """A graph as text."""
    dice = random.Random(seed)
    return to_text(program(dice)) if dice.random() < 0.4 else dice.choice(_texts())


@functools.cache
def _programs() -> list[str]:
    return [path.read_text() for path in sorted(CORPUS.glob("*.mlir"))]


def warm() -> None:
    """Makes what all inputs are made of, so that processes forked from this one need not."""
    for made in (seeds, _texts, _programs):
        made()


TARGETS: Mapping[str, Callable[[int], Outcome]] = MappingProxyType(
    {
        "graphs": functools.partial(try_seed, most=1),
        "plans": functools.partial(try_seed, most=6, runs=False),
        "bytes": try_graph_bytes,
        "reading": try_reading,
        "requests": try_request,
        "sessions": try_session,
        "text": try_text,
        "stablehlo": try_stablehlo,
    }
)
"""Graphs go through every pass by one derivation each, plans are of some and are not run; requests and sessions are
answered, the others read."""
