"""The folder of a Ray cluster of our own: ours alone, and with a name that is short enough for Ray's sockets."""

import os
import stat
import tempfile

import pytest

from gradserve.pools.ray import local_head
from gradserve.runtime.folders import WRITING, require_kept, require_own


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Has a folder stand for the system's; answers its setter."""
    monkeypatch.setattr(local_head, "_LONGEST", 1000)

    def put(folder=tmp_path):
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        return folder

    return put


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_it_is_for_its_user_alone(temporary, umask):
    temporary()
    before = os.umask(umask)
    try:
        made = local_head._own_folder()
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    require_own(made)


def test_what_others_have_or_may_enter_is_refused(temporary, monkeypatch, tmp_path):
    tmp_path.chmod(0o750)
    require_own(tmp_path, WRITING)
    with pytest.raises(OSError, match="is open to other users; close it by chmod 700"):
        require_own(tmp_path)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    temporary()
    with pytest.raises(
        OSError, match=r"no Ray cluster can be started: .* belongs to user .* serve with --no-ray"
    ) as told:
        local_head._own_folder()
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_which_others_may_rename_ours_is_refused(temporary, tmp_path):
    temporary()
    tmp_path.chmod(0o777)
    with pytest.raises(OSError, match="lets other users rename what is ours"):
        local_head._own_folder()
    assert list(tmp_path.iterdir()) == []
    tmp_path.chmod(0o1777)  # as that of the system is
    require_kept(tmp_path)
    assert local_head._own_folder().parent == tmp_path


def test_a_long_name_is_left_for_a_short_one(tmp_path, monkeypatch):
    long = tmp_path / ("l" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    made = local_head._own_folder()
    assert made.parent == local_head._SHORT
    assert len(os.fsencode(made)) + len(local_head._NAME) - len(f"/{made.name}") <= 107
    made.rmdir()
    monkeypatch.setattr(local_head, "_SHORT", tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"names of Ray's sockets would be too long.*serve with --no-ray"):
        local_head._own_folder()
