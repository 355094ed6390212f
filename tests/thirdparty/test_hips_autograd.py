"""The test suite of HIPS autograd, run over our tracer: all of it passes but for what `not_supported.toml` lists.

The suite comes from the package index, once, and is kept in pytest's cache. It runs for about a minute. A test in which
nothing is traced has not passed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.archives import unpack
from tests.thirdparty.hips.plugin import FAULTS

RELEASE = "autograd==1.9.1"
ARCHIVE = "autograd-1.9.1.tar.gz"
SHA256 = "7818c5c69ddf9efb7da74097bd741a4c7920133f41966f68537223a15ef798bc"
TESTS = 631
LEAST = 567
HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def suite(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the suite's tests."""
    cache = getattr(pytestconfig, "cache", None)  # there is none under -p no:cacheprovider
    folder = Path(cache.mkdir("hips-autograd")) if cache else tmp_path_factory.mktemp("hips-autograd")
    if not (folder / "tests").is_dir():
        archive = folder / ARCHIVE
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "autograd", RELEASE]
        subprocess.run(command, cwd=folder, check=True, timeout=300)
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
        unpack(archive, folder, f"{ARCHIVE[:-7]}/tests/")
        (folder / ARCHIVE[:-7] / "tests").rename(folder / "tests")
    return folder / "tests"


def run(suite: Path, outcomes: Path, *chosen: str, fault: str = "") -> dict[str, dict[str, Any]]:
    """How each test went, by its name."""
    environment = {**os.environ, "HIPS_OUTCOMES": str(outcomes), "HIPS_FAULT": fault, "PYTHONPATH": str(REPOSITORY)}
    options = ["-c", os.devnull, "--rootdir", str(suite), "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    options += ["-p", "tests.thirdparty.hips.plugin", "--tb=line"]
    command = [sys.executable, "-B", "-m", "pytest", *options, *chosen]
    done = subprocess.run(command, cwd=suite, env=environment, timeout=900, check=False, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: some tests failed
    return json.loads(outcomes.read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def outcomes(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """How each test of the whole suite went."""
    return run(suite, tmp_path_factory.mktemp("hips") / "outcomes.json")


def passed(outcome: Mapping[str, Any]) -> bool:
    """Whether a test passed and was about something."""
    return bool(outcome["outcome"] == "passed" and outcome["calls"])


def not_supported() -> dict[str, str]:
    """The reason for each test that need not pass."""
    listed = tomllib.loads((HERE / "not_supported.toml").read_text())["reason"]
    return {test: reason["why"] for reason in listed for test in reason["tests"]}


def test_the_suite_passes_but_for_what_is_listed(outcomes):
    failed = {test: outcome["message"][:200] for test, outcome in outcomes.items() if not passed(outcome)}
    listed = not_supported()
    assert {test: message for test, message in failed.items() if test not in listed} == {}


def test_the_list_only_shrinks(outcomes):
    listed = not_supported()
    assert set(listed) <= set(outcomes), "the suite has no such tests"
    mended = sorted(test for test in listed if passed(outcomes[test]))
    assert mended == [], "take these off the list: they pass"


def test_most_of_the_suite_passes(outcomes, capsys):
    count = sum(map(passed, outcomes.values()))
    with capsys.disabled():
        print(f"\nHIPS autograd: {count} of {len(outcomes)} tests pass")
    assert len(outcomes) == TESTS
    assert count >= LEAST


@pytest.mark.parametrize(("fault", "file", "tests", "least"), [(name, *seen) for name, (_, *seen) in FAULTS.items()])
def test_the_suite_sees_a_fault_in_a_rule(suite, tmp_path, outcomes, fault, file, tests, least):
    found = run(suite, tmp_path / "outcomes.json", file, "-k", tests, fault=fault)
    broken = [test for test, outcome in found.items() if passed(outcomes[test]) and not passed(outcome)]
    assert len(broken) >= least
