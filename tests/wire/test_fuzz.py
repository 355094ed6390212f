"""Whatever bytes or letters come, the answer is a graph or one of our own errors, and it comes soon."""

import random
import time

from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from gradserve.ir.check import check
from gradserve.ir.errors import GradserveError, InvalidGraph
from gradserve.ir.graph import Graph
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.text.printing import to_text
from gradserve.v1 import graph_pb2
from gradserve.wire import decode_graph, encode_graph
from tests.ir.strategies import graphs

SMALL = settings(max_examples=60)
SEEDS = st.integers(0, 2**32)
VARIANTS = 12
SECONDS = 2.0


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The bytes with a few changed, left out, put in or said twice."""
    result = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(result) + 1)
        length = dice.randint(1, 4)
        change = dice.randrange(4)
        if change == 0:
            result[at : at + length] = dice.randbytes(length)
        elif change == 1:
            del result[at : at + length]
        elif change == 2:
            result[at:at] = dice.randbytes(length)
        else:
            start = dice.randrange(len(result) + 1)
            result[at:at] = result[start : start + dice.randint(1, 40)]
    return bytes(result)


def decoded(wire: bytes) -> Graph | None:
    try:
        return decode_graph(graph_pb2.Graph.FromString(wire), OP_SET)
    except (GradserveError, DecodeError):
        return None


def parsed(text: str) -> Graph | InvalidGraph:
    try:
        return parse(text, OP_SET)
    except InvalidGraph as refusal:
        return refusal


@SMALL
@given(graphs(internal=False), SEEDS)
def test_mutated_bytes_give_a_correct_graph_or_a_refusal(graph, seed):
    dice = random.Random(seed)
    wire = encode_graph(graph).SerializeToString()
    for _ in range(VARIANTS):
        started = time.perf_counter()
        survivor = decoded(mutated(wire, dice))
        assert time.perf_counter() - started < SECONDS
        if survivor is not None:
            # What decoding let through is correct for every reader after it.
            assert check(survivor) == []
            assert decoded(encode_graph(survivor).SerializeToString()) == survivor
            assert parse(to_text(survivor), OP_SET).digest == survivor.digest


@SMALL
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(wire):
    decoded(wire)


@SMALL
@given(graphs(), SEEDS)
def test_mutated_text_gives_a_correct_graph_or_a_refusal(graph, seed):
    dice = random.Random(seed)
    text = to_text(graph).encode()
    for _ in range(VARIANTS):
        survivor = parsed(mutated(text, dice).decode("utf-8", "replace"))
        if isinstance(survivor, Graph):
            assert check(survivor, derived=True) == []
        else:
            assert all(violation.field.startswith("line ") for violation in survivor.violations)


@SMALL
@given(st.text('%0123 \n:=,.-einfa()[]{}"#\\graphetunconstblb', max_size=120))
def test_random_text_is_refused_or_read(text):
    read = parsed('graph (%0 "x": f64[]) {\n' + text)
    assert isinstance(read, Graph) or read.violations
