"""What is kept between calls, and what is forgotten first."""

import hashlib
import threading

import pytest

from gradserve.ir.errors import BlobNotFound, GraphNotRegistered, InvalidRequest, LimitExceeded
from gradserve.ops import OP_SET
from gradserve.service.storage import uploads
from gradserve.service.storage.store import BlobStore, GraphStore, size_of
from gradserve.text.parsing import parse
from tests.service.support import QUADRATIC


def digest(data):
    return hashlib.sha256(data).hexdigest()


def write(blobs, data, chunk=10):
    name = digest(data)
    whole = blobs.begin(name, len(data))
    for offset in range(0, len(data), chunk):
        whole = blobs.append(name, offset, data[offset : offset + chunk])
    assert whole
    return name


def graph(scale):
    text = f'graph (%0 "w": f64[]) {{\n  %1: f64[] = constant {scale}.0\n  %2: f64[] = mul %0, %1\n  return "y" %2\n}}'
    return parse(text, OP_SET)


def test_graphs_by_digest():
    graphs = GraphStore(1 << 20, 10)
    kept = graph(1)
    graphs.put(kept.digest, kept)
    assert graphs.get(kept.digest) is kept
    assert graphs.find("0" * 64) is None
    with pytest.raises(GraphNotRegistered, match="register"):
        graphs.get("0" * 64)


def test_graphs_are_bounded_by_count():
    graphs = GraphStore(1 << 30, 3)
    for scale in range(5):
        graphs.put(str(scale), graph(scale))
    assert len(graphs) == 3
    assert graphs.find("1") is None
    assert graphs.find("4") is not None


def test_graphs_are_bounded_by_bytes():
    graphs = GraphStore(3 * size_of(graph(0)), 1000)
    for scale in range(5):
        graphs.put(str(scale), graph(scale))
    assert len(graphs) == 3


def test_size_of_a_graph_counts_its_constants():
    assert size_of(graph(1)) > size_of(parse(QUADRATIC, OP_SET)) - 10_000


def test_blobs_by_digest():
    blobs = BlobStore(1000, 100)
    name = write(blobs, b"hello")
    assert blobs.read(name) == b"hello"
    assert blobs.offset(name) is None
    assert blobs.held_bytes == 5
    with pytest.raises(BlobNotFound):
        blobs.read("0" * 64)


def test_empty_blob():
    blobs = BlobStore(1000, 100)
    assert blobs.begin(digest(b""), 0)
    assert blobs.read(digest(b"")) == b""


def test_write_goes_on_where_it_broke_off():
    blobs, data = BlobStore(1000, 100), b"0123456789abcdef"
    name = digest(data)
    blobs.begin(name, 16)
    blobs.append(name, 0, data[:6])
    assert blobs.offset(name) == 6
    assert not blobs.begin(name, 16)
    assert blobs.append(name, 6, data[6:])
    assert blobs.read(name) == data


def test_two_writers_of_one_blob_help_each_other():
    blobs, data = BlobStore(1 << 20, 1 << 20), bytes(range(256)) * 100
    threads = [threading.Thread(target=write, args=(blobs, data, size)) for size in (100, 333, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert blobs.read(digest(data)) == data
    assert blobs.held_bytes == len(data)


def test_gap_is_refused():
    blobs = BlobStore(1000, 100)
    blobs.begin("0" * 64, 16)
    with pytest.raises(InvalidRequest, match="next byte wanted is 0"):
        blobs.append("0" * 64, 5, b"x")


def test_bytes_beyond_the_end_are_refused():
    blobs = BlobStore(1000, 100)
    blobs.begin("0" * 64, 4)
    with pytest.raises(InvalidRequest, match="ends at 5"):
        blobs.append("0" * 64, 0, b"12345")


def test_corrupt_blob_is_refused_and_forgotten():
    blobs, name = BlobStore(1000, 100), digest(b"right")
    blobs.begin(name, 5)
    with pytest.raises(InvalidRequest, match=digest(b"wrong")):
        blobs.append(name, 0, b"wrong")
    assert (blobs.offset(name), blobs.held_bytes, blobs.get(name)) == (0, 0, None)
    assert write(blobs, b"right") == name


def test_another_length_is_refused():
    blobs = BlobStore(1000, 100)
    blobs.begin("0" * 64, 16)
    with pytest.raises(InvalidRequest, match="length"):
        blobs.begin("0" * 64, 17)


def test_blob_over_the_limit_is_refused_before_its_bytes():
    blobs = BlobStore(1000, 100)
    with pytest.raises(LimitExceeded) as refused:
        blobs.begin("0" * 64, 101)
    assert refused.value.limit == "max_blob_bytes"
    with pytest.raises(LimitExceeded):
        blobs.put("0" * 64, bytes(101))


def test_least_recently_used_blob_is_forgotten_first():
    blobs = BlobStore(100, 100)
    first, second = (write(blobs, bytes([k]) * 40, 40) for k in (1, 2))
    blobs.get(first)
    third = write(blobs, b"3" * 40, 40)
    assert blobs.get(second) is None
    assert blobs.get(first)
    assert blobs.get(third)
    assert blobs.held_bytes == 80


def test_announced_bytes_take_no_memory():
    blobs = BlobStore(100, 100)
    kept = write(blobs, b"1" * 90, 90)
    blobs.begin("0" * 64, 100)
    assert blobs.get(kept)
    assert blobs.held_bytes == 90


def test_writes_under_way_are_bounded_too():
    blobs = BlobStore(100, 100)
    for digit in "123":
        blobs.begin(digit * 64, 90)
        blobs.append(digit * 64, 0, b"x" * 60)
    assert blobs.held_bytes == 60
    assert [blobs.offset(digit * 64) for digit in "123"] == [0, 0, 60]


def test_write_longest_without_a_byte_makes_place_for_one_too_many(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_PARTIAL", 3)
    blobs = BlobStore(1000, 100)
    for digit in "1234":
        blobs.begin(digit * 64, 50)
        blobs.append(digit * 64, 0, b"x")
    assert [blobs.offset(digit * 64) for digit in "1234"] == [0, 1, 1, 1]


def test_broken_off_write_is_forgotten_in_the_end(monkeypatch):
    blobs = BlobStore(1000, 100)
    blobs.begin("1" * 64, 50)
    blobs.append("1" * 64, 0, b"x")
    monkeypatch.setattr(uploads, "PARTIAL_SECONDS", -1.0)
    assert blobs.offset("1" * 64) == 0
    assert blobs.held_bytes == 0
