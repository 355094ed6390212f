"""The Dockerfile, its lock files and what of a checkout reaches a build. Nothing is built here; see test_image.py."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gradserve.service.configuration.command_line import settings_of
from gradserve.service.configuration.settings import Settings
from tests.deploy.images import DOCKERFILE, ROOT, TARGETS
from tests.deploy.locks import locked

pytestmark = pytest.mark.deploy

FOLDER = DOCKERFILE.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = locked(FOLDER / "requirements.txt")
BUILD = locked(FOLDER / "requirements-build.txt")
NEEDED = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["service"]]


# ---- the Dockerfile


def hadolint(dockerfile: str) -> str:
    """What hadolint finds wrong."""
    command = [str(Path(sys.executable).parent / "hadolint"), "--no-color", "-"]
    done = subprocess.run(command, input=dockerfile, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_hadolint_has_no_complaint() -> None:
    assert hadolint(DOCKERFILE.read_text()) == ""


def test_hadolint_would_complain() -> None:
    """Planted faults: an image without a tag, and a shell between us and SIGTERM."""
    said = hadolint("FROM debian\nENTRYPOINT gradserve serve\n")
    assert "DL3006" in said
    assert "DL3025" in said


def words(instruction: str) -> list[str]:
    """The lines of one instruction, continued lines joined, without its name."""
    joined = DOCKERFILE.read_text().replace("\\\n", " ")
    return re.findall(rf"^\s*{instruction}\s+(.*)$", joined, re.MULTILINE)


def test_stages() -> None:
    stages = [line.split(" AS ") for line in words("FROM")]
    assert words("ARG")[0] == "BASE=docker.io/library/python:3.11-slim-bookworm"
    assert {target for parent, target in stages if parent == "runtime"} == set(TARGETS)
    assert {parent for parent, _ in stages} == {"${BASE}", "dependencies", "runtime"}


def test_it_serves_where_its_ports_are() -> None:
    service = DOCKERFILE.read_text().split("FROM runtime AS service")[1]
    (command,) = re.findall(r"^CMD (\[.*\])$", service, re.MULTILINE)
    settings = settings_of(re.findall(r'"([^"]+)"', command)[1:])
    assert settings.host == "0.0.0.0"
    port = settings.address.rpartition(":")[2]
    assert f"EXPOSE {port} {Settings().metrics_port}" in service
    assert f'CMD ["gradserve", "ping", "--address", "127.0.0.1:{port}"]' in service


# ---- the lock files


def unmet(requirements: list[str], versions: Mapping[str, str]) -> list[str]:
    """The requirements that the locked versions do not meet."""
    parsed = map(Requirement, requirements)
    return [
        str(r)
        for r in parsed
        if not r.specifier.contains(versions.get(canonicalize_name(r.name), "0"), prereleases=True)
    ]


def test_locks_meet_what_the_project_needs() -> None:
    assert unmet(NEEDED, RUNTIME) == []
    assert unmet(PROJECT["build-system"]["requires"], BUILD) == []


def test_unmet_requirements_are_seen() -> None:
    """Planted faults: a package that is not locked, and a version that is too old."""
    assert unmet(["absent>=1", "numpy>=1000", "grpcio"], RUNTIME) == ["absent>=1", "numpy>=1000"]


def test_packages_of_one_family_have_one_version() -> None:
    family = {name: version for name, version in RUNTIME.items() if name.startswith("grpcio")}
    assert len(family) == 4
    assert len(set(family.values())) == 1


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example/simple",
        "six==1.17.0",
        "six>=1 --hash=sha256:" + "0" * 64,
        "six @ file:///wheels/six.whl --hash=sha256:" + "0" * 64,
        "six==1.17.0 --hash=md5:" + "0" * 32,
    ],
)
def test_only_pins_with_hashes_are_locks(line: str, tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"# by hand\nnumpy==2.0 \\\n    --hash=sha256:{'1' * 64}\n    # via us\n{line}\n")
    with pytest.raises(ValueError, match="no pin with hashes"):
        locked(path)
    path.write_text(path.read_text().replace(line, ""))
    assert locked(path) == {"numpy": "2.0"}


def test_only_hashed_packages_are_installed() -> None:
    installs = [step for line in words("RUN") for step in re.findall(r"pip\S*\s[^&]*install[^&]*", line)]
    assert len(installs) == 3
    for step in installs:
        assert "--require-hashes -r requirements" in step or "--no-index" in step


# ---- what reaches a build

SECRET_OR_USELESS = (
    *(".env", ".git/config", ".venv/pyvenv.cfg", ".tools/helm", "notes.md", "tests/conftest.py", "node_modules/x.js"),
    *("service/.env", "service/gradserve/service/server.key", "workers/tls/chain.pem", "deploy/docker/compose.yaml"),
    *("deploy/helm/gradserve/values.yaml", "workers/gradserve/ir/__pycache__/graph.cpython-311.pyc"),
    *("proto/gradserve/v1/graph_pb2.py", "proto/gradserve/v1/graph_pb2.pyi", "proto/gradserve/v1/py.typed"),
    *("proto/gradserve/v1/graph_service_pb2_grpc.py", "clients/node/package.json", "proto/.mypy_cache/x.json"),
)
NEEDED_FILES = (
    *("pyproject.toml", "README.md", "LICENSE", "proto/generate.py", "proto/gradserve/v1/graph.proto"),
    *("workers/gradserve/ir/graph.py", "workers/gradserve/ir/py.typed", "service/gradserve/service/server.py"),
    *("clients/python/gradserve/client/client.py", "deploy/docker/requirements.txt"),
    "deploy/docker/requirements-build.txt",
)
ALWAYS_SENT = {".dockerignore", "deploy/docker/Dockerfile"}


def sent(folder: Path, rules: str) -> set[str]:
    """The files below a folder that Docker's own rules send to a build."""
    lines = [line for line in rules.splitlines() if line and not line.startswith("#")]
    found = exclude_paths(str(folder), lines, "deploy/docker/Dockerfile")
    return {path for path in found if (folder / path).is_file()}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with all that one may hold."""
    for name in (*SECRET_OR_USELESS, *NEEDED_FILES, *ALWAYS_SENT):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_only_what_is_needed_is_sent(checkout: Path) -> None:
    assert sent(checkout, (ROOT / ".dockerignore").read_text()) - ALWAYS_SENT == set(NEEDED_FILES)


def test_what_is_sent_is_seen(checkout: Path) -> None:
    """Planted faults: no rules, and rules that let one secret through."""
    everything = sent(checkout, "")
    assert set(SECRET_OR_USELESS) < everything
    leaky = (ROOT / ".dockerignore").read_text() + "\n!service/.env\n"
    assert sent(checkout, leaky) - ALWAYS_SENT == {*NEEDED_FILES, "service/.env"}


def test_all_that_is_copied_is_sent() -> None:
    files = sent(ROOT, (ROOT / ".dockerignore").read_text())
    sources = [source for line in words("COPY") if "--from=" not in line for source in line.split()[:-1]]
    assert len(sources) == 9
    for source in sources:
        assert any(file == source or file.startswith(f"{source}/") for file in files), source
