"""Messages with too many parts are refused by their bytes; all others are left alone."""

import numpy as np
import pytest

from gradserve import wire
from gradserve.ir.errors import InvalidRequest, LimitExceeded
from gradserve.ir.limits import DEFAULT_LIMITS
from gradserve.v1 import derivative_service_pb2, graph_pb2, graph_service_pb2
from gradserve.wire import extent
from tests.attack.bytes import field, varint
from tests.attack.seeds import seeds

GRADIENT = derivative_service_pb2.GradientRequest.DESCRIPTOR
REGISTER = graph_service_pb2.RegisterGraphRequest.DESCRIPTOR


@pytest.fixture(autouse=True)
def every_size(monkeypatch):
    monkeypatch.setattr(extent, "SMALL_BYTES", -1)


def test_correct_messages_pass():
    for data in seeds():
        extent.require_parseable(field(1, data), REGISTER)
    request = derivative_service_pb2.GradientRequest(wrt=["w"], holomorphic=True)
    request.call.arguments["w"].CopyFrom(wire.encode_tensor(np.ones((300, 300))))
    request.call.options.inline_limit = -1
    extent.require_parseable(request.SerializeToString(), GRADIENT)


TOO_MANY = {
    "nodes": (DEFAULT_LIMITS.nodes + 1) * field(4, b""),
    "functions": (extent.MOST_PARTS + 1) * field(6, b""),
    "numbers": field(4, field(2, b"\0" * (extent.NUMBER_BYTES + 1))),
    "types": field(4, field(5, b"") * 300_001),
    "numbers one by one": field(4, (varint(2 << 3) + b"\0") * 1_100_000),
    "fields that nobody knows": 2_000_001 * (varint(15 << 3) + b"\0"),
    "attributes of two nodes": 2 * field(4, field(3, b"") * 200_001),
}


@pytest.mark.parametrize("name", TOO_MANY)
def test_too_many_parts_are_refused(name):
    with pytest.raises(LimitExceeded) as refused:
        extent.require_parseable(field(1, TOO_MANY[name]), REGISTER)
    assert refused.value.limit == ("graph_nodes" if name == "nodes" else "message_parts")


@pytest.mark.parametrize("parts", [[b""], [b"\x12\x02\x00\x00"], [b"", b"\x08\x01"]], ids=["empty", "alike", "in turn"])
@pytest.mark.parametrize("count", [100_001, 333_333])
def test_how_many_nodes_there_are_is_told(parts, count):
    nodes = [field(4, part) for part in parts]
    data = b"".join(nodes) * (count // len(nodes)) + nodes[0] * (count % len(nodes))
    with pytest.raises(LimitExceeded, match=f"{count};"):
        extent.require_parseable(field(1, data), REGISTER)


def test_a_flood_of_nodes_alike_is_told_whole():
    with pytest.raises(LimitExceeded, match="4000000;") as refused:
        extent.require_parseable(field(1, field(4, b"") * 4_000_000), REGISTER)
    assert refused.value.limit == "graph_nodes"


@pytest.mark.parametrize("copies", [1, 2, 3, 7, 8, 9, 1000, 700_001])
@pytest.mark.parametrize("after", [b"", b"ab", b"abd", b"xabcabc"])
def test_copies_are_those_one_behind_the_other(copies, after):
    data = b"<" + b"abc" * copies + after
    assert extent._copies(data, 1, 4, len(data)) == copies
    assert extent._copies(data, 1, 4, len(data) - len(after) - 1) == max(1, copies - 1)  # of which the end is not ours


def test_as_many_as_may_be_pass():
    extent.require_parseable(field(1, DEFAULT_LIMITS.nodes * field(4, b"")), REGISTER)
    extent.require_parseable(field(1, field(3, field(3, bytes(9 << 20)))), REGISTER)  # one array
    extent.require_parseable(100_000 * (varint(15 << 3) + b"\0"), REGISTER)  # of a client of a later version


@pytest.mark.parametrize(
    "data", [b"\x0a", b"\x0a\x80", b"\x80", b"\xff" * 12, b"\x0b", b"\x0a\x05\x22\xff\xff", b"\x08\xff"]
)
def test_what_is_cut_off_is_refused_or_left_to_the_parser(data):
    try:
        extent.require_parseable(data, REGISTER)
    except InvalidRequest:
        return
    with pytest.raises(Exception, match="pars"):
        graph_service_pb2.RegisterGraphRequest.FromString(data)


def test_nesting_is_bounded():
    nested = b""
    for _ in range(200):
        nested = field(6, nested)
    with pytest.raises(InvalidRequest, match="nested"):
        extent.require_parseable(field(1, nested), REGISTER)
    assert graph_pb2.Graph.DESCRIPTOR
