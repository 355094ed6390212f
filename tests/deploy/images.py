"""Our images, built without a Docker engine: buildah on a stand-in for the base image.

Needs root and, from Debian: debootstrap, buildah, podman, runc. What is made once is kept below the folder that
GRADSERVE_IMAGES names (~/.cache/gradserve-images unless set), outside the repository.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
TARGETS = ("service", "worker")

_AUTHORITIES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout", "proxy")
_AUTHORITY_INSIDE = "/run/build-authorities.crt"
_PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"

Done: TypeAlias = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Store:
    """Where buildah and podman keep images and containers."""

    folder: Path
    driver: str

    def podman(self, *arguments: str | Path, seconds: float = 300) -> str:
        """What podman prints; fails if podman does."""
        return self.try_podman(*arguments, seconds=seconds, check=True).stdout

    def try_podman(self, *arguments: str | Path, seconds: float = 300, check: bool = False) -> Done:
        """What became of a podman command."""
        options = ["--cgroup-manager", "cgroupfs", "--runtime", "runc"]
        # Where a container runs out of memory its monitor leaves a file in the folder that it was started in.
        return _run(["podman", *self._places(), *options, *arguments], seconds, check, self.folder)

    def buildah(self, *arguments: str | Path, seconds: float = 1800) -> str:
        """What buildah prints."""
        return _run(["buildah", *self._places(), *arguments], seconds).stdout

    def holds(self, image: str) -> bool:
        """Whether an image is there."""
        return self.try_podman("image", "exists", image).returncode == 0

    def _places(self) -> list[str]:
        return ["--root", f"{self.folder}/store", "--runroot", f"{self.folder}/run", "--storage-driver", self.driver]


def store() -> Store:
    """The store of this machine; overlays where the kernel has them for us, plain copies elsewhere."""
    folder = Path(os.environ.get("GRADSERVE_IMAGES") or "~/.cache/gradserve-images").expanduser().resolve()
    assert not folder.is_relative_to(ROOT), f"GRADSERVE_IMAGES: {folder} is in the repository"
    missing = [tool for tool in ("debootstrap", "buildah", "podman", "runc") if not shutil.which(tool)]
    assert not missing, f"the tests of the images need {', '.join(missing)}: apt-get install {' '.join(missing)}"
    assert os.geteuid() == 0, "the tests of the images need root"
    folder.mkdir(parents=True, exist_ok=True)
    overlay = Store(folder, "overlay")
    return overlay if overlay.try_podman("info").returncode == 0 else Store(folder, "vfs")


def build(where: Store, target: str, version: str) -> str:
    """Builds a target of the Dockerfile; returns the image's name."""
    image = f"localhost/gradserve-{target}:test"
    with tempfile.TemporaryDirectory() as folder:
        options = ["--format", "docker", "--isolation", "chroot", "--network", "host", "--pull-never", "--layers"]
        options += ["--build-arg", f"VERSION={version}", *_mounts(Path(folder))]
        where.buildah("bud", *options, "--target", target, "--file", DOCKERFILE, "--tag", image, ROOT)
    return image


def import_base(where: Store) -> None:
    """Makes the stand-in for the base image, under the base's own name, unless it is there."""
    if where.holds(base_name()):
        return
    tree = where.folder / "base"
    if not (tree / "usr/local/bin/python").is_symlink():
        shutil.rmtree(tree, ignore_errors=True)
        _run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", tree], 1200)
        _make_like_the_base(tree)
    archive = where.folder / "base.tar"
    _run(["tar", "-C", tree, "-cf", archive, "."], 300)
    where.podman("import", archive, base_name())
    archive.unlink()


def base_name() -> str:
    """The base image that the Dockerfile names."""
    match = re.search(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert match
    return match[1]


def _make_like_the_base(tree: Path) -> None:
    """Makes Debian's Python answer as the base's own: pip may install, `python` is there, nothing is compiled."""
    for folder in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
        shutil.rmtree(tree / folder)
        (tree / folder).mkdir()
    for path in [*tree.glob("usr/lib/python3*/EXTERNALLY-MANAGED")]:
        path.unlink()
    for path in [*tree.rglob("__pycache__")]:
        shutil.rmtree(path)
    for name in ("python3", "python"):
        (tree / "usr/local/bin" / name).symlink_to("../../bin/python3.11")


def _mounts(folder: Path) -> list[str]:
    """Mounts through which a build reaches the package index as this machine does; the images keep nothing of them."""
    lines = ["[global]", *(f"{name} = {value}" for name, value in _pip_settings().items())]
    options = []
    authority = next((os.environ[name] for name in _AUTHORITIES if Path(os.environ.get(name, "")).is_file()), None)
    if authority:
        lines.append(f"cert = {_AUTHORITY_INSIDE}")
        options += ["--volume", f"{Path(authority).resolve()}:{_AUTHORITY_INSIDE}:ro"]
    (folder / "pip.conf").write_text("\n".join([*lines, ""]))
    return [*options, "--volume", f"{folder}/pip.conf:/etc/pip.conf:ro"]


@functools.cache
def _pip_settings() -> dict[str, str]:
    """How pip finds its index here, less what lies in folders of this machine."""
    listed = _run([sys.executable, "-m", "pip", "config", "list"], 60).stdout
    settings = {}
    for name, value in re.findall(r"^[^=]*\.([a-z-]+)='(.*)'$", listed, re.MULTILINE):
        words = " ".join(word for word in value.split() if not word.startswith(("file:", "/")))
        if name in _PIP_SETTINGS and words:
            settings[name] = words
    return settings


def _run(command: list[str | Path], seconds: float, check: bool = True, folder: Path | None = None) -> Done:
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, cwd=folder)
    if check and done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        print(f"{' '.join(map(str, command))}\n{said}", file=sys.stderr)
        done.check_returncode()
    return done
