"""What a service with a Ray cluster of its own leaves to other users and machines: nothing."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.system import exposure

pytestmark = pytest.mark.ray

REFUSED = {"UNAUTHENTICATED", "UNIMPLEMENTED"}
"""What a port of Ray's answers to methods without a token: those of other servers it does not know."""


@pytest.fixture(scope="module")
def processes(service, remote):
    f = remote.function(lambda w: np.sum(w**2), w=np.ones(3))
    f.placement = "cluster"
    f(np.ones(3))  # so that its workers have come to work
    return exposure.family(service.pid)


@pytest.fixture(scope="module")
def folder(processes):
    """The one private folder of the cluster."""
    (found,) = {option.split("=")[1] for one in processes for option in one.cmdline() if option.startswith("--folder=")}
    return Path(found)


def test_every_port_is_on_loopback(processes):
    found = exposure.ports(processes)
    assert len(found) >= 6  # the service's two and at least Ray's control process, node and workers
    assert not exposure.beyond_loopback(found)


def test_no_dashboard_monitor_or_agent_runs(processes):
    programs = [" ".join(one.cmdline()[:4]) for one in processes]
    assert [program for program in programs if "raylet" in program]
    for what in ("dashboard", "Dashboard", "monitor", "agent", "Agent"):
        assert not [program for program in programs if what in program], what


def test_unix_sockets_and_files_are_out_of_reach(processes, folder):
    sockets, files = exposure.unix_sockets(processes), exposure.files_below(folder)
    assert len(sockets) >= 2
    assert len(files) >= 3
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    assert not [path for path in {*sockets, *files} if exposure.within_reach(path)]


def test_the_token_is_in_no_command_line_and_not_the_users(processes, folder):
    token = (folder / "token").read_text()
    assert len(token) == 64
    assert not [one for one in processes if token in " ".join(one.cmdline())]
    users = Path.home() / ".ray" / "auth_token"
    assert not users.exists() or users.read_text() != token


def test_a_stranger_gets_nothing(service, processes, folder):
    own = {int(service.address.rpartition(":")[2]), int(service.metrics_url.split(":")[2].split("/")[0])}
    given = {
        "ports": sorted({port for _, port in exposure.ports(processes)} - own),
        "files": exposure.files_below(folder),
        "sockets": sorted(exposure.unix_sockets(processes)),
    }
    got = tried(given)
    assert len(got["ports"]) >= 4
    for port, (*codes, http) in got["ports"].items():
        assert http.startswith("HTTP/1.1 401") or not http.startswith("HTTP/"), port
        assert set(codes) <= REFUSED or http.startswith("HTTP/1.1 401"), (port, codes)
    assert sum("UNAUTHENTICATED" in codes for codes in got["ports"].values()) >= 4
    assert got["opened"] == []
    assert got["connected"] == []


def tried(given):
    command = [sys.executable, "-m", "tests.system.stranger"]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, timeout=120, check=True, env=environment
    )
    return json.loads(done.stdout)


def test_what_is_exposed_is_found(tmp_path):
    with socket.socket() as open_port, socket.socket(socket.AF_UNIX) as named:
        open_port.bind(("0.0.0.0", 0))
        open_port.listen()
        named.bind("\0gradserve-exposed")
        listed = exposure.ports(exposure.family(os.getpid()))
        assert ("0.0.0.0", open_port.getsockname()[1]) in exposure.beyond_loopback(listed)
        names = exposure.unix_sockets(exposure.family(os.getpid()))
        assert [name for name in names if "gradserve-exposed" in name and exposure.within_reach(name)]
    shared = Path("/etc/hostname")
    assert exposure.within_reach(str(shared))
    assert not exposure.is_loopback("::ffff:10.0.0.1")
    assert exposure.is_loopback("::ffff:127.0.0.1")
    private = tmp_path / "token"
    private.touch(0o600)
    assert not exposure.within_reach(str(private))
    if os.geteuid() == 0:
        assert tried({"ports": [], "files": [str(shared), str(private)], "sockets": []})["opened"] == [str(shared)]
