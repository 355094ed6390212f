"""A lane by itself, with a thread at its other end: packets, their order, and what becomes of them when it ends."""

import stat
import threading
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from gradserve.ir.types import ElementType
from gradserve.pools.ray.lane import PACKET_BYTES, Door, LaneEndedError, knock
from gradserve.pools.ray.messages import ChunkCall
from gradserve.pools.ray.packets import packed, unpacked
from gradserve.pools.replies import Done
from gradserve.pools.work import Constant, OneHots, Shared, Signs, Source


def lane_to(answer):
    """A lane to a thread that answers."""
    door = Door()
    knock(door.path, answer)
    lane = door.admit("a lane of a test")
    door.close()
    assert lane is not None
    return lane


def test_replies_come_back_to_the_packets_of_many_threads():
    lane = lane_to(lambda packet: packet + b"!")
    found = {}

    def call(k):
        found[k] = [lane.send(b"%d %d" % (k, n)).result(20) for n in range(200)]

    threads = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: [b"%d %d!" % (k, n) for n in range(200)] for k in range(4)}
    lane.close()


def test_nobody_waits_for_a_worker_that_does_not_read():
    go = threading.Event()

    def answer(packet):
        go.wait(20)
        return packet[:8]

    lane, sent = lane_to(answer), list[Future[bytes]]()
    assert lane.send(bytes(PACKET_BYTES + 1)) is None
    while (future := lane.send(b"%08d" % len(sent) + bytes(PACKET_BYTES - 8))) is not None:
        sent.append(future)
    assert len(sent) >= 2  # as many as a worker is given at a time
    go.set()
    assert [future.result(20) for future in sent] == [b"%08d" % k for k in range(len(sent))]
    lane.close()


def test_what_is_awaited_ends_with_the_lane():
    def end(packet):
        if packet == b"end":
            raise OSError
        return packet

    lane = lane_to(end)
    assert lane.send(b"once").result(20) == b"once"
    ended, behind = lane.send(b"end"), lane.send(b"behind")
    with pytest.raises(LaneEndedError):
        ended.result(20)
    if behind is not None:
        with pytest.raises(LaneEndedError):
            behind.result(20)
    assert lane.send(b"late") is None
    lane.close()


def test_closing_ends_what_is_awaited():
    go = threading.Event()
    lane = lane_to(lambda packet: packet if go.wait(20) else b"")
    future = lane.send(b"never")
    lane.close()
    with pytest.raises(LaneEndedError):
        future.result(20)
    assert lane.send(b"late") is None
    go.set()


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_door_is_the_users_own_and_leaves_nothing():
    before = open_files()
    door = Door()
    folder = Path(door.path).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert door.admit("nobody") is None
    door.close()
    door.close()
    assert door.admit("too late") is None
    assert not folder.exists()
    with pytest.raises(OSError, match="No such file"):
        knock(door.path, bytes)
    assert open_files() <= before


ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    np.arange(10.0)[::3],
    np.array(1 + 2j),
    np.zeros((0, 3), np.float32),
    np.array([True, False]),
    np.array([np.nan, -0.0, np.inf]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda x: f"{x.dtype} {x.shape}")
def test_arrays_keep_their_bits_and_their_order(array):
    found = unpacked(packed(Done({"y": array}, 1.0))).outputs["y"]
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert found.flags.f_contiguous == array.flags.f_contiguous or not array.flags.forc
    assert found.flags.aligned
    assert not found.flags.writeable


def test_calls_are_what_they_were():
    arguments: dict[str, Source] = {
        "a": Shared("k"),
        "b": Constant("c"),
        "c": OneHots(0, 2, 1, (3,), ElementType.FLOAT64),
        "d": Signs(5, "trace", 0, 8, (3,), ElementType.FLOAT32),
    }
    call = ChunkCall(7, "digest", "numpy", None, arguments, {})
    assert unpacked(packed((call, None))) == (call, None)
