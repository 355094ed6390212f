"""The service of the demo, where it does not start."""

from __future__ import annotations

import sys
import tempfile

import pytest

from gradserve.client.cli import demo_service
from gradserve.client.cli.demo_service import DemoService

SLOW = """#!/bin/sh
trap 'exit 0' TERM
echo "still busy"
while :; do sleep 0.05; done
"""
"""A service that never answers, and ends well when it is told to."""


@pytest.fixture
def slow(monkeypatch, tmp_path):
    """In place of the service, and little patience with it; gives the folder of its log."""
    program = tmp_path / "service"
    program.write_text(SLOW)
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(demo_service, "STARTUP_SECONDS", 3.0)
    return tmp_path


def test_of_a_service_that_starts_too_slowly_the_log_is_told(slow):
    with pytest.raises(OSError, match="did not start; its log ends with:\nstill busy"):
        DemoService(workers=1)
    assert [path.name for path in slow.glob("*.log")]


@pytest.mark.usefixtures("slow")
def test_without_the_log_nobody_would_know(monkeypatch):
    """The planted fault: what ended well leaves no log, so that there is none to tell of."""
    drained = DemoService._drained

    def leaves_nothing(service):
        status = drained(service)
        service._log.unlink()
        return status

    monkeypatch.setattr(DemoService, "_drained", leaves_nothing)
    with pytest.raises(FileNotFoundError):
        DemoService(workers=1)
