"""Files that change while they are watched."""

import gc
import threading

import pytest

from gradserve.service.identity import watched
from gradserve.service.identity.watched import Watched
from tests.service.test_identity import until


def threads(path):
    return [thread for thread in threading.enumerate() if thread.name == f"watch {path}"]


def test_what_a_file_says_now_or_said_last(tmp_path, monkeypatch):
    monkeypatch.setattr(watched, "LOOK_SECONDS", 0.02)
    file = tmp_path / "number"
    file.write_text("1")
    number = Watched((file,), lambda: int(file.read_text()))
    assert number.value == 1
    file.write_text("22")
    until(lambda: number.value == 22)
    for write in (lambda: file.write_text("many"), file.unlink):
        write()
        number.renew()
        assert number.value == 22
    file.write_text("333")
    until(lambda: number.value == 333)


def test_who_watches_ends_with_what_is_watched(tmp_path, monkeypatch):
    monkeypatch.setattr(watched, "LOOK_SECONDS", 0.02)
    file = tmp_path / "text"
    file.write_text("x")
    text = Watched((file,), file.read_text)
    assert len(threads(file)) == 1
    assert text.value == "x"
    del text
    gc.collect()
    until(lambda: not threads(file))


def test_what_cannot_be_read_at_first_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        Watched((tmp_path / "none",), (tmp_path / "none").read_text)
