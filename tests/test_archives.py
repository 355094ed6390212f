"""Archives are unpacked by every Python that is promised."""

import io
import tarfile

import pytest

from tests.archives import unpack


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "made.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name in ("p-1/tests/a.py", "p-1/b.py"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            made.addfile(member, io.BytesIO(name.encode()))
    return path


def plain(self, path=".", members=None, *, numeric_owner=False):
    """As Python 3.11.0 has it."""
    for member in members or self:
        self._extract_member(member, f"{path}/{member.name}")


@pytest.mark.parametrize("early", [False, True])
def test_what_lies_below_a_name_is_unpacked(archive, tmp_path, monkeypatch, early):
    if early:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
        monkeypatch.setattr(tarfile.TarFile, "extractall", plain)
    unpack(archive, tmp_path / "found", "p-1/tests/")
    assert [p.name for p in (tmp_path / "found").rglob("*") if p.is_file()] == ["a.py"]
    assert (tmp_path / "found/p-1/tests/a.py").read_text() == "p-1/tests/a.py"
