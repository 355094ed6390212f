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


def test_what_could_not_be_read_is_tried_again_and_told_once(tmp_path, monkeypatch, caplog):
    """As where there was no file descriptor left at the moment: the file does not change again."""
    monkeypatch.setattr(watched, "LOOK_SECONDS", 60.0)
    file, fails = tmp_path / "text", [0, 1, 1, 1, 0]
    file.write_text("old")

    def read():
        if fails.pop(0):
            raise OSError("too many open files")
        return file.read_text()

    text = Watched((file,), read)
    file.write_text("newer")
    for _ in range(3):
        text.renew()
        assert text.value == "old"
    text.renew()
    assert text.value == "newer"
    assert caplog.text.count("too many open files") == 1
    text.renew()  # which looks alone
    assert fails == []


def test_links_that_are_turned_to_another_folder(tmp_path):
    """As Kubernetes renews secrets: one link is replaced, and no file changes."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text").write_text(name)
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "text").symlink_to("..data/text")
    text = Watched((tmp_path / "text",), (tmp_path / "text").read_text)
    assert text.value == "one"
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").rename(tmp_path / "..data")
    text.renew()
    assert text.value == "two"
