"""Lock files, as pip reads them."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.utils import canonicalize_name

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==(?P<version>[^\s;]+)(?P<marker>\s*;[^\\]*)?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked(path: Path) -> dict[str, str]:
    """The version of every package that a lock file names.

    Raises:
        ValueError: a line that is no pin with hashes and nothing else, such as an index or a path.
    """
    lines = re.sub(r"\\\n", " ", path.read_text()).splitlines()
    return dict(_pin(line) for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _pin(line: str) -> tuple[str, str]:
    requirement, *hashes = line.split("--hash", 1)
    match = _PIN.fullmatch(requirement.strip())
    if not match or not hashes or not all(_HASH.fullmatch(word) for word in f"--hash{hashes[0]}".split()):
        raise ValueError(f"no pin with hashes: {line!r}")
    return canonicalize_name(match["name"]), match["version"]
