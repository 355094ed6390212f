"""Memory that processes share: who can open it, what of it, and that nothing of it stays."""

import fcntl
import gc
import hmac
import mmap
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gradserve.questions.memory import SharedMemory
from gradserve.runtime.shared import HEADER, PAGE, Segment, can_open, opened

NAME = "/memfd:gradserve (deleted)"


def open_(name: SharedMemory) -> Any:
    return opened(name)


def descriptors():
    return len([*Path("/proc/self/fd").iterdir()])


def mapped():
    return Path("/proc/self/maps").read_text().count(NAME)


@pytest.fixture
def segment():
    one = Segment(3 * PAGE)
    yield one
    one.close()


def test_what_one_writes_the_other_reads(segment):
    segment.at(PAGE, 5)[:] = b"12345"
    memory = open_(segment.name(room=2 * PAGE))
    assert bytes(memory.read(PAGE, 5)) == b"12345"
    first, second = memory.room(PAGE), memory.room(7)
    assert (first[0], second[0]) == (2 * PAGE, 3 * PAGE)
    second[1][:] = b"answers"
    assert bytes(segment.at(3 * PAGE, 7)) == b"answers"
    memory.close()


def test_what_is_read_cannot_be_written_to(segment):
    memory = open_(segment.name())
    with pytest.raises(TypeError, match="read-only"):
        memory.read(PAGE, 5)[0] = 1
    memory.close()


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 1), (PAGE + 1, 1), (PAGE, 3 * PAGE + 1), (4 * PAGE, 1), (1 << 62, 8), (PAGE, 0)]
)
def test_nothing_else_is_read(segment, offset, size):
    memory = open_(segment.name())
    assert memory.read(offset, size) is None
    memory.close()


@pytest.mark.parametrize("room", [0, HEADER, PAGE + 8, 5 * PAGE, 1 << 62])
def test_nothing_is_written_outside_of_the_room(segment, room):
    memory = open_(segment.name(room))
    assert memory.room(8) is None
    memory.close()


def test_there_is_no_more_room_than_memory(segment):
    memory = open_(segment.name(2 * PAGE))
    assert memory.room(2 * PAGE + 1) is None
    assert memory.room(2 * PAGE)
    assert memory.room(1) is None
    memory.close()


def test_memory_that_its_owner_has_not_written_to_is_not_made_by_looking_at_it():
    """The size of a segment costs its owner nothing: whoever mapped all would make all."""
    one = Segment(1 << 40)
    memory = open_(one.name(room=PAGE))
    before = os.fstat(one.name().descriptor).st_blocks
    assert memory.read(PAGE, 1 << 39) is None
    assert memory.room(1 << 50) is None  # nor is there so much room
    assert os.fstat(one.name().descriptor).st_blocks == before
    one.at(PAGE, 1 << 20)[:] = b"x" * (1 << 20)
    assert bytes(memory.read(PAGE, 1 << 20)) == b"x" * (1 << 20)
    memory.close()
    one.close()


def test_memory_that_nobody_may_write_to_has_no_room(segment):
    sealed = os.memfd_create("gradserve", os.MFD_ALLOW_SEALING)
    os.write(sealed, bytes(segment.at(0, HEADER)) + bytes(3 * PAGE))
    fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
    memory = open_(replace(segment.name(room=2 * PAGE), descriptor=sealed))
    assert memory.room(8) is None
    memory.close()
    os.close(sealed)


def test_whoever_cannot_read_the_memory_cannot_name_it(segment, monkeypatch):
    guessed = replace(segment.name(), secret=b"\0" * len(segment.secret))
    assert not can_open(guessed)
    assert not can_open(replace(guessed, secret=b""))
    assert can_open(segment.name())
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: True)  # a planted fault
    assert can_open(guessed)


def test_memory_of_another_user_is_not_opened(segment, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert not can_open(segment.name())


def test_nothing_but_segments_is_opened(segment, tmp_path):
    """Neither files, with whatever they hold, nor pipes, nor devices, nor memory that could shrink."""
    contents = bytes(segment.at(0, HEADER))
    path = tmp_path / "file"
    path.write_bytes(contents + bytes(PAGE))
    plain, reader = os.open(path, os.O_RDWR), os.pipe()
    loose = os.memfd_create("gradserve", os.MFD_ALLOW_SEALING)
    os.write(loose, contents + bytes(PAGE))
    device = os.open("/dev/null", os.O_RDWR)
    for each in (plain, *reader, loose, device):
        assert not can_open(replace(segment.name(), descriptor=each)), each
    path.unlink()  # now it has no name either
    assert not can_open(replace(segment.name(), descriptor=plain))
    fcntl.fcntl(loose, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    assert can_open(replace(segment.name(), descriptor=loose))  # it was the seals alone
    for each in (plain, *reader, loose, device):
        os.close(each)


def test_a_process_or_a_file_that_is_not_there(segment):
    assert not can_open(replace(segment.name(), process=2**22 + 1))
    assert not can_open(replace(segment.name(), descriptor=2**31))


def test_a_segment_cannot_shrink(segment):
    with pytest.raises(OSError, match="not permitted"):
        os.ftruncate(segment.name().descriptor, PAGE)


def test_nothing_stays():
    gc.collect()
    files, maps = descriptors(), mapped()
    for _ in range(20):
        one = Segment(PAGE)
        memory = open_(one.name(PAGE))
        view, room = memory.read(PAGE, 8), memory.room(8)
        assert mapped() > maps
        memory.close()
        assert bytes(view) == bytes(8)  # what is looked at stays
        assert not can_open(replace(one.name(), secret=b"?"))
        del view, room
        one.close()
    gc.collect()
    assert (descriptors(), mapped()) == (files, maps)


def test_the_memory_of_a_process_that_was_killed_goes_with_it():
    program = (
        "from gradserve.runtime.shared import PAGE, Segment; s = Segment(1 << 20); n = s.name(); "
        "s.at(PAGE, 1 << 20)[:] = b'x' * (1 << 20); "
        "print(n.process, n.descriptor, n.secret.hex(), flush=True); input()"
    )
    other = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout
    process, descriptor, secret = other.stdout.readline().split()
    name = SharedMemory(int(process), int(descriptor), bytes.fromhex(secret))
    memory = open_(name)
    assert memory is not None
    view = memory.read(PAGE, 1 << 20)
    other.kill()
    other.communicate()
    assert not can_open(name)
    assert bytes(view) == b"x" * (1 << 20)  # no fault, amid a call
    memory.close()


def test_pages_are_those_of_the_machine():
    assert mmap.PAGESIZE <= PAGE
